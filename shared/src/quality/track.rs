//! Samples as they follow each other: one person's connection over time, each way.
//!
//! A phone's clock may be wrong by minutes, so it only says in which order that phone's samples
//! are, and how far apart. Where they are in the call is told by ours: no batch comes before it was
//! measured, so the batch that came with the least delay shows how far apart the two clocks are.

use std::collections::{BTreeMap, BTreeSet};

use crate::calls::Call;
use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::quality::Metrics;
use crate::quality::batch::{Batch, Platform};
use crate::quality::emodel::{Band, Impairment};
use crate::quality::sample::{Direction, Limitation, Sample};
use crate::quality::unit::{Kilobits, Millis, Percent, rounded};

/// The longest that a sample speaks for, in milliseconds: as long as a batch does.
const LONGEST: i64 = 30_000;
/// How long the only sample of a track speaks for, in milliseconds: the documented distance.
const ALONE: i64 = 5_000;
/// How long before its call a sample may seem to be, in milliseconds.
const EARLY: i64 = 60_000;

/// What is measured of one person.
#[derive(Clone, Debug, Default)]
pub(super) struct Person {
    /// What the samples were measured on last.
    pub(super) platform: Option<Platform>,
    /// What the person hears and sees.
    pub(super) inbound: Vec<Moment>,
    /// What the person sends.
    pub(super) outbound: Vec<Moment>,
}

/// A sample in its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// When it was taken, by our clock.
    pub(super) at: Timestamp,
    /// For how many milliseconds before that it speaks.
    pub(super) span: i64,
    /// The figures.
    pub(super) sample: Sample,
    /// One-way latency in milliseconds: the sample's, or what was measured close to it.
    pub(super) latency: Option<f64>,
    /// What they do to the call, where all of it is known.
    pub(super) impairment: Option<Impairment>,
}

impl Person {
    /// Both ways, one after the other.
    pub(super) fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.inbound.iter().chain(&self.outbound)
    }
}

/// Sorts samples out by whose they are, where they go and when they were. What would lie before the
/// call is left out: a clock was set in between.
pub(super) fn people(mut batches: Vec<Batch>, call: &Call) -> BTreeMap<UserId, Person> {
    // In the same order each time, whatever the table's is.
    batches.sort_by(|a, b| (a.received_at, a.id.as_str()).cmp(&(b.received_at, b.id.as_str())));
    let mut of: BTreeMap<UserId, Vec<Batch>> = BTreeMap::new();
    for batch in batches {
        of.entry(batch.user.clone()).or_default().push(batch);
    }
    of.into_iter().map(|(user, batches)| (user, person(&batches, call))).collect()
}

fn person(batches: &[Batch], call: &Call) -> Person {
    let behind = |batch: &Batch| {
        let last = batch.samples.iter().map(|sample| sample.at.as_millis()).max()?;
        Some(batch.received_at.as_millis().saturating_sub(last))
    };
    let last = batches.iter().flat_map(|it| &it.samples).map(|it| it.at.as_millis()).max();
    // Nothing is measured after the end, however late it comes.
    let end = call.ending_at.zip(last).map(|(end, last)| end.as_millis().saturating_sub(last));
    let shift = batches.iter().filter_map(behind).chain(end).min().unwrap_or(0);
    let place = |sample: &Sample| sample.at.as_millis().saturating_add(shift);
    let earliest = call.created_at.as_millis().saturating_sub(EARLY);
    let samples = || {
        let all = batches.iter().flat_map(|batch| &batch.samples);
        all.filter(|sample| place(sample) >= earliest)
    };
    // The latency is the connection's, whichever way tells of it.
    let mut latencies: Vec<(i64, f64)> =
        samples().filter_map(|it| Some((place(it), it.one_way()?.get()))).collect();
    latencies.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let track = |direction: Direction| {
        // The same moment in two batches is one moment.
        let mut seen = BTreeSet::new();
        let mut track: Vec<(i64, Sample)> = samples()
            .filter(|sample| sample.direction == direction)
            .map(|sample| (place(sample), *sample))
            .filter(|(at, _)| seen.insert(*at))
            .collect();
        track.sort_by_key(|(at, _)| *at);
        moments(&track, &latencies)
    };
    Person {
        platform: batches.iter().rev().find_map(|batch| batch.platform),
        inbound: track(Direction::Inbound),
        outbound: track(Direction::Outbound),
    }
}

fn moments(track: &[(i64, Sample)], latencies: &[(i64, f64)]) -> Vec<Moment> {
    let times: Vec<i64> = track.iter().map(|(at, _)| *at).collect();
    // The first speaks for as long as the second does.
    let first = times.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(ALONE);
    let spans = std::iter::once(first).chain(times.windows(2).map(|pair| pair[1] - pair[0]));
    let moment = |((at, sample), span): (&(i64, Sample), i64)| {
        let span = span.clamp(1, LONGEST);
        let latency = sample.one_way().map(Millis::get).or_else(|| nearest(latencies, *at));
        let impairment = impairment(sample, span, latency);
        Moment { at: Timestamp::from_millis(*at), span, sample: *sample, latency, impairment }
    };
    track.iter().zip(spans).map(moment).collect()
}

