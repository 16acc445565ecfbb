//! The rows of the participants: a bar of cells, colored by band, on a track of the time in the
//! call. Notches mark frozen video.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::quality::chart::bands;
use crate::quality::chart::canvas::{Anchor, Area, Canvas, TextStyle};
use crate::quality::chart::causes::cause_style;
use crate::quality::chart::font::{BODY, CAPTION, SMALL, VALUE};
use crate::quality::chart::layout::{GAP, SECTION_GAP, TimeAxis};
use crate::quality::chart::metric_charts::format_value;
use crate::quality::chart::names::display_name;
use crate::quality::chart::palette::Color;
use crate::quality::chart::text::isolate;
use crate::quality::response::{Participant, QualityLabel};
use crate::quality::{Direction, Platform};
use crate::quality_band::Band;

/// The maximum number of rows.
const MAX_ROWS: usize = 12;
const CORNER_RADIUS: f64 = 4.0;
const NOTCH_HEIGHT: f64 = 5.0;
const MIN_NOTCH_WIDTH: f64 = 3.0;

pub(super) fn draw_participants(
    canvas: &mut Canvas,
    time_axis: Option<&TimeAxis>,
    participants: &[Participant],
) {
    if participants.is_empty() {
        return;
    }
    canvas.y += SECTION_GAP + CAPTION.height();
    let caption = if participants.len() > 1 { "People, worst first" } else { "People" };
    let at = (canvas.layout.margin, canvas.y);
    canvas.text(caption, at, TextStyle::new(CAPTION, Color::Text));
    canvas.y += 6.0;
    for participant in participants.iter().take(MAX_ROWS) {
        if canvas.layout.is_wide {
            draw_wide_row(canvas, time_axis, participant);
        } else {
            draw_narrow_row(canvas, time_axis, participant);
        }
    }
    let hidden_count = participants.len().saturating_sub(MAX_ROWS);
    if hidden_count > 0 {
        let text = format!("and {hidden_count} more");
        let left = canvas.layout.margin;
        canvas.lines(&[text], left, TextStyle::new(BODY, Color::Quiet));
    }
}

/// The name beside the bar, and the score on its right.
fn draw_wide_row(canvas: &mut Canvas, time_axis: Option<&TimeAxis>, participant: &Participant) {
    const PITCH: f64 = 38.0;
    const BAR_HEIGHT: f64 = 18.0;
    let layout = canvas.layout;
    let max_width = layout.plot_left - layout.margin - GAP;
    let (name_base, note_base) = (canvas.y + 15.0, canvas.y + 30.0);
    let name = isolate(&CAPTION.truncate(&display_name(participant), max_width));
    canvas.text(&name, (layout.margin, name_base), TextStyle::new(CAPTION, Color::Text));
    let note = SMALL.truncate(&note(participant), max_width);
    canvas.text(&note, (layout.margin, note_base), TextStyle::new(SMALL, Color::Quiet));
    let value_left = layout.plot_right + GAP + 4.0;
    if let Some(mos) = participant.assessment.score {
        let color = bands::label_color(participant.assessment.quality);
        canvas.dot((value_left + 4.5, name_base - VALUE.half_capital()), 4.5, color);
        let at = (value_left + 14.0, name_base);
        canvas.text(&format!("{mos:.1}"), at, TextStyle::new(VALUE, Color::Text));
        let label = bands::label_text(participant.assessment.quality);
        canvas.text(label, (value_left, note_base), TextStyle::new(SMALL, Color::Quiet));
    }
    let top = canvas.y + 8.0;
    draw_content(canvas, time_axis, participant, (top, top + BAR_HEIGHT));
    canvas.y += PITCH;
}

/// The name above the bar, and the score on its left.
fn draw_narrow_row(canvas: &mut Canvas, time_axis: Option<&TimeAxis>, participant: &Participant) {
    const PITCH: f64 = 46.0;
    const BAR_HEIGHT: f64 = 14.0;
    let layout = canvas.layout;
    let base = canvas.y + 16.0;
    let note = SMALL.truncate(&note(participant), layout.content_width() * 0.6);
    let max_width = layout.content_width() - SMALL.text_width(&note) - GAP;
    let name = isolate(&CAPTION.truncate(&display_name(participant), max_width));
    canvas.text(&name, (layout.margin, base), TextStyle::new(CAPTION, Color::Text));
    let style = TextStyle::new(SMALL, Color::Quiet).anchored(Anchor::End);
    canvas.text(&note, (layout.content_right, base), style);
    let (top, bottom) = (canvas.y + 24.0, canvas.y + 24.0 + BAR_HEIGHT);
    if let Some(mos) = participant.assessment.score {
        let middle = f64::midpoint(top, bottom);
        let color = bands::label_color(participant.assessment.quality);
        canvas.dot((layout.margin + 4.5, middle), 4.5, color);
        let at = (layout.margin + 14.0, middle + VALUE.half_capital());
        canvas.text(&format!("{mos:.1}"), at, TextStyle::new(VALUE, Color::Text));
    }
    draw_content(canvas, time_axis, participant, (top, bottom));
    canvas.y += PITCH;
}

