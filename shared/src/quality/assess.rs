//! The assessment of one direction.

use crate::quality::aggregate::Aggregate;
use crate::quality::model::{Inputs, playout_of_jitter, rate};
use crate::quality::response::{Assessment, DirectionQuality, Metrics};
use crate::quality::sample::Direction;
use crate::quality::track::AlignedSample;
use crate::score_model::ScoreModel;

/// The quality of a direction, and the inputs of its score if it has one.
pub(super) type AssessedDirection = (DirectionQuality, Option<Inputs>);

/// The direction with the lower R. A direction with a score comes before one without, and inbound
/// before outbound.
pub(super) fn worse_direction<'a>(
    inbound: Option<&'a AssessedDirection>,
    outbound: Option<&'a AssessedDirection>,
) -> Option<(Direction, &'a AssessedDirection)> {
    let r_or_max = |(quality, _): &AssessedDirection| quality.assessment.r.unwrap_or(f64::MAX);
    [(Direction::Inbound, inbound), (Direction::Outbound, outbound)]
        .into_iter()
        .filter_map(|(direction, quality)| Some((direction, quality?)))
        .min_by(|a, b| r_or_max(a.1).total_cmp(&r_or_max(b.1)))
}

/// Assesses one direction. Stream's metrics replace those that no sample has.
pub(super) fn assess_direction(
    model: ScoreModel,
    samples: &[AlignedSample],
    stream_metrics: &Metrics,
) -> AssessedDirection {
    let aggregate = Aggregate::new(samples);
    let sample_metrics = aggregate.metrics();
    let metrics = Metrics {
        latency: sample_metrics.latency.or(stream_metrics.latency),
        round_trip_time: sample_metrics.round_trip_time.or(stream_metrics.round_trip_time),
        jitter: sample_metrics.jitter.or(stream_metrics.jitter),
        freezes: sample_metrics.freezes.or(stream_metrics.freezes),
        ..sample_metrics
    };
    let sample_inputs = aggregate.inputs(model);
    let inputs = Inputs {
        latency_ms: metrics.latency,
        playout_ms: sample_inputs.playout_ms.or(metrics.jitter.map(playout_of_jitter)),
        ..sample_inputs
    };
    let ratings = rate(model, &inputs);
    let assessment = Assessment::new(model, &ratings, inputs.missing());
    (DirectionQuality { assessment, metrics }, ratings.overall.map(|_| inputs))
}