fn impairment(sample: &Sample, span: i64, latency: Option<f64>) -> Option<Impairment> {
    Some(Impairment {
        latency_ms: latency?,
        jitter_ms: sample.jitter?.get(),
        loss_percent: sample.loss?.get(),
        frozen_percent: sample.frozen.map_or(0.0, |it| share(it.get(), span)),
    })
}

/// The latency that was measured closest to an instant, and not too far from it.
fn nearest(latencies: &[(i64, f64)], at: i64) -> Option<f64> {
    let behind = latencies.partition_point(|(time, _)| *time < at);
    let around = [behind.checked_sub(1), Some(behind)].into_iter().flatten();
    around
        .filter_map(|place| latencies.get(place))
        .filter(|(time, _)| (time - at).abs() <= LONGEST)
        .min_by_key(|(time, _)| (time - at).abs())
        .map(|(_, latency)| *latency)
}

/// How much of a span it was, in per cent.
fn share(part_ms: f64, span: i64) -> f64 {
    (part_ms / seconds(span) / 10.0).min(100.0)
}

#[expect(clippy::cast_precision_loss, reason = "a span of some hours at most")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

/// A mean over time.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn of(moments: &[Moment], figure: impl Fn(&Moment) -> Option<f64>) -> Option<f64> {
        let mut mean = Self::default();
        for moment in moments {
            if let Some(value) = figure(moment) {
                let weight = seconds(moment.span);
                mean.sum += value * weight;
                mean.weight += weight;
            }
        }
        (mean.weight > 0.0).then(|| rounded(mean.sum / mean.weight))
    }
}

/// The figures of one way: means over the time that its samples speak for, and sums of what is
/// counted.
pub(super) fn metrics(moments: &[Moment]) -> Metrics {
    let sum = |figure: fn(&Sample) -> Option<f64>| {
        let values = moments.iter().filter_map(|moment| figure(&moment.sample));
        values.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or_default() + value))
    };
    let limited = |by: Limitation| {
        let yes = |found: Limitation| if found == by { 100.0 } else { 0.0 };
        Mean::of(moments, |moment| moment.sample.limitation.map(yes))
    };
    let fair = |impairment: Impairment| {
        if impairment.score().band() >= Band::Fair { 100.0 } else { 0.0 }
    };
    Metrics {
        latency: Mean::of(moments, |it| it.latency),
        round_trip_time: Mean::of(moments, |it| it.sample.round_trip.map(Millis::get)),
        jitter: Mean::of(moments, |it| it.sample.jitter.map(Millis::get)),
        packet_loss: Mean::of(moments, |it| it.sample.loss.map(Percent::get)),
        freezes: sum(|sample| sample.frozen.map(Millis::get)).map(rounded),
        freeze_count: sum(|sample| sample.freeze_count),
        connection_stability: Mean::of(moments, |it| it.impairment.map(fair)),
        video_quality: Mean::of(moments, |it| it.sample.lines()),
        frame_rate: Mean::of(moments, |it| it.sample.frame_rate),
        bitrate: Mean::of(moments, |it| it.sample.bitrate.map(Kilobits::get)),
        audio_level: Mean::of(moments, |it| it.sample.audio_level),
        concealment: Mean::of(moments, |it| it.sample.concealed.map(Percent::get)),
        limited_by_cpu: limited(Limitation::Cpu),
        limited_by_bandwidth: limited(Limitation::Bandwidth),
    }
}

