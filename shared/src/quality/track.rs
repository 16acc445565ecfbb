//! Tracks: a participant's samples over time, for each direction.
//!
//! A phone's clock may be wrong by any amount. It therefore determines only the order and the
//! distances of that phone's samples. The server's clock determines their place in the call: a
//! batch arrives after its measurement, so the batch with the least delay yields the offset between
//! the clocks.
//!
//! A user may have several phones, each with its own clock. A batch names its installation by the
//! device id, or else only its platform. Then the offsets of the batches tell phones apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::calls::Call;
use crate::clock::Timestamp;
use crate::ids::{DeviceId, UserId};
use crate::quality::batch::{Batch, Platform};
use crate::quality::model::{Inputs, Rating, rate};
use crate::quality::sample::{Direction, Sample};
use crate::quality::unit::Millis;
use crate::score_model::ScoreModel;

/// The longest gap between samples that is covered, in milliseconds.
const MAX_SAMPLE_MS: i64 = 30_000;
/// The duration that a single sample covers, in milliseconds: the documented sample interval.
const DEFAULT_SAMPLE_MS: i64 = 5_000;
/// How long before its call an aligned sample may be, in milliseconds.
const EARLY_TOLERANCE_MS: i64 = 60_000;
/// How long after the end of its call a sample may seem to be, in milliseconds. The delay of the
/// batches that arrive before the end can cause this.
const LATE_TOLERANCE_MS: i64 = 300_000;
/// The largest gap between the clock offsets of a phone without a device id, in milliseconds.
const MAX_OFFSET_GAP_MS: i64 = 60_000;

/// The samples of one participant.
#[derive(Clone, Debug, Default)]
pub(super) struct ParticipantTrack {
    /// The platform of the newest batch that has one.
    pub(super) platform: Option<Platform>,
    /// What the participant receives.
    pub(super) inbound: Vec<AlignedSample>,
    /// What the participant sends.
    pub(super) outbound: Vec<AlignedSample>,
    /// The number of samples in neither direction: repeated ones, and those outside the call.
    pub(super) dropped: usize,
}

/// A sample on the server's time line.
#[derive(Clone, Copy, Debug)]
pub(super) struct AlignedSample {
    /// The end of the measurement, by the server's clock.
    pub(super) at: Timestamp,
    /// The milliseconds before `at` that the sample covers.
    pub(super) duration_ms: i64,
    pub(super) sample: Sample,
    /// One-way latency in milliseconds: the sample's, or that of the nearest sample.
    pub(super) latency: Option<f64>,
    /// `None` if an input of the score is missing.
    pub(super) rating: Option<Rating>,
}

impl ParticipantTrack {
    /// The samples of both directions, the inbound ones first.
    pub(super) fn samples(&self) -> impl Iterator<Item = &AlignedSample> {
        self.inbound.iter().chain(&self.outbound)
    }
}

/// A batch, with the offset of its phone's clock if the batch arrived without a delay.
struct TimedBatch<'a> {
    offset_ms: i64,
    batch: &'a Batch,
}

/// Groups samples by user and direction and orders them by time. Samples outside the call are
/// dropped, because the phone's clock was set in between or the app measured after the call.
pub(super) fn participant_tracks(
    mut batches: Vec<Batch>,
    call: &Call,
) -> BTreeMap<UserId, ParticipantTrack> {
    // A fixed order, because the table's order must not change the result.
    batches.sort_by(|a, b| (a.received_at, a.id.as_str()).cmp(&(b.received_at, b.id.as_str())));
    let mut by_user: BTreeMap<UserId, Vec<Batch>> = BTreeMap::new();
    for batch in batches {
        by_user.entry(batch.user.clone()).or_default().push(batch);
    }
    by_user.into_iter().map(|(user, batches)| (user, participant_track(&batches, call))).collect()
}

fn participant_track(batches: &[Batch], call: &Call) -> ParticipantTrack {
    let count: usize = batches.iter().map(|batch| batch.samples.len()).sum();
    let samples = align_to_server(batches, call);
    // Both directions share a connection, so a latency of either direction applies to both.
    let mut latencies: Vec<(i64, f64)> = samples
        .iter()
        .filter_map(|(at_ms, sample)| Some((*at_ms, sample.one_way_latency()?.get())))
        .collect();
    latencies.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let track = |direction: Direction| {
        let mut aligned: Vec<(i64, Sample)> =
            samples.iter().filter(|(_, sample)| sample.direction == direction).copied().collect();
        aligned.sort_by_key(|(at_ms, _)| *at_ms);
        align_samples(call.score_model, &aligned, &latencies)
    };
    ParticipantTrack {
        platform: batches.iter().rev().find_map(|batch| batch.platform),
        inbound: track(Direction::Inbound),
        outbound: track(Direction::Outbound),
        dropped: count - samples.len(),
    }
}

