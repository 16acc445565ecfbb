//! The chart of the score over time, with the bands behind it.

use crate::quality::chart::bands::ScoreScale;
use crate::quality::chart::canvas::{Anchor, Area, Canvas, TextStyle};
use crate::quality::chart::font::{BODY, CAPTION, SMALL, VALUE};
use crate::quality::chart::layout::{GAP, SECTION_GAP, TimeAxis};
use crate::quality::chart::lines::paths;
use crate::quality::chart::palette::Color;
use crate::quality::response::TimelinePoint;

/// The opacity of a band.
pub(super) const BAND_OPACITY: f64 = 0.1;

/// Draws the chart. Returns its top.
pub(super) fn draw_score_chart(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    points: &[TimelinePoint],
) -> f64 {
    let layout = canvas.layout;
    canvas.y += SECTION_GAP + CAPTION.height();
    let lowest = points.iter().filter_map(|point| point.score);
    let lowest = lowest.filter(|score| score.is_finite()).reduce(f64::min);
    let caption = "Score, lowest at each moment";
    canvas.text(caption, (layout.margin, canvas.y), TextStyle::new(CAPTION, Color::Text));
    if let (Some(lowest), false) = (lowest, layout.is_wide) {
        let style = TextStyle::new(BODY, Color::Quiet).anchored(Anchor::End);
        canvas.text(&format!("min {lowest:.1}"), (layout.content_right, canvas.y), style);
    }
    let top = canvas.y + 10.0;
    let scale = ScoreScale::new(top);
    for (style, top, bottom) in scale.bands() {
        let (left, right) = (layout.plot_left, layout.plot_right);
        canvas.tint(Area { left, top, right, bottom }, style.color, BAND_OPACITY);
        let mark = Area { left: left - 4.0, top: top + 1.0, right: left, bottom: bottom - 1.0 };
        canvas.bar(mark, (0.0, 0.0), style.color);
        let base = f64::midpoint(top, bottom) + SMALL.half_capital();
        let label = TextStyle::new(SMALL, Color::Quiet).anchored(Anchor::End);
        canvas.text(style.name, (left - 4.0 - GAP, base), label);
    }
    for path in paths(time_axis, points.iter().map(|point| point.score), |mos| scale.position(mos))
    {
        canvas.line(&path, 2.5, Color::Text);
    }
    if let (Some(lowest), true) = (lowest, layout.is_wide) {
        let highest_base = top + VALUE.height();
        let base =
            (scale.position(lowest) + VALUE.half_capital()).clamp(highest_base, scale.bottom);
        let at = (layout.plot_right + GAP + 4.0, base);
        canvas.text(&format!("min {lowest:.1}"), at, TextStyle::new(VALUE, Color::Text));
    }
    canvas.y = scale.bottom;
    top
}