/// How much of the time the picture stood still, in per cent. A freeze is told of when it is over,
/// by one sample, however long it was; so it is the sum that counts.
pub(super) fn frozen_percent(moments: &[Moment]) -> Option<f64> {
    let told = moments.iter().filter_map(|it| Some((it.sample.frozen?.get(), it.span)));
    let (frozen, span) = told.fold((0.0, 0), |(frozen, span), it| (frozen + it.0, span + it.1));
    (span > 0).then(|| share(frozen, span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::{CallType, NewCall};
    use crate::ids::BatchId;
    use crate::ids::CallId;
    use crate::quality::sample::Reported;
    use serde_json::{Value, json};

    const START: i64 = 1_767_225_600_000;

    fn batch(id: &str, came: i64, samples: &[Value]) -> Batch {
        let sample = |said: &Value| {
            let mut said = said.clone();
            said["timestamp"] = json!(START + said["timestamp"].as_i64().unwrap());
            Sample::from(serde_json::from_value::<Reported>(said).unwrap())
        };
        Batch {
            id: BatchId::try_from(id.to_owned()).unwrap(),
            user: UserId::try_from("alice".to_owned()).unwrap(),
            platform: None,
            received_at: Timestamp::from_millis(START + came),
            samples: samples.iter().map(sample).collect(),
        }
    }

    fn alice(batches: Vec<Batch>) -> Person {
        people(batches, &call()).into_values().next().unwrap()
    }

    fn call() -> Call {
        let alice = UserId::try_from("alice".to_owned()).unwrap();
        Call::begun(&NewCall {
            id: CallId::try_from("c1".to_owned()).unwrap(),
            owner: alice.clone(),
            members: vec![alice],
            call_type: CallType::Video,
            fingerprint: "f".to_owned(),
            parallel: false,
            attempt: "a".to_owned(),
            at: Timestamp::from_millis(START),
        })
    }

    fn times(moments: &[Moment]) -> Vec<(i64, i64)> {
        moments.iter().map(|it| (it.at.as_millis() - START, it.span)).collect()
    }

    #[test]
    fn samples_are_put_in_order_and_on_our_clock() {
        let at = |time: i64| json!({"timestamp": time});
        // The phone is a minute ahead; the second batch was held up for ten seconds.
        let found = alice(vec![
            batch("b", 40_000, &[at(85_000), at(90_000)]),
            batch("a", 20_000, &[at(80_000), at(75_000)]),
        ]);
        let expected = [(15_000, 5_000), (20_000, 5_000), (25_000, 5_000), (30_000, 5_000)];
        assert_eq!(times(&found.inbound), expected);
        assert!(found.outbound.is_empty());
    }

    #[test]
    fn the_same_moment_counts_once_and_a_gap_is_not_spoken_for() {
        let at = |time: i64| json!({"timestamp": time});
        let found = alice(vec![
            batch("a", 5_000, &[at(5_000)]),
            batch("b", 100_000, &[at(5_000), at(100_000)]),
        ]);
        assert_eq!(times(&found.inbound), [(5_000, 30_000), (100_000, 30_000)]);
        let alone = alice(vec![batch("a", 5_000, &[at(5_000)])]);
        assert_eq!(times(&alone.inbound), [(5_000, 5_000)]);
    }

    #[test]
    fn what_would_lie_before_the_call_is_left_out() {
        let at = |time: i64| json!({"timestamp": time});
        let far = batch("b", 20_000, &[at(-86_000_000), at(20_000)]);
        let found = alice(vec![batch("a", 10_000, &[at(10_000)]), far]);
        assert_eq!(times(&found.inbound), [(10_000, 10_000), (20_000, 10_000)]);
    }

    #[test]
    fn what_comes_late_was_not_measured_after_the_end() {
        let at = |time: i64| json!({"timestamp": time});
        let over = Call { ending_at: Some(Timestamp::from_millis(START + 60_000)), ..call() };
        let batches = vec![batch("a", 86_400_000, &[at(-5_000), at(1)])];
        let found = people(batches, &over).into_values().next().unwrap();
        assert_eq!(times(&found.inbound), [(54_999, 5_001), (60_000, 5_001)]);
    }

    #[test]
    fn a_freeze_counts_for_as_long_as_it_was() {
        let frozen =
            |time: i64, seconds: i64| json!({"timestamp": time, "totalFreezesDuration": seconds});
        let long = alice(vec![batch("a", 20_000, &[frozen(10_000, 0), frozen(20_000, 15)])]);
        assert_eq!(frozen_percent(&long.inbound), Some(75.0));
    }

    #[test]
    fn one_way_knows_the_latency_by_the_other() {
        let inbound = |time: i64| json!({"timestamp": time, "jitter": 0.01, "packetsLost": 1, "packetsReceived": 99});
        let outbound = json!({"timestamp": 10_100, "direction": "outbound", "roundTripTime": 0.2});
        let found = alice(vec![batch("a", 60_000, &[inbound(10_000), inbound(60_000), outbound])]);
        let known: Vec<_> = found.inbound.iter().map(|it| it.impairment).collect();
        let expected = Impairment {
            latency_ms: 100.0,
            jitter_ms: 10.0,
            loss_percent: 1.0,
            frozen_percent: 0.0,
        };
        assert_eq!(known, [Some(expected), None]);
        assert_eq!(found.outbound[0].impairment, None);
    }

    #[test]
    fn figures_are_means_over_time_and_sums_of_what_is_counted() {
        let found = alice(vec![batch(
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
        // Both speak for twenty seconds.
        let metrics = metrics(&found.inbound);
        assert_eq!(metrics.jitter, Some(25.0));
        assert_eq!(metrics.packet_loss, Some(15.0));
        assert_eq!(metrics.freezes, Some(3_000.0));
        assert_eq!(metrics.freeze_count, Some(3.0));
        assert_eq!(metrics.video_quality, Some(540.0));
        assert_eq!(metrics.limited_by_cpu, Some(50.0));
        assert_eq!(metrics.connection_stability, Some(50.0));
        assert_eq!(metrics.bitrate, None);
        assert_eq!(frozen_percent(&found.inbound), Some(7.5));
    }
}