/// The samples of a user with their times by the server's clock, in milliseconds. Omits repeated
/// samples and samples outside the call.
fn align_to_server(batches: &[Batch], call: &Call) -> Vec<(i64, Sample)> {
    let earliest_ms = call.created_at.as_millis().saturating_sub(EARLY_TOLERANCE_MS);
    let latest_ms = call.ending_at.map_or(i64::MAX, Timestamp::as_millis);
    let mut aligned = Vec::new();
    for ((device_id, _), mut device_batches) in batches_by_device(batches) {
        device_batches.sort_by_key(|timed| timed.offset_ms);
        let has_id = device_id.is_some();
        // Two samples of the same device, direction and time count once.
        let mut seen = BTreeSet::new();
        // Without an id, batches with other offsets are from another phone.
        let phones = device_batches.chunk_by(|previous, next| {
            has_id || next.offset_ms.saturating_sub(previous.offset_ms) <= MAX_OFFSET_GAP_MS
        });
        for series in phones {
            let Some(offset_ms) = clock_offset_ms(series, call) else { continue };
            for sample in series.iter().flat_map(|timed| &timed.batch.samples) {
                let at_ms = sample.at.as_millis().saturating_add(offset_ms);
                let is_in_call = (earliest_ms..=latest_ms).contains(&at_ms);
                if is_in_call && seen.insert((sample.direction, sample.at)) {
                    aligned.push((at_ms, *sample));
                }
            }
        }
    }
    aligned
}

/// The device of a batch, as far as the batch names it: by its id, or else by its platform.
type Device<'a> = (Option<&'a DeviceId>, Option<Platform>);

fn batches_by_device(batches: &[Batch]) -> BTreeMap<Device<'_>, Vec<TimedBatch<'_>>> {
    let mut by_device: BTreeMap<Device<'_>, Vec<TimedBatch<'_>>> = BTreeMap::new();
    for batch in batches {
        let Some(last) = batch.samples.iter().map(|sample| sample.at).max() else { continue };
        let offset_ms = batch.received_at.as_millis().saturating_sub(last.as_millis());
        let device = match &batch.device_id {
            Some(id) => (Some(id), None),
            None => (None, batch.platform),
        };
        by_device.entry(device).or_default().push(TimedBatch { offset_ms, batch });
    }
    by_device
}

