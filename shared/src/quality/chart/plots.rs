//! The charts of the score and its inputs over time. A line breaks at buckets without data.

use crate::quality::chart::bands::{self, BANDS, MAX_MOS, MIN_MOS};
use crate::quality::chart::canvas::{Canvas, MIDDLE_LEFT, MIDDLE_RIGHT, TOP_MIDDLE};
use crate::quality::chart::layout::{Axis, GAP, TimeAxis};
use crate::quality::chart::palette::Ink;
use crate::quality::chart::text::{CAPTION, SMALL};
use crate::quality::response::TimelinePoint;

/// The chart of one metric.
struct MetricChart {
    caption: &'static str,
    color: Ink,
    /// The minimum upper end of the axis, so that small values do not look large.
    min_axis_max: f64,
    value_of: fn(&TimelinePoint) -> Option<f64>,
}

const METRIC_CHARTS: [MetricChart; 3] = [
    MetricChart {
        caption: "Latency, one way (ms)",
        color: Ink::Latency,
        min_axis_max: 100.0,
        value_of: |point| point.latency,
    },
    MetricChart {
        caption: "Jitter (ms)",
        color: Ink::Jitter,
        min_axis_max: 20.0,
        value_of: |point| point.jitter,
    },
    MetricChart {
        caption: "Packet loss (%)",
        color: Ink::Loss,
        min_axis_max: 1.0,
        value_of: |point| point.packet_loss,
    },
];

/// The score over time, with the bands behind it.
pub(super) fn draw_score_chart(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    points: &[TimelinePoint],
) {
    let (top, bottom) =
        reserve_plot_area(canvas, "Mean opinion score (1 to 4.5), the worst at each time", 160);
    let (left, right) = (canvas.layout.plot_left, canvas.layout.plot_right);
    let scale = Axis::new(MIN_MOS, MAX_MOS, (bottom, top));
    // The upper bands have less height than their labels, so labels keep a minimum distance.
    let (mut band_top, mut label_y) = (top, top);
    for band in BANDS.map(bands::band_style) {
        let band_bottom = scale.position(band.min_mos);
        canvas.fill((left, band_top), (right, band_bottom), band.tint);
        let middle = i32::midpoint(band_top, band_bottom).max(label_y);
        canvas.text(band.name, (left - GAP, middle), SMALL, MIDDLE_RIGHT, Ink::Text);
        label_y = middle + SMALL.size + 1;
        band_top = band_bottom;
    }
    for score in 1..=4_i32 {
        let at = (right + 4, scale.position(f64::from(score)));
        canvas.text(score.to_string(), at, SMALL, MIDDLE_LEFT, Ink::Quiet);
    }
    draw_grid(canvas, time_axis, top, bottom);
    draw_line(canvas, time_axis, &scale, Ink::Opinion, points.iter().map(|point| point.score));
}

/// The charts of latency, jitter and packet loss.
pub(super) fn draw_metric_charts(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    points: &[TimelinePoint],
) {
    for MetricChart { caption, color, min_axis_max, value_of } in METRIC_CHARTS {
        let (top, bottom) = reserve_plot_area(canvas, caption, 56);
        let (left, right) = (canvas.layout.plot_left, canvas.layout.plot_right);
        let values = || points.iter().map(value_of);
        let known = values().flatten().filter(|value| value.is_finite());
        let max_value = known.reduce(f64::max);
        let axis_max = round_axis_max(min_axis_max, max_value.unwrap_or(0.0));
        let scale = Axis::new(0.0, axis_max, (bottom, top));
        for value in [0.0, axis_max / 2.0, axis_max] {
            let y = scale.position(value);
            canvas.line(vec![(left, y), (right, y)], 1, Ink::Grid);
            canvas.text(value.to_string(), (left - GAP, y), SMALL, MIDDLE_RIGHT, Ink::Quiet);
        }
        draw_grid(canvas, time_axis, top, bottom);
        draw_line(canvas, time_axis, &scale, color, values());
        if max_value.is_none() {
            let at = (left + GAP, i32::midpoint(top, bottom) - SMALL.size);
            canvas.text("no data", at, SMALL, MIDDLE_LEFT, Ink::Quiet);
        }
    }
}

/// The ticks and labels of the time axis.
pub(super) fn draw_time_axis(canvas: &mut Canvas, time_axis: &TimeAxis) {
    for (x, label) in time_axis.ticks() {
        canvas.line(vec![(x, canvas.y), (x, canvas.y + 4)], 1, Ink::Outline);
        canvas.text(label, (x, canvas.y + 6), SMALL, TOP_MIDDLE, Ink::Quiet);
    }
    canvas.y += 24;
}

/// Draws the caption of a chart and reserves its area. Returns the top and the bottom.
fn reserve_plot_area(canvas: &mut Canvas, caption: &str, height: i32) -> (i32, i32) {
    canvas.y += 10;
    canvas.paragraph(caption, CAPTION, Ink::Text);
    let top = canvas.y + 4;
    canvas.y = top + height;
    (top, canvas.y)
}

fn draw_grid(canvas: &mut Canvas, time_axis: &TimeAxis, top: i32, bottom: i32) {
    for (x, _) in time_axis.ticks() {
        canvas.line(vec![(x, top), (x, bottom)], 1, Ink::Grid);
    }
    canvas.outline(
        (canvas.layout.plot_left, top),
        (canvas.layout.plot_right, bottom),
        Ink::Outline,
    );
}

/// The first round number from `min_axis_max` on that is at least `max_value`.
fn round_axis_max(min_axis_max: f64, max_value: f64) -> f64 {
    // Larger values are clamped to the top of the axis, because their labels would not fit.
    let max_value = max_value.min(1e6);
    let mut axis_max = min_axis_max;
    for factor in [2.0, 2.5, 2.0].repeat(7) {
        if axis_max < max_value {
            axis_max *= factor;
        }
    }
    axis_max
}

/// Draws a line from the start to the end of each run of values, so that a single value is visible.
fn draw_line(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    scale: &Axis,
    color: Ink,
    values: impl Iterator<Item = Option<f64>>,
) {
    let finite = values.map(|value| value.filter(|value| value.is_finite()));
    let buckets: Vec<(u32, Option<f64>)> = (0..).zip(finite).collect();
    for run in buckets.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
        let known: Vec<(u32, f64)> =
            run.iter().filter_map(|&(bucket, value)| Some((bucket, value?))).collect();
        if let (Some(&(first, first_value)), Some(&(last, last_value))) =
            (known.first(), known.last())
        {
            let mut path = vec![(time_axis.bucket_start_x(first), scale.position(first_value))];
            path.extend(known.iter().map(|&(bucket, value)| {
                (time_axis.bucket_middle_x(bucket), scale.position(value))
            }));
            path.push((time_axis.bucket_start_x(last + 1), scale.position(last_value)));
            canvas.line(path, 2, color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_ends_at_a_round_number() {
        let cases = [
            (1.0, 0.0, "1"),
            (1.0, 1.5, "2"),
            (1.0, 30.0, "50"),
            (20.0, 21.0, "40"),
            (100.0, 201.0, "500"),
            (100.0, f64::MAX, "1000000"),
        ];
        for (min_axis_max, max_value, expected) in cases {
            assert_eq!(round_axis_max(min_axis_max, max_value).to_string(), expected);
        }
    }
}
