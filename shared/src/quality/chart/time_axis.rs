//! The labels of the time axis, and the shade of the worst interval.

use crate::quality::chart::canvas::{Anchor, Area, Canvas, TextStyle};
use crate::quality::chart::font::SMALL;
use crate::quality::chart::layout::{GAP, TimeAxis};
use crate::quality::chart::palette::Color;
use crate::quality::response::Interval;

/// The opacity of the shade.
pub(super) const SHADE_OPACITY: f64 = 0.09;
const HOUR_SECONDS: u32 = 3_600;

/// Draws the labels below all charts.
pub(super) fn draw_time_labels(canvas: &mut Canvas, time_axis: &TimeAxis) {
    let layout = canvas.layout;
    let style = TextStyle::new(SMALL, Color::Quiet);
    let base = canvas.y + SMALL.line_height();
    let has_hours = time_axis.total_seconds >= HOUR_SECONDS;
    let unit = if has_hours { "h:min" } else { "min:s" };
    canvas.text(unit, (layout.plot_left - GAP - 4.0, base), style.anchored(Anchor::End));
    for (x, seconds) in time_axis.ticks() {
        let minor = if has_hours { seconds / 60 } else { seconds };
        let label = format!("{}:{:02}", minor / 60, minor % 60);
        let half = SMALL.text_width(&label) / 2.0;
        let (x, anchor) = if seconds == 0 {
            (x, Anchor::Start)
        } else if x + half > layout.plot_right {
            (layout.plot_right, Anchor::End)
        } else {
            (x, Anchor::Middle)
        };
        canvas.text(&label, (x, base), style.anchored(anchor));
    }
    canvas.y = base + 4.0;
}

/// Shades the interval through all charts, from `top` to the last element.
pub(super) fn draw_shade(canvas: &mut Canvas, time_axis: &TimeAxis, interval: &Interval, top: f64) {
    let (left, right) = (time_axis.instant_x(interval.from), time_axis.instant_x(interval.to));
    let area = Area { left, top, right: right.max(left + 1.0), bottom: canvas.y };
    canvas.shade(area, Color::Shade, SHADE_OPACITY);
}