/// The platform, the direction of the score, and its main cause.
fn note(participant: &Participant) -> String {
    let platform = participant.platform.map(|platform| match platform {
        Platform::Ios => "iOS",
        Platform::Android => "Android",
        Platform::Web => "Web",
        Platform::Other => "Other",
    });
    let direction = participant.direction.map(|direction| match direction {
        Direction::Inbound => "incoming",
        Direction::Outbound => "outgoing",
    });
    // Every score has a cause, but an excellent one needs no explanation.
    let is_excellent = participant.assessment.quality == QualityLabel::Known(Band::Excellent);
    let cause = participant.assessment.reasons.first().filter(|_| !is_excellent);
    let cause = cause.map(|reason| cause_style(reason.cause).short_name);
    let direction = direction.map(|direction| match cause {
        Some(cause) => format!("{direction} {cause}"),
        None => direction.to_owned(),
    });
    let parts = platform.map(str::to_owned).into_iter().chain(direction);
    parts.collect::<Vec<_>>().join(" · ")
}

/// The bar, or Stream's values if no participant has samples.
fn draw_content(
    canvas: &mut Canvas,
    time_axis: Option<&TimeAxis>,
    participant: &Participant,
    (top, bottom): (f64, f64),
) {
    if let Some(time_axis) = time_axis {
        draw_bar(canvas, time_axis, participant, (top, bottom));
        return;
    }
    let layout = canvas.layout;
    let middle = f64::midpoint(top, bottom) + BODY.half_capital();
    // In the wide layout, on the base line of the name.
    let (left, base) =
        if layout.is_wide { (layout.plot_left, top + 7.0) } else { (layout.margin, middle) };
    let text = BODY.truncate(&stream_values(participant), layout.content_right - left);
    canvas.text(&text, (left, base), TextStyle::new(BODY, Color::Quiet));
}

/// The values that Stream has of a participant.
fn stream_values(participant: &Participant) -> String {
    let metrics = &participant.metrics;
    let value = |name: &str, value: Option<f64>, unit: &str| {
        value.map(|value| format!("{name} {}", format_value(value, unit)))
    };
    let values = [
        participant.stream_score.map(|score| format!("Stream score {score:.0}")),
        value("latency", metrics.latency, "ms"),
        value("jitter", metrics.jitter, "ms"),
    ];
    let values: Vec<String> = values.into_iter().flatten().collect();
    if values.is_empty() { "not measured".to_owned() } else { values.join(" · ") }
}

fn draw_bar(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    participant: &Participant,
    (top, bottom): (f64, f64),
) {
    for (left, right) in presence(time_axis, participant) {
        let area = Area { left, top, right: right.max(left + 2.0), bottom };
        canvas.bar(area, (CORNER_RADIUS, CORNER_RADIUS), Color::Track);
    }
    for Cell { band, left, right, corners } in cells(time_axis, &participant.timeline) {
        canvas.bar(Area { left, top, right, bottom }, corners, bands::band_style(band).color);
    }
    for (left, right) in notches(time_axis, participant) {
        let area = Area { left, top: bottom - NOTCH_HEIGHT, right, bottom };
        canvas.bar(area, (0.0, 0.0), Color::Page);
    }
}

/// The times in the call. Without Stream's data that is the whole call.
fn presence(time_axis: &TimeAxis, participant: &Participant) -> Vec<(f64, f64)> {
    let (plot_left, plot_right) = time_axis.edges();
    if participant.presence.is_empty() {
        return vec![(plot_left, plot_right)];
    }
    let periods = participant.presence.iter().map(|period| {
        let left = period.joined_at.map_or(plot_left, |at| time_axis.instant_x(at));
        (left, period.left_at.map_or(plot_right, |at| time_axis.instant_x(at)))
    });
    periods.collect()
}

/// A run of buckets in the same band.
struct Cell {
    band: Band,
    left: f64,
    right: f64,
    corners: (f64, f64),
}

