//! The time line of a call: at most 240 buckets of equal length. Each bucket shows its worst
//! values, so that a short problem stays visible in a long call.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::ids::UserId;
use crate::quality::mean::mean;
use crate::quality::model::CauseCosts;
use crate::quality::response::{Freeze, Interval, Timeline, TimelinePoint};
use crate::quality::score::Score;
use crate::quality::track::{AlignedSample, ParticipantTrack};
use crate::quality::unit::{Millis, Percent, round_to_thousandth};

/// The maximum number of buckets.
const MAX_BUCKETS: i64 = 240;
/// The shortest bucket, in milliseconds: the documented sample interval.
const MIN_STEP_MS: i64 = 5_000;
/// The minimum drop of the mean R, compared to the rest of the call, that makes a worst interval.
const MIN_R_DROP: f64 = 5.0;

/// The buckets of a call's time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buckets {
    start_ms: i64,
    step_ms: i64,
    count: usize,
}

/// The worst sample of a participant in a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
struct WorstSample {
    r: f64,
    costs: CauseCosts,
}

/// The time line of one participant.
#[derive(Clone, Debug)]
pub(super) struct ParticipantTimeline {
    worst: Vec<Option<WorstSample>>,
    latency: Vec<Option<f64>>,
    jitter: Vec<Option<f64>>,
    packet_loss: Vec<Option<f64>>,
    freeze_ms: Vec<f64>,
}

impl Buckets {
    /// Buckets that cover all samples; `None` without samples.
    pub(super) fn from_tracks(tracks: &BTreeMap<UserId, ParticipantTrack>) -> Option<Self> {
        let samples = || tracks.values().flat_map(ParticipantTrack::samples);
        let start_ms = samples().map(|sample| sample.at.as_millis() - sample.duration_ms).min()?;
        let end_ms = samples().map(|sample| sample.at.as_millis()).max()?;
        let div_ceil = |dividend: i64, divisor: i64| (dividend + divisor - 1) / divisor;
        // Whole seconds, because the response has `stepSeconds`.
        let step_ms = (div_ceil(end_ms - start_ms, MAX_BUCKETS * 1000) * 1000).max(MIN_STEP_MS);
        let count = usize::try_from(div_ceil(end_ms - start_ms, step_ms)).unwrap_or(1).max(1);
        Some(Self { start_ms, step_ms, count })
    }

    /// The time line of one participant.
    pub(super) fn participant_timeline(self, track: &ParticipantTrack) -> ParticipantTimeline {
        let empty = || vec![None; self.count];
        let mut timeline = ParticipantTimeline {
            worst: vec![None; self.count],
            latency: empty(),
            jitter: empty(),
            packet_loss: empty(),
            freeze_ms: vec![0.0; self.count],
        };
        for sample in track.samples() {
            timeline.add_sample(sample, self);
        }
        timeline
    }

    fn bucket_start(self, index: usize) -> Timestamp {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.start_ms.saturating_add(self.step_ms.saturating_mul(index)))
    }

    /// The buckets that a sample covers.
    fn indices_of(self, sample: &AlignedSample) -> std::ops::RangeInclusive<usize> {
        let at_ms = sample.at.as_millis();
        let index_at = |time_ms: i64| {
            let index = (time_ms - self.start_ms).max(0) / self.step_ms;
            usize::try_from(index).unwrap_or(0).min(self.count - 1)
        };
        index_at(at_ms - sample.duration_ms)..=index_at(at_ms - 1)
    }
}

impl ParticipantTimeline {
    fn add_sample(&mut self, aligned: &AlignedSample, buckets: Buckets) {
        let sample = &aligned.sample;
        let worst =
            aligned.rating.map(|rating| WorstSample { r: rating.score.r, costs: rating.costs });
        let raise_max = |values: &mut [Option<f64>], index: usize, value: Option<f64>| {
            if let (Some(slot), Some(value)) = (values.get_mut(index), value) {
                *slot = Some(slot.map_or(value, |current| current.max(value)));
            }
        };
        let indices = buckets.indices_of(aligned);
        if let (Some(slot), Some(duration)) =
            (self.freeze_ms.get_mut(*indices.end()), sample.freeze_duration)
        {
            // A freeze is counted once, in the bucket of its end.
            *slot += duration.get();
        }
        for index in indices {
            raise_max(&mut self.latency, index, sample.one_way_latency().map(Millis::get));
            raise_max(&mut self.jitter, index, sample.jitter.map(Millis::get));
            raise_max(&mut self.packet_loss, index, sample.packet_loss.map(Percent::get));
            if let (Some(slot), Some(worst)) = (self.worst.get_mut(index), worst)
                && slot.is_none_or(|current| worst.r < current.r)
            {
                *slot = Some(worst);
            }
        }
    }

