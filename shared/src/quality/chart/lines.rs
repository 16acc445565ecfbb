//! Lines over time. A line breaks at buckets without data.

use crate::quality::chart::canvas::Position;
use crate::quality::chart::layout::TimeAxis;

/// The paths of the values, one for each run of buckets with data. A path begins at the start of
/// its first bucket and ends at the end of its last one, so that a single value is visible.
pub(super) fn paths(
    time_axis: &TimeAxis,
    values: impl Iterator<Item = Option<f64>>,
    position: impl Fn(f64) -> f64,
) -> Vec<Vec<Position>> {
    let finite = values.map(|value| value.filter(|value| value.is_finite()));
    let buckets: Vec<(u32, Option<f64>)> = (0..).zip(finite).collect();
    let runs = buckets.chunk_by(|a, b| a.1.is_some() == b.1.is_some());
    let path = |run: &[(u32, Option<f64>)]| {
        let known: Vec<(u32, f64)> =
            run.iter().filter_map(|&(bucket, value)| Some((bucket, value?))).collect();
        let (&(first, first_value), &(last, last_value)) = known.first().zip(known.last())?;
        let mut path = vec![(time_axis.bucket_start_x(first), position(first_value))];
        path.extend(
            known
                .iter()
                .map(|&(bucket, value)| (time_axis.bucket_middle_x(bucket), position(value))),
        );
        path.push((time_axis.bucket_start_x(last.saturating_add(1)), position(last_value)));
        Some(path)
    };
    runs.filter_map(path).collect()
}
