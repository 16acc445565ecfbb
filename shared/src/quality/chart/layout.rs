//! The layout, and the mapping of values and times to pixels.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::Ranged;

use crate::clock::Timestamp;
use crate::quality::chart::text::format_elapsed;
use crate::quality::chart::width::Width;
use crate::quality::response::Timeline;

/// The margin around the content.
pub(super) const MARGIN: i32 = 10;
/// The gap between a label and its element.
pub(super) const GAP: i32 = 6;
/// The maximum width of the narrow layout, which places names above their strips.
const MAX_NARROW_WIDTH: i32 = 480;
/// The minimum distance between ticks, which leaves room for their labels.
const MIN_TICK_SPACING: i32 = 54;
/// The allowed tick intervals, in seconds.
const TICK_STEPS_SECONDS: [u32; 15] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];

/// The columns of a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) width: i32,
    pub(super) is_narrow: bool,
    /// The left edge of the charts and strips.
    pub(super) plot_left: i32,
    /// The right edge of the charts and strips.
    pub(super) plot_right: i32,
    /// The right edge of the content.
    pub(super) content_right: i32,
}

impl Layout {
    pub(super) fn new(width: Width) -> Self {
        let width = width.get().cast_signed();
        let is_narrow = width <= MAX_NARROW_WIDTH;
        let content_right = width - MARGIN;
        Self {
            width,
            is_narrow,
            plot_left: MARGIN + if is_narrow { 62 } else { 150 },
            plot_right: content_right - 16,
            content_right,
        }
    }
}

/// Maps values to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    pixels: (i32, i32),
}

impl Axis {
    /// Requires `low` < `high`. The pixels may be in descending order.
    pub(super) fn new(low: f64, high: f64, pixels: (i32, i32)) -> Self {
        Self { low, high, pixels }
    }

    /// The position of a value, clamped to the axis.
    pub(super) fn position(&self, value: f64) -> i32 {
        let value = value.max(self.low).min(self.high);
        RangedCoordf64::from(self.low..self.high).map(&value, self.pixels)
    }
}

/// The time axis, from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    origin: Timestamp,
    step_seconds: u32,
    total_seconds: u32,
    axis: Axis,
}

impl TimeAxis {
    pub(super) fn new(timeline: &Timeline, layout: Layout) -> Self {
        let buckets = u32::try_from(timeline.points.len()).unwrap_or(u32::MAX).max(1);
        let step_seconds = timeline.step_seconds.max(1);
        let total_seconds = buckets.saturating_mul(step_seconds);
        let axis = Axis::new(0.0, f64::from(total_seconds), (layout.plot_left, layout.plot_right));
        Self { origin: timeline.from, step_seconds, total_seconds, axis }
    }

    /// The left edge of a bucket.
    pub(super) fn bucket_start_x(&self, bucket: u32) -> i32 {
        self.axis.position(f64::from(bucket) * f64::from(self.step_seconds))
    }

    /// The middle of a bucket.
    pub(super) fn bucket_middle_x(&self, bucket: u32) -> i32 {
        self.axis.position((f64::from(bucket) + 0.5) * f64::from(self.step_seconds))
    }

    /// The position of a time, clamped to the axis.
    pub(super) fn instant_x(&self, at: Timestamp) -> i32 {
        self.axis.position(at.since(self.origin).as_secs_f64())
    }

    /// The ticks that fit the width, each labelled with the time since the start.
    pub(super) fn ticks(&self) -> Vec<(i32, String)> {
        let width = self.axis.pixels.1 - self.axis.pixels.0;
        let max_ticks = (width / MIN_TICK_SPACING).clamp(2, 8).unsigned_abs();
        let fits = |step: &u32| self.total_seconds.div_ceil(*step) <= max_ticks;
        let step = TICK_STEPS_SECONDS
            .into_iter()
            .find(fits)
            .unwrap_or(self.total_seconds.div_ceil(max_ticks));
        (0..=self.total_seconds / step)
            .map(|tick| tick * step)
            .map(|at| (self.axis.position(f64::from(at)), format_elapsed(u64::from(at))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_do_not_overlap() {
        for (width, buckets, step) in
            [(320_u32, 240, 15), (800, 240, 15), (1600, 7, 5), (320, 9, u32::MAX)]
        {
            let points = vec![crate::quality::response::TimelinePoint::default(); buckets];
            let timeline = Timeline { from: Timestamp::from_secs(0), step_seconds: step, points };
            let ticks =
                TimeAxis::new(&timeline, Layout::new(Width::try_from(width).unwrap())).ticks();
            assert!((2..=9).contains(&ticks.len()), "{ticks:?}");
            assert!(
                ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= MIN_TICK_SPACING - 1),
                "{ticks:?}"
            );
        }
    }

    #[test]
    fn value_outside_the_axis_is_clamped() {
        let axis = Axis::new(1.0, 4.5, (164, 4));
        for (value, pixel) in [(1.0, 164), (4.5, 4), (2.75, 84), (f64::INFINITY, 4), (-1e300, 164)]
        {
            assert_eq!(axis.position(value), pixel, "{value}");
        }
    }
}