/// The offset from a phone's clock to the server's clock, in milliseconds. The batch with the least
/// delay comes first. `None` without samples.
fn clock_offset_ms(series: &[TimedBatch<'_>], call: &Call) -> Option<i64> {
    let offset_ms = series.first()?.offset_ms;
    let Some(end) = call.ending_at else { return Some(offset_ms) };
    // Samples are measured before the call's end, even if they arrive later. If a batch arrived
    // before the end, the offset is known well enough to ignore samples from long after it.
    let is_live = series.iter().any(|timed| timed.batch.received_at <= end);
    let limit_ms =
        if is_live { end.as_millis().saturating_add(LATE_TOLERANCE_MS) } else { i64::MAX };
    let last_ms = series
        .iter()
        .flat_map(|timed| &timed.batch.samples)
        .map(|sample| sample.at.as_millis())
        .filter(|at_ms| at_ms.saturating_add(offset_ms) <= limit_ms)
        .max()?;
    Some(offset_ms.min(end.as_millis().saturating_sub(last_ms)))
}

fn align_samples(
    model: ScoreModel,
    samples: &[(i64, Sample)],
    latencies: &[(i64, f64)],
) -> Vec<AlignedSample> {
    let times: Vec<i64> = samples.iter().map(|(at, _)| *at).collect();
    // The first sample covers as long a duration as the second.
    let first_ms =
        times.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(DEFAULT_SAMPLE_MS);
    let sample_spans =
        std::iter::once(first_ms).chain(times.windows(2).map(|pair| pair[1] - pair[0]));
    let align = |((at, sample), duration_ms): (&(i64, Sample), i64)| {
        let duration_ms = duration_ms.clamp(1, MAX_SAMPLE_MS);
        let latency =
            sample.one_way_latency().map(Millis::get).or_else(|| nearest_latency(latencies, *at));
        let frozen =
            sample.freeze_duration.map(|freeze| percent_of_duration(freeze.get(), duration_ms));
        let inputs = Inputs::of_sample(model, sample, latency, frozen);
        AlignedSample {
            at: Timestamp::from_millis(*at),
            duration_ms,
            sample: *sample,
            latency,
            rating: rate(model, &inputs).overall,
        }
    };
    samples.iter().zip(sample_spans).map(align).collect()
}

/// The latency that is measured nearest to a time, within [`MAX_SAMPLE_MS`].
fn nearest_latency(latencies: &[(i64, f64)], at_ms: i64) -> Option<f64> {
    let next_index = latencies.partition_point(|(time, _)| *time < at_ms);
    let neighbors = [next_index.checked_sub(1), Some(next_index)].into_iter().flatten();
    neighbors
        .filter_map(|index| latencies.get(index))
        .filter(|(time, _)| (time - at_ms).abs() <= MAX_SAMPLE_MS)
        .min_by_key(|(time, _)| (time - at_ms).abs())
        .map(|(_, latency)| *latency)
}

/// `part_ms` as a percentage of `duration_ms`, at most 100.
pub(super) fn percent_of_duration(part_ms: f64, duration_ms: i64) -> f64 {
    (part_ms / millis_to_seconds(duration_ms) / 10.0).min(100.0)
}

#[expect(clippy::cast_precision_loss, reason = "a duration of at most some hours")]
pub(super) fn millis_to_seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::BatchId;
    use crate::quality::aggregate::Aggregate;
    use crate::quality::emodel::Impairment;
    use crate::quality::sample::RawSample;
    use crate::test_support::new_call;
    use serde_json::{Value, json};

    const START: i64 = 1_767_225_600_000;

    fn batch(id: &str, received_ms: i64, samples: &[Value]) -> Batch {
        let parse_sample = |raw: &Value| {
            let mut raw = raw.clone();
            raw["timestamp"] = json!(START + raw["timestamp"].as_i64().unwrap());
            Sample::from(serde_json::from_value::<RawSample>(raw).unwrap())
        };
        Batch {
            id: BatchId::try_from(id.to_owned()).unwrap(),
            user: UserId::try_from("alice".to_owned()).unwrap(),
            platform: None,
            device_id: None,
            received_at: Timestamp::from_millis(START + received_ms),
            samples: samples.iter().map(parse_sample).collect(),
        }
    }

    fn alice_track(batches: Vec<Batch>) -> ParticipantTrack {
        participant_tracks(batches, &call()).into_values().next().unwrap()
    }

    fn call() -> Call {
        let call = Call::new(&new_call(&["alice"], Timestamp::from_millis(START)));
        Call { score_model: ScoreModel::V1, ..call }
    }

    fn times_and_durations(samples: &[AlignedSample]) -> Vec<(i64, i64)> {
        samples.iter().map(|sample| (sample.at.as_millis() - START, sample.duration_ms)).collect()
    }

    #[test]
    fn samples_are_ordered_and_aligned_to_the_server_clock() {
        let at = |time: i64| json!({"timestamp": time});
        // The phone's clock is 60 seconds ahead; the second batch is delayed by 10 seconds.
        let track = alice_track(vec![
            batch("b", 40_000, &[at(85_000), at(90_000)]),
            batch("a", 20_000, &[at(80_000), at(75_000)]),
        ]);
        let expected = [(15_000, 5_000), (20_000, 5_000), (25_000, 5_000), (30_000, 5_000)];
        assert_eq!(times_and_durations(&track.inbound), expected);
        assert!(track.outbound.is_empty());
    }

    #[test]
    fn duplicate_samples_count_once_and_gaps_are_not_covered() {
        let at = |time: i64| json!({"timestamp": time});
        let track = alice_track(vec![
            batch("a", 5_000, &[at(5_000)]),
            batch("b", 100_000, &[at(5_000), at(100_000)]),
        ]);
        assert_eq!(times_and_durations(&track.inbound), [(5_000, 30_000), (100_000, 30_000)]);
        let single = alice_track(vec![batch("a", 5_000, &[at(5_000)])]);
        assert_eq!(times_and_durations(&single.inbound), [(5_000, 5_000)]);
    }

    #[test]
    fn samples_before_the_call_are_ignored() {
        let at = |time: i64| json!({"timestamp": time});
        let too_early = batch("b", 20_000, &[at(-86_000_000), at(20_000)]);
        let track = alice_track(vec![batch("a", 10_000, &[at(10_000)]), too_early]);
        assert_eq!(times_and_durations(&track.inbound), [(10_000, 10_000), (20_000, 10_000)]);
    }

    #[test]
    fn late_samples_are_placed_before_the_end() {
        let at = |time: i64| json!({"timestamp": time});
        let ended_call = Call { ending_at: Some(Timestamp::from_millis(START + 60_000)), ..call() };
        let batches = vec![batch("a", 86_400_000, &[at(-5_000), at(1)])];
        let track = participant_tracks(batches, &ended_call).into_values().next().unwrap();
        assert_eq!(times_and_durations(&track.inbound), [(54_999, 5_001), (60_000, 5_001)]);
    }

    #[test]
    fn samples_from_long_after_the_end_are_dropped() {
        let at = |time: i64| json!({"timestamp": time});
        let ended_call = Call { ending_at: Some(Timestamp::from_millis(START + 60_000)), ..call() };
        let track_of = |batches: Vec<Batch>| {
            participant_tracks(batches, &ended_call).into_values().next().unwrap()
        };
        // The app continues to measure after the call. The first batch yields the offset.
        let first = batch("a", 30_000, &[at(25_000), at(30_000)]);
        let track = track_of(vec![first.clone(), batch("b", 600_000, &[at(600_000)])]);
        assert_eq!(times_and_durations(&track.inbound), [(25_000, 5_000), (30_000, 5_000)]);
        assert_eq!(track.dropped, 1);
        // The first batch is late by 30 seconds, so the last sample seems to be after the end.
        let delayed = Batch { received_at: Timestamp::from_millis(START + 60_000), ..first };
        let track = track_of(vec![delayed, batch("b", 100_000, &[at(60_000)])]);
        let expected = [(25_000, 5_000), (30_000, 5_000), (60_000, 30_000)];
        assert_eq!(times_and_durations(&track.inbound), expected);
        assert_eq!(track.dropped, 0);
    }

    /// A batch of three samples. `clock_lead_ms` is that of the phone.
    fn phone_batch(id: &str, received_ms: i64, clock_lead_ms: i64) -> Batch {
        let at = |time: i64| json!({"timestamp": received_ms + clock_lead_ms + time});
        batch(id, received_ms, &[at(-10_000), at(-5_000), at(0)])
    }

    #[test]
    fn phones_of_a_user_are_corrected_separately() {
        let device_id = |name: &str| DeviceId::try_from(name.to_owned()).ok();
        let expected: Vec<(i64, i64)> = (4..=9).map(|n| (n * 5_000, 5_000)).collect();
        // The second phone is one hour ahead, or two minutes behind.
        for lead_ms in [3_600_000, -120_000] {
            let (first, second) = (phone_batch("a", 30_000, 0), phone_batch("b", 45_000, lead_ms));
            let with_platform = |batch: &Batch, platform| Batch { platform, ..batch.clone() };
            let with_id =
                |batch: &Batch, name| Batch { device_id: device_id(name), ..batch.clone() };
            for batches in [
                vec![first.clone(), second.clone()],
                vec![with_id(&first, "phone"), with_id(&second, "tablet")],
                vec![
                    with_id(&with_platform(&first, Some(Platform::Ios)), "phone"),
                    with_id(&with_platform(&second, Some(Platform::Ios)), "tablet"),
                ],
                vec![
                    with_platform(&first, Some(Platform::Ios)),
                    with_platform(&second, Some(Platform::Web)),
                ],
                vec![with_id(&first, "phone"), second.clone()],
            ] {
                let track = alice_track(batches);
                assert_eq!(times_and_durations(&track.inbound), expected, "{lead_ms}");
                assert_eq!(track.dropped, 0, "{lead_ms}");
            }
        }
    }

    #[test]
    fn backlog_of_a_phone_is_one_series() {
        // The phone is offline for ten minutes and then sends a batch for every 30 seconds.
        let backlog: Vec<Batch> = (1..=20)
            .map(|n| Batch {
                received_at: Timestamp::from_millis(START + 600_000),
                ..phone_batch(&format!("b{n}"), n * 30_000, 0)
            })
            .collect();
        let track = alice_track(backlog);
        let times = times_and_durations(&track.inbound);
        assert_eq!((times[0].0, times[59].0, times.len()), (20_000, 600_000, 60));
    }

    #[test]
    fn device_id_keeps_a_delayed_batch_in_its_place() {
        let delayed = Batch {
            received_at: Timestamp::from_millis(START + 900_000),
            ..phone_batch("a", 30_000, 0)
        };
        let live = phone_batch("b", 600_000, 0);
        let first_time =
            |batches: Vec<Batch>| alice_track(batches).inbound[0].at.as_millis() - START;
        // Without an id, the delay looks like the clock of another phone.
        assert_eq!(first_time(vec![delayed.clone(), live.clone()]), 590_000);
        let id = DeviceId::try_from("phone".to_owned()).ok();
        let with_id = |batch: Batch| Batch { device_id: id.clone(), ..batch };
        assert_eq!(first_time(vec![with_id(delayed), with_id(live)]), 20_000);
    }

    #[test]
    fn set_clock_and_repeated_samples_are_counted_as_dropped() {
        let id = DeviceId::try_from("phone".to_owned()).ok();
        let with_id = |batch: Batch| Batch { device_id: id.clone(), ..batch };
        // The clock is set ten minutes ahead between the two batches.
        let batches = vec![phone_batch("a", 30_000, -600_000), phone_batch("b", 60_000, 0)];
        let track = alice_track(batches.into_iter().map(with_id).collect());
        assert_eq!((track.inbound.len(), track.dropped), (3, 3));
        let repeated = Batch {
            received_at: Timestamp::from_millis(START + 900_000),
            ..phone_batch("b", 30_000, 0)
        };
        let track = alice_track(vec![phone_batch("a", 30_000, 0), repeated]);
        assert_eq!((track.inbound.len(), track.dropped), (3, 3));
    }

    #[test]
    fn freeze_counts_with_its_full_duration() {
        let frozen =
            |time: i64, seconds: i64| json!({"timestamp": time, "totalFreezesDuration": seconds});
        let track = alice_track(vec![batch("a", 20_000, &[frozen(10_000, 0), frozen(20_000, 15)])]);
        assert_eq!(
            Aggregate::new(&track.inbound).inputs(ScoreModel::V1).frozen_percent,
            Some(75.0)
        );
    }

    #[test]
    fn latency_is_shared_between_directions() {
        let inbound = |time: i64| json!({"timestamp": time, "jitter": 0.01, "packetsLost": 1, "packetsReceived": 99});
        let outbound = json!({"timestamp": 10_100, "direction": "outbound", "roundTripTime": 0.2});
        let track =
            alice_track(vec![batch("a", 60_000, &[inbound(10_000), inbound(60_000), outbound])]);
        let scores: Vec<_> =
            track.inbound.iter().map(|aligned| aligned.rating.map(|rating| rating.score)).collect();
        let expected = Impairment {
            latency_ms: 100.0,
            jitter_ms: 10.0,
            loss_percent: 1.0,
            frozen_percent: 0.0,
        };
        assert_eq!(scores, [Some(expected.score()), None]);
        assert_eq!(track.outbound[0].rating, None);
    }

    #[test]
    fn metrics_are_time_weighted_means_and_sums_of_counts() {
        let track = alice_track(vec![batch(
            "a",
            30_000,
            &[
                json!({
                    "timestamp": 10_000, "latency": 0.1, "jitter": 0.01, "fractionLost": 0.0,
                    "totalFreezesDuration": 1, "freezeCount": 2, "frameHeight": 720,
                    "qualityLimitationReason": "cpu",
                }),
                json!({
                    "timestamp": 30_000, "latency": 0.1, "jitter": 0.04, "fractionLost": 0.3,
                    "totalFreezesDuration": 2, "freezeCount": 1, "frameHeight": 360,
                    "qualityLimitationReason": "none",
                }),
            ],
        )]);
        // Both samples cover 20 seconds.
        let aggregate = Aggregate::new(&track.inbound);
        let metrics = aggregate.metrics();
        assert_eq!(metrics.jitter, Some(25.0));
        assert_eq!(metrics.packet_loss, Some(15.0));
        assert_eq!(metrics.freezes, Some(3_000.0));
        assert_eq!(metrics.freeze_count, Some(3.0));
        assert_eq!(metrics.video_quality, Some(540.0));
        assert_eq!(metrics.limited_by_cpu, Some(50.0));
        assert_eq!(metrics.connection_stability, Some(50.0));
        assert_eq!(metrics.bitrate, None);
        assert_eq!(aggregate.inputs(ScoreModel::V1).frozen_percent, Some(7.5));
    }
}
