//! The rows of the participants: a strip of cells, colored by band, and below it markers for joins,
//! leaves and freezes.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::quality::chart::bands;
use crate::quality::chart::canvas::{Canvas, TOP_LEFT, TOP_RIGHT};
use crate::quality::chart::heading::{display_name, score_text};
use crate::quality::chart::layout::{GAP, MARGIN, TimeAxis};
use crate::quality::chart::legend::Marker;
use crate::quality::chart::palette::Ink;
use crate::quality::chart::text::{BODY, CAPTION, SMALL, truncate};
use crate::quality::response::Participant;
use crate::quality_band::Band;

/// The maximum number of rows.
const MAX_ROWS: usize = 12;
/// The height of a strip.
const STRIP_HEIGHT: i32 = 14;
/// The height of the markers' lane below a strip.
const MARKER_LANE_HEIGHT: i32 = 14;

pub(super) fn draw_participants(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    participants: &[Participant],
) {
    canvas.y += 10;
    canvas.paragraph("Participants, the worst first", CAPTION, Ink::Text);
    for participant in participants.iter().take(MAX_ROWS) {
        draw_participant(canvas, time_axis, participant);
    }
    let hidden_count = participants.len().saturating_sub(MAX_ROWS);
    if hidden_count > 0 {
        canvas.paragraph(&format!("and {hidden_count} more"), BODY, Ink::Text);
    }
}

fn draw_participant(canvas: &mut Canvas, time_axis: &TimeAxis, participant: &Participant) {
    let (name, score_text) = (display_name(participant), score_text(participant));
    let (plot_left, content_right) = (canvas.layout.plot_left, canvas.layout.content_right);
    canvas.y += 6;
    if canvas.layout.is_narrow {
        let name =
            truncate(&name, BODY, content_right - MARGIN - GAP - SMALL.text_width(&score_text));
        canvas.text(name, (MARGIN, canvas.y), BODY, TOP_LEFT, Ink::Text);
        canvas.text(score_text, (content_right, canvas.y), SMALL, TOP_RIGHT, Ink::Quiet);
        canvas.y += BODY.line_height();
    } else {
        let name = truncate(&name, BODY, plot_left - GAP - MARGIN);
        canvas.text(name, (MARGIN, canvas.y), BODY, TOP_LEFT, Ink::Text);
        canvas.text(score_text, (MARGIN, canvas.y + STRIP_HEIGHT + 1), SMALL, TOP_LEFT, Ink::Quiet);
    }
    draw_score_strip(canvas, time_axis, &participant.timeline);
    canvas.y += STRIP_HEIGHT;
    let (presence, freezes) = (&participant.presence, &participant.freezes);
    draw_markers(canvas, time_axis, Marker::Freeze, freezes.iter().map(|freeze| freeze.at));
    draw_markers(
        canvas,
        time_axis,
        Marker::Join,
        presence.iter().filter_map(|presence| presence.joined_at),
    );
    draw_markers(
        canvas,
        time_axis,
        Marker::Leave,
        presence.iter().filter_map(|presence| presence.left_at),
    );
    canvas.y += MARKER_LANE_HEIGHT;
}

/// Draws one rectangle for each run of buckets in the same band.
fn draw_score_strip(canvas: &mut Canvas, time_axis: &TimeAxis, scores: &[Option<f64>]) {
    let (from, to) =
        ((canvas.layout.plot_left, canvas.y), (canvas.layout.plot_right, canvas.y + STRIP_HEIGHT));
    canvas.fill(from, to, Ink::Empty);
    let finite = scores.iter().map(|score| score.filter(|score| score.is_finite()));
    let buckets: Vec<(u32, Option<Band>)> =
        (0..).zip(finite.map(|score| score.map(bands::band_of))).collect();
    let mut runs: Vec<(Band, i32, i32)> = Vec::new();
    for run in buckets.chunk_by(|a, b| a.1 == b.1) {
        if let (Some(&(first, Some(band))), Some(&(last, _))) = (run.first(), run.last()) {
            let start = time_axis.bucket_start_x(first);
            runs.push((band, start, time_axis.bucket_start_x(last + 1).max(start + 1)));
        }
    }
    // Worse bands are drawn last, so that they stay visible if a bucket is narrower than a pixel.
    runs.sort_by_key(|&(band, ..)| Reverse(band));
    for (band, start, end) in runs {
        canvas.fill((start, from.1), (end, to.1), bands::band_style(band).cell);
    }
    canvas.outline(from, to, Ink::Outline);
}

/// Draws at most one marker per pixel.
fn draw_markers(
    canvas: &mut Canvas,
    time_axis: &TimeAxis,
    marker: Marker,
    instants: impl Iterator<Item = Timestamp>,
) {
    let positions: BTreeSet<i32> = instants.map(|at| time_axis.instant_x(at)).collect();
    let y = canvas.y + MARKER_LANE_HEIGHT / 2;
    for x in positions {
        marker.draw(canvas, (x, y));
    }
}