/// The cells of a bar. A run of buckets with samples has rounded ends.
fn cells(time_axis: &TimeAxis, scores: &[Option<f64>]) -> Vec<Cell> {
    let finite = scores.iter().map(|score| score.filter(|score| score.is_finite()));
    let buckets: Vec<(u32, Option<Band>)> =
        (0..).zip(finite.map(|score| score.map(bands::band_of))).collect();
    let is_empty = |bucket: Option<u32>| {
        let index = bucket.and_then(|bucket| usize::try_from(bucket).ok());
        index.and_then(|index| buckets.get(index)?.1).is_none()
    };
    let mut cells: Vec<Cell> = Vec::new();
    for run in buckets.chunk_by(|a, b| a.1 == b.1) {
        if let (Some(&(first, Some(band))), Some(&(last, _))) = (run.first(), run.last()) {
            let left = time_axis.bucket_start_x(first);
            let right = time_axis.bucket_start_x(last.saturating_add(1)).max(left + 1.0);
            let radius = |is_end: bool| if is_end { CORNER_RADIUS } else { 0.0 };
            let corners =
                (radius(is_empty(first.checked_sub(1))), radius(is_empty(last.checked_add(1))));
            cells.push(Cell { band, left, right, corners });
        }
    }
    // Worse bands are drawn last, so that they stay visible if a bucket is narrower than a pixel.
    cells.sort_by_key(|cell| Reverse(cell.band));
    cells
}

/// Whether the track is visible below the cells.
pub(super) fn has_gap(time_axis: &TimeAxis, participant: &Participant) -> bool {
    let periods = presence(time_axis, participant);
    let is_present = |x: f64| periods.iter().any(|(left, right)| (*left..*right).contains(&x));
    let unmeasured = (0..).zip(&participant.timeline).filter(|(_, score)| score.is_none());
    participant.timeline.is_empty()
        || unmeasured.map(|(bucket, _)| time_axis.bucket_middle_x(bucket)).any(is_present)
}

/// The notches of frozen video: one per bucket, or evenly spaced ones in a run of narrow buckets.
fn notches(time_axis: &TimeAxis, participant: &Participant) -> Vec<(f64, f64)> {
    let buckets: BTreeSet<u32> =
        participant.freezes.iter().map(|freeze| time_axis.bucket_at(freeze.at)).collect();
    let buckets: Vec<u32> = buckets.into_iter().collect();
    let bucket_width = time_axis.bucket_start_x(1) - time_axis.bucket_start_x(0);
    let is_narrow = bucket_width < 2.0 * MIN_NOTCH_WIDTH;
    if !is_narrow {
        let half = (bucket_width * 0.4).clamp(MIN_NOTCH_WIDTH, 10.0) / 2.0;
        let middles = buckets.iter().map(|bucket| time_axis.bucket_middle_x(*bucket));
        return middles.map(|middle| (middle - half, middle + half)).collect();
    }
    let runs = buckets.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let notches_of = |run: &[u32]| {
        let (first, last) = run.first().zip(run.last())?;
        let (left, right) =
            (time_axis.bucket_start_x(*first), time_axis.bucket_start_x(last.saturating_add(1)));
        let starts = (0_u32..).map(move |n| left + f64::from(n) * 2.0 * MIN_NOTCH_WIDTH);
        let starts = starts.take_while(move |start| *start < right || *start <= left);
        Some(starts.map(|start| (start, start + MIN_NOTCH_WIDTH)))
    };
    runs.filter_map(notches_of).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::chart::layout::Layout;
    use crate::quality::chart::width::Width;
    use crate::test_support::quality as fixtures;

    #[test]
    fn short_bad_cell_is_drawn_last_and_stays_visible() {
        let mut quality = fixtures::quality();
        let timeline = quality.timeline.as_mut().unwrap();
        timeline.points = vec![timeline.points[0].clone(); 2_000];
        let layout = Layout::new(Width::try_from(320).unwrap());
        let time_axis = TimeAxis::new(timeline, layout);
        let mut scores = vec![Some(4.4); 2_000];
        scores[1_000] = Some(1.5);
        let cells = cells(&time_axis, &scores);
        let last = cells.last().unwrap();
        assert_eq!((cells.len(), last.band), (3, Band::Bad));
        assert!(last.right - last.left >= 1.0);
        let rounded: Vec<(f64, f64)> = cells.iter().map(|cell| cell.corners).collect();
        assert_eq!(rounded, [(CORNER_RADIUS, 0.0), (0.0, CORNER_RADIUS), (0.0, 0.0)]);
    }
}
