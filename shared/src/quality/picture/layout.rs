//! Where things are: what values and instants become in pixels.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::Ranged;

use crate::clock::Timestamp;
use crate::quality::answer::Timeline;
use crate::quality::picture::text::clock;
use crate::quality::picture::width::Width;

/// Around everything.
pub(super) const MARGIN: i32 = 10;
/// Between words and what they are of.
pub(super) const GAP: i32 = 6;
/// The widest that a narrow picture is: there, names stand above their strips.
const NARROW: i32 = 480;
/// The room for a time below its tick.
const TICK: i32 = 54;
/// The seconds that may be from one tick to the next.
const STEPS: [u32; 15] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];

/// The columns of a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) width: i32,
    pub(super) narrow: bool,
    /// Where the charts and strips begin.
    pub(super) left: i32,
    /// Where they end.
    pub(super) right: i32,
    /// Where everything ends.
    pub(super) end: i32,
}

impl Layout {
    pub(super) fn new(width: Width) -> Self {
        let width = width.get().cast_signed();
        let narrow = width <= NARROW;
        let end = width - MARGIN;
        Self { width, narrow, left: MARGIN + if narrow { 62 } else { 150 }, right: end - 16, end }
    }
}

/// From values to pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    pixels: (i32, i32),
}

impl Axis {
    /// `low` is below `high`; the pixels may run either way.
    pub(super) fn new(low: f64, high: f64, pixels: (i32, i32)) -> Self {
        Self { low, high, pixels }
    }

    /// Where the value is; at an end where it is off the axis.
    pub(super) fn at(&self, value: f64) -> i32 {
        let value = value.max(self.low).min(self.high);
        RangedCoordf64::from(self.low..self.high).map(&value, self.pixels)
    }
}

/// The time line from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    from: Timestamp,
    step: u32,
    seconds: u32,
    axis: Axis,
}

impl Time {
    pub(super) fn new(timeline: &Timeline, layout: Layout) -> Self {
        let spans = u32::try_from(timeline.points.len()).unwrap_or(u32::MAX).max(1);
        let step = timeline.step_seconds.max(1);
        let seconds = spans.saturating_mul(step);
        let axis = Axis::new(0.0, f64::from(seconds), (layout.left, layout.right));
        Self { from: timeline.from, step, seconds, axis }
    }

    /// Where the span with this number begins.
    pub(super) fn start(&self, span: u32) -> i32 {
        self.axis.at(f64::from(span) * f64::from(self.step))
    }

    /// The middle of the span with this number.
    pub(super) fn middle(&self, span: u32) -> i32 {
        self.axis.at((f64::from(span) + 0.5) * f64::from(self.step))
    }

    /// Where the instant is; at an end where it is before or after the time line.
    pub(super) fn instant(&self, at: Timestamp) -> i32 {
        self.axis.at(at.since(self.from).as_secs_f64())
    }

    /// The ticks, each with its time since the beginning: as many as there is room for.
    pub(super) fn ticks(&self) -> Vec<(i32, String)> {
        let room = self.axis.pixels.1 - self.axis.pixels.0;
        let most = (room / TICK).clamp(2, 8).unsigned_abs();
        let fits = |step: &u32| self.seconds.div_ceil(*step) <= most;
        let step = STEPS.into_iter().find(fits).unwrap_or(self.seconds.div_ceil(most));
        (0..=self.seconds / step)
            .map(|tick| tick * step)
            .map(|at| (self.axis.at(f64::from(at)), clock(u64::from(at))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_apart() {
        for (width, spans, step) in
            [(320_u32, 240, 15), (800, 240, 15), (1600, 7, 5), (320, 9, u32::MAX)]
        {
            let points = vec![crate::quality::answer::Point::default(); spans];
            let timeline = Timeline { from: Timestamp::from_secs(0), step_seconds: step, points };
            let ticks = Time::new(&timeline, Layout::new(Width::try_from(width).unwrap())).ticks();
            assert!((2..=9).contains(&ticks.len()), "{ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= TICK - 1), "{ticks:?}");
        }
    }

    #[test]
    fn a_value_off_the_axis_is_at_its_end() {
        let axis = Axis::new(1.0, 4.5, (164, 4));
        for (value, pixel) in [(1.0, 164), (4.5, 4), (2.75, 84), (f64::INFINITY, 4), (-1e300, 164)]
        {
            assert_eq!(axis.at(value), pixel, "{value}");
        }
    }
}
