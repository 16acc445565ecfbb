//! The charts of latency, jitter and packet loss over time.

use crate::quality::chart::canvas::{Anchor, Canvas, TextStyle};
use crate::quality::chart::font::{BODY, CAPTION, SMALL, VALUE};
use crate::quality::chart::layout::{Axis, GAP, TimeAxis};
use crate::quality::chart::lines::paths;
use crate::quality::chart::palette::Color;
use crate::quality::response::{Metrics, Quality, TimelinePoint};

/// The height of a chart.
const HEIGHT: f64 = 40.0;

/// The chart of one metric.
struct MetricChart {
    name: &'static str,
    note: &'static str,
    unit: &'static str,
    color: Color,
    /// Higher values are noticeable.
    threshold: f64,
    value_of: fn(&TimelinePoint) -> Option<f64>,
    /// The mean of the call.
    mean_of: fn(&Metrics) -> Option<f64>,
}

const METRIC_CHARTS: [MetricChart; 3] = [
    MetricChart {
        name: "Latency",
        note: "one way",
        unit: "ms",
        color: Color::Latency,
        threshold: 150.0,
        value_of: |point| point.latency,
        mean_of: |metrics| metrics.latency,
    },
    MetricChart {
        name: "Jitter",
        note: "",
        unit: "ms",
        color: Color::Jitter,
        threshold: 30.0,
        value_of: |point| point.jitter,
        mean_of: |metrics| metrics.jitter,
    },
    MetricChart {
        name: "Packet loss",
        note: "",
        unit: "%",
        color: Color::Loss,
        threshold: 2.0,
        value_of: |point| point.packet_loss,
        mean_of: |metrics| metrics.packet_loss,
    },
];

pub(super) fn draw_metric_charts(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    quality: &Quality,
    points: &[TimelinePoint],
) {
    for chart in METRIC_CHARTS {
        let values = points.iter().filter_map(chart.value_of);
        let max_value = values.filter(|value| value.is_finite()).reduce(f64::max);
        chart.draw(canvas, time_axis, points, max_value, (chart.mean_of)(&quality.metrics));
    }
}

impl MetricChart {
    fn draw(
        &self,
        canvas: &mut Canvas,
        time_axis: &TimeAxis,
        points: &[TimelinePoint],
        max_value: Option<f64>,
        mean: Option<f64>,
    ) {
        let layout = canvas.layout;
        let (left, right) = (layout.plot_left, layout.plot_right);
        let name = TextStyle::new(CAPTION, Color::Text);
        canvas.y += if layout.is_wide { 16.0 } else { 14.0 + CAPTION.height() };
        let summary = Summary { unit: self.unit, max_value, mean };
        if !layout.is_wide {
            let value = TextStyle::new(BODY, Color::Quiet).anchored(Anchor::End);
            let text = summary.line();
            let max_width = layout.content_width() - BODY.text_width(&text) - GAP;
            let title = format!("{}, {}", self.name, self.note);
            let has_room = !self.note.is_empty() && CAPTION.text_width(&title) <= max_width;
            let title = if has_room { &title } else { self.name };
            canvas.text(title, (layout.margin, canvas.y), name);
            canvas.text(&text, (layout.content_right, canvas.y), value);
            canvas.y += 8.0;
        }
        let (top, bottom) = (canvas.y, canvas.y + HEIGHT);
        if layout.is_wide {
            let base = top + 18.0;
            canvas.text(self.name, (layout.margin, base), name);
            if !self.note.is_empty() {
                let style = TextStyle::new(SMALL, Color::Quiet);
                canvas.text(self.note, (layout.margin, base + SMALL.line_height()), style);
            }
            let (max_text, mean_text) = summary.parts();
            let value_left = right + GAP + 4.0;
            canvas.text(&max_text, (value_left, base), TextStyle::new(VALUE, Color::Text));
            let at = (value_left, base + SMALL.line_height());
            canvas.text(&mean_text, at, TextStyle::new(SMALL, Color::Quiet));
        }
        canvas.rule((left, right), bottom, Color::Axis, false);
        if max_value.is_some() {
            let max_axis = max_value.unwrap_or_default().max(self.threshold * 4.0 / 3.0);
            let axis = Axis::new(0.0, max_axis, (bottom, top));
            // Near the base line, the label would touch that of the time axis or the next chart.
            let y = axis.position(self.threshold);
            let label = TextStyle::new(SMALL, Color::Quiet).anchored(Anchor::End);
            let base = (y + SMALL.half_capital()).min(bottom);
            canvas.text(&format!("{} {}", self.threshold, self.unit), (left - GAP, base), label);
            for path in
                paths(time_axis, points.iter().map(self.value_of), |value| axis.position(value))
            {
                canvas.area_below(&path, bottom, self.color, 0.12);
                canvas.line(&path, 2.0, self.color);
            }
            canvas.rule((left, right), y, Color::Threshold, true);
        }
        canvas.y = bottom;
    }
}

/// The values of a chart in numbers.
struct Summary {
    unit: &'static str,
    max_value: Option<f64>,
    mean: Option<f64>,
}

impl Summary {
    /// The maximum and the average.
    fn parts(&self) -> (String, String) {
        let text = |label: &str, value: Option<f64>| {
            value.map(|value| format!("{label} {}", format_value(value, self.unit)))
        };
        let max_text = text("max", self.max_value).unwrap_or_else(|| "no data".to_owned());
        (max_text, text("avg", self.mean).unwrap_or_default())
    }

    fn line(&self) -> String {
        let (max_text, mean_text) = self.parts();
        if mean_text.is_empty() { max_text } else { format!("{max_text} · {mean_text}") }
    }
}

/// A value with its unit: small ones with one decimal, delays of many seconds in seconds.
pub(super) fn format_value(value: f64, unit: &str) -> String {
    match (value, unit) {
        (..0.05, _) => format!("0 {unit}"),
        (9_999.5.., "ms") => format!("{:.0} s", value.min(1e6) / 1_000.0),
        (9.95.., _) => format!("{value:.0} {unit}"),
        _ => format!("{value:.1} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short() {
        for (value, unit, text) in [
            (0.0, "%", "0 %"),
            (8.44, "%", "8.4 %"),
            (9.96, "ms", "10 ms"),
            (210.4, "ms", "210 ms"),
            (12_300.0, "ms", "12 s"),
            (f64::MAX, "ms", "1000 s"),
        ] {
            assert_eq!(format_value(value, unit), text);
        }
    }
}
