//! The bar with the cost of each cause. Its full length is the highest R.

use crate::quality::Medium;
use crate::quality::chart::canvas::{Anchor, Area, Canvas, TextStyle};
use crate::quality::chart::causes::{capitalize, cause_style};
use crate::quality::chart::font::{BODY, CAPTION};
use crate::quality::chart::layout::{Axis, SECTION_GAP};
use crate::quality::chart::palette::Color;
use crate::quality::response::{Assessment, Reason};

/// The highest R, without any cost.
const MAX_R: f64 = 93.0;
/// A smaller cost would be printed as zero.
const MIN_COST: f64 = 0.05;
const BAR_HEIGHT: f64 = 10.0;
/// The gap between the title and the bar.
const GAP_TO_BAR: f64 = 9.0;
const DOT_RADIUS: f64 = 4.5;
const MIN_SEGMENT_WIDTH: f64 = 2.0;
/// The gap between two segments.
const SEGMENT_GAP: f64 = 1.0;

pub(super) fn draw_cost(canvas: &mut Canvas, assessment: &Assessment) {
    if assessment.score.is_none() {
        return;
    }
    let reasons = visible_reasons(assessment);
    let total: f64 = reasons.iter().map(|reason| reason.cost).sum();
    let (left, right) = (canvas.layout.margin, canvas.layout.content_right);
    canvas.y += SECTION_GAP + CAPTION.height();
    canvas.text(title(assessment), (left, canvas.y), TextStyle::new(CAPTION, Color::Text));
    let sum = TextStyle::new(BODY, Color::Quiet).anchored(Anchor::End);
    let sum_text = if reasons.is_empty() {
        "nothing".to_owned()
    } else {
        format!("{:.1} of {MAX_R:.0} points", total.min(MAX_R))
    };
    canvas.text(&sum_text, (right, canvas.y), sum);
    canvas.y += GAP_TO_BAR;
    let (top, bottom) = (canvas.y, canvas.y + BAR_HEIGHT);
    let radius = BAR_HEIGHT / 2.0;
    canvas.bar(Area { left, top, right, bottom }, (radius, radius), Color::Track);
    // If R is limited to 0, the costs add up to more.
    let axis = Axis::new(0.0, MAX_R.max(total), (left, right));
    let (mut cost, mut start) = (0.0, left);
    for reason in &reasons {
        cost += reason.cost;
        let end = (axis.position(cost) - SEGMENT_GAP).max(start + MIN_SEGMENT_WIDTH).min(right);
        let corners = (
            if start <= left { radius } else { 0.0 },
            if end + SEGMENT_GAP >= right { radius } else { 0.0 },
        );
        let area = Area { left: start.min(end), top, right: end, bottom };
        canvas.bar(area, corners, cause_style(reason.cause).color);
        start = end + SEGMENT_GAP;
    }
    canvas.y = bottom;
    draw_labels(canvas, &reasons);
}

/// The title, which names the medium of the score if there are two.
fn title(assessment: &Assessment) -> &'static str {
    match assessment.medium.filter(|_| assessment.video.is_some()) {
        None => "What cost the score",
        Some(Medium::Audio) => "What cost the audio",
        Some(Medium::Video) => "What cost the video",
    }
}

/// The causes with a visible cost, the highest cost first.
pub(super) fn visible_reasons(assessment: &Assessment) -> Vec<Reason> {
    let reasons = assessment.reasons.iter().filter(|reason| reason.cost >= MIN_COST);
    reasons.copied().collect()
}

/// The labels of the segments, as many per line as fit.
fn draw_labels(canvas: &mut Canvas, reasons: &[Reason]) {
    let (margin, content_right) = (canvas.layout.margin, canvas.layout.content_right);
    if reasons.is_empty() {
        return;
    }
    let mut left = margin;
    canvas.y += BODY.line_height() + 3.0;
    for reason in reasons {
        let style = cause_style(reason.cause);
        let label = format!("{} −{:.1}", capitalize(style.name), reason.cost);
        let text_left = 2.0 * DOT_RADIUS + 6.0;
        let width = text_left + BODY.text_width(&label);
        if left > margin && left + width > content_right {
            left = margin;
            canvas.y += BODY.line_height() + 1.0;
        }
        let middle = canvas.y - BODY.half_capital();
        canvas.dot((left + DOT_RADIUS, middle), DOT_RADIUS, style.color);
        canvas.text(&label, (left + text_left, canvas.y), TextStyle::new(BODY, Color::Quiet));
        left += width + 14.0;
    }
    canvas.y += 4.0;
}
