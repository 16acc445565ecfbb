//! The chart of a call's quality: a self-contained SVG in light or dark colors.
//!
//! The SVG contains no scripts and no external references. No information depends on color alone:
//! bands and causes have names, and freezes have a shape. Names come from users and are sanitized.

mod bands;
mod canvas;
mod causes;
mod cost;
mod description;
mod font;
mod heading;
mod layout;
mod lines;
mod metric_charts;
mod names;
mod notes;
mod palette;
mod participants;
mod score_chart;
mod text;
mod theme;
mod time;
mod time_axis;
mod width;

pub use theme::Theme;
pub use width::{InvalidWidth, Width};

use crate::quality::response::Quality;
use canvas::Canvas;
use layout::{Layout, TimeAxis};

/// Renders the quality as an SVG. The output is deterministic.
#[must_use]
pub fn render_svg(quality: &Quality, width: Width, theme: Theme) -> String {
    let mut canvas = Canvas::new(Layout::new(width), theme);
    heading::draw_heading(&mut canvas, quality);
    cost::draw_cost(&mut canvas, &quality.assessment);
    if let Some(timeline) = &quality.timeline {
        let time_axis = TimeAxis::new(timeline, canvas.layout);
        let top = score_chart::draw_score_chart(&mut canvas, &time_axis, &timeline.points);
        metric_charts::draw_metric_charts(&mut canvas, &time_axis, quality, &timeline.points);
        participants::draw_participants(&mut canvas, Some(&time_axis), &quality.participants);
        if let Some(interval) = &quality.worst_interval {
            time_axis::draw_shade(&mut canvas, &time_axis, interval, top);
        }
        time_axis::draw_time_labels(&mut canvas, &time_axis);
        notes::draw_notes(&mut canvas, Some(&time_axis), quality);
    } else {
        participants::draw_participants(&mut canvas, None, &quality.participants);
        notes::draw_notes(&mut canvas, None, quality);
    }
    canvas.render(&description::describe(quality))
}

#[cfg(test)]
mod tests;
