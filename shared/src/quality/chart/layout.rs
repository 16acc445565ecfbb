//! The layout, and the mapping of values and times to pixels.

use crate::clock::Timestamp;
use crate::quality::chart::width::Width;
use crate::quality::response::Timeline;

/// The gap between a label and its element.
pub(super) const GAP: f64 = 8.0;
/// The gap between two sections.
pub(super) const SECTION_GAP: f64 = 22.0;
/// From this width on, names are beside their rows, and values have a column of their own.
const MIN_WIDE_WIDTH: u32 = 600;
/// From this width on, the column of names is wider.
const MIN_LONG_NAME_WIDTH: f64 = 760.0;
/// The minimum distance between ticks, which leaves room for their labels.
const MIN_TICK_SPACING: f64 = 64.0;
/// The allowed tick intervals, in seconds.
const TICK_STEPS_SECONDS: [u32; 15] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];

/// The columns of a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) width: f64,
    /// The margin around the content.
    pub(super) margin: f64,
    pub(super) is_wide: bool,
    /// The left edge of the charts and bars.
    pub(super) plot_left: f64,
    /// The right edge of the charts and bars.
    pub(super) plot_right: f64,
    /// The right edge of the content.
    pub(super) content_right: f64,
}

impl Layout {
    pub(super) fn new(width: Width) -> Self {
        let is_wide = width.get() >= MIN_WIDE_WIDTH;
        let width = f64::from(width.get());
        let margin = if is_wide { 24.0 } else { 16.0 };
        let content_right = width - margin;
        // The narrow layout has a column for band names, thresholds and scores only.
        let (label_width, value_width) = if !is_wide {
            (64.0, 0.0)
        } else if width < MIN_LONG_NAME_WIDTH {
            (150.0, 84.0)
        } else {
            (176.0, 84.0)
        };
        Self {
            width,
            margin,
            is_wide,
            plot_left: margin + label_width,
            plot_right: content_right - value_width,
            content_right,
        }
    }

    pub(super) fn content_width(&self) -> f64 {
        self.content_right - self.margin
    }
}

/// Maps values to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    pixels: (f64, f64),
}

impl Axis {
    /// Requires `low` < `high`. The pixels may be in descending order.
    pub(super) fn new(low: f64, high: f64, pixels: (f64, f64)) -> Self {
        Self { low, high, pixels }
    }

    /// The position of a value, clamped to the axis.
    pub(super) fn position(&self, value: f64) -> f64 {
        let share = (value.max(self.low).min(self.high) - self.low) / (self.high - self.low);
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }
}

/// The time axis, from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    origin: Timestamp,
    step_seconds: u32,
    pub(super) total_seconds: u32,
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

    /// The left and the right edge.
    pub(super) fn edges(&self) -> (f64, f64) {
        self.axis.pixels
    }

    /// The left edge of a bucket.
    pub(super) fn bucket_start_x(&self, bucket: u32) -> f64 {
        self.axis.position(f64::from(bucket) * f64::from(self.step_seconds))
    }

    /// The middle of a bucket.
    pub(super) fn bucket_middle_x(&self, bucket: u32) -> f64 {
        self.axis.position((f64::from(bucket) + 0.5) * f64::from(self.step_seconds))
    }

    /// The bucket of a time, clamped to the axis.
    pub(super) fn bucket_at(&self, at: Timestamp) -> u32 {
        let step = u64::from(self.step_seconds);
        let bucket = u32::try_from(at.since(self.origin).as_secs() / step).unwrap_or(u32::MAX);
        bucket.min(self.total_seconds / self.step_seconds - 1)
    }

    /// The position of a time, clamped to the axis.
    pub(super) fn instant_x(&self, at: Timestamp) -> f64 {
        self.axis.position(at.since(self.origin).as_secs_f64())
    }

    /// The ticks that fit the width, each with its seconds since the start.
    pub(super) fn ticks(&self) -> Vec<(f64, u32)> {
        let width = self.axis.pixels.1 - self.axis.pixels.0;
        let fits = |step: &u32| {
            width * f64::from(*step) / f64::from(self.total_seconds) >= MIN_TICK_SPACING
        };
        let step = TICK_STEPS_SECONDS.into_iter().find(fits);
        let step = step.unwrap_or(self.total_seconds.div_ceil(3));
        (0..=self.total_seconds / step)
            .map(|tick| tick * step)
            .map(|at| (self.axis.position(f64::from(at)), at))
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
            assert!(ticks.len() >= 2, "{ticks:?}");
            assert!(
                ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= MIN_TICK_SPACING - 0.1),
                "{ticks:?}"
            );
        }
    }

    #[test]
    fn value_outside_the_axis_is_clamped() {
        let axis = Axis::new(1.0, 4.5, (164.0, 4.0));
        for (value, pixel) in
            [(1.0, 164.0), (4.5, 4.0), (2.75, 84.0), (f64::INFINITY, 4.0), (-1e300, 164.0)]
        {
            assert!((axis.position(value) - pixel).abs() < 1e-9, "{value}");
        }
    }
}