    /// The lowest score in each bucket.
    pub(super) fn scores(&self) -> Vec<Option<f64>> {
        let mos = |worst: WorstSample| round_to_thousandth(Score::from_r(worst.r).mos);
        self.worst.iter().map(|worst| worst.map(mos)).collect()
    }

    /// The buckets with frozen video.
    pub(super) fn freezes(&self, buckets: Buckets) -> Vec<Freeze> {
        let freezes = self.freeze_ms.iter().enumerate().filter(|(_, duration)| **duration > 0.0);
        freezes
            .map(|(index, duration)| Freeze {
                at: buckets.bucket_start(index),
                duration: round_to_thousandth(*duration),
            })
            .collect()
    }

    /// The run of buckets with the largest sum of differences between the mean R and their R, and
    /// that sum (Kadane's algorithm).
    fn worst_bucket_range(&self) -> Option<(std::ops::Range<usize>, f64)> {
        let scores: Vec<f64> = self.worst.iter().flatten().map(|worst| worst.r).collect();
        let mean = mean(&scores)?;
        let mut worst_range: Option<(std::ops::Range<usize>, f64)> = None;
        let (mut start, mut sum) = (0, 0.0);
        for (index, worst) in self.worst.iter().enumerate() {
            // A bucket without a score ends a run.
            let Some(worst) = worst else {
                (start, sum) = (index + 1, 0.0);
                continue;
            };
            if sum <= 0.0 {
                (start, sum) = (index, 0.0);
            }
            sum += mean - worst.r;
            if worst_range.as_ref().is_none_or(|(_, max_sum)| sum > *max_sum) {
                worst_range = Some((start..index + 1, sum));
            }
        }
        worst_range.filter(|(_, sum)| *sum > 0.0)
    }

    /// The interval that is at least [`MIN_R_DROP`] worse than the rest, and its sum of
    /// differences.
    fn worst_interval(&self, user: &UserId, buckets: Buckets) -> Option<(Interval, f64)> {
        let (range, sum) = self.worst_bucket_range()?;
        let partition = |inside: bool| {
            let entries = self.worst.iter().enumerate();
            let entries = entries.filter(|(index, _)| range.contains(index) == inside);
            entries.filter_map(|(_, worst)| *worst).collect::<Vec<_>>()
        };
        let (inside, outside) = (partition(true), partition(false));
        let mean_r =
            |worst: &[WorstSample]| mean(&worst.iter().map(|worst| worst.r).collect::<Vec<_>>());
        let (r, rest_r) = (mean_r(&inside)?, mean_r(&outside)?);
        if rest_r - r < MIN_R_DROP {
            return None;
        }
        let mut added_costs = CauseCosts::default();
        for (worst, sign) in [(&inside, 1.0), (&outside, -1.0)] {
            #[expect(clippy::cast_precision_loss, reason = "at most 240 buckets")]
            let factor = sign / worst.len() as f64;
            for sample in worst {
                added_costs.add_scaled(&sample.costs, factor);
            }
        }
        let (cause, _) = added_costs.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let interval = Interval {
            user_id: user.to_string(),
            cause,
            score: round_to_thousandth(Score::from_r(r).mos),
            from: buckets.bucket_start(range.start),
            to: buckets.bucket_start(range.end),
        };
        Some((interval, sum))
    }
}

/// The worst interval of all participants.
pub(super) fn worst_interval(
    timelines: &BTreeMap<UserId, ParticipantTimeline>,
    buckets: Buckets,
) -> Option<Interval> {
    let intervals =
        timelines.iter().filter_map(|(user, timeline)| timeline.worst_interval(user, buckets));
    intervals.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(interval, _)| interval)
}

/// The merged time line of all participants.
pub(super) fn timeline(
    timelines: &BTreeMap<UserId, ParticipantTimeline>,
    buckets: Buckets,
) -> Timeline {
    let point_at = |index: usize| {
        let max_of = |values_of: fn(&ParticipantTimeline) -> &Vec<Option<f64>>| {
            let values =
                timelines.values().filter_map(|timeline| *values_of(timeline).get(index)?);
            values.max_by(f64::total_cmp)
        };
        let worst = timelines
            .iter()
            .filter_map(|(user, timeline)| Some((user, (*timeline.worst.get(index)?)?.r)));
        let worst = worst.min_by(|a, b| a.1.total_cmp(&b.1));
        TimelinePoint {
            score: worst.map(|(_, r)| round_to_thousandth(Score::from_r(r).mos)),
            user_id: worst.map(|(user, _)| user.to_string()),
            latency: max_of(|timeline| &timeline.latency),
            jitter: max_of(|timeline| &timeline.jitter),
            packet_loss: max_of(|timeline| &timeline.packet_loss),
        }
    };
    Timeline {
        from: buckets.bucket_start(0),
        step_seconds: u32::try_from(buckets.step_ms / 1000).unwrap_or(u32::MAX),
        points: (0..buckets.count).map(point_at).collect(),
    }
}
