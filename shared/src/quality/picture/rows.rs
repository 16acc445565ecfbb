//! The participants: a strip of cells for each, coloured by band, and below it when they came and
//! went and when their picture stood still.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::clock::Timestamp;
use crate::quality::answer::Participant;
use crate::quality::emodel::Band;
use crate::quality::picture::bands;
use crate::quality::picture::heading::{called, standing};
use crate::quality::picture::layout::{GAP, MARGIN, Time};
use crate::quality::picture::legend::Mark;
use crate::quality::picture::page::{Page, TOP_LEFT, TOP_RIGHT};
use crate::quality::picture::palette::Ink;
use crate::quality::picture::text::{BODY, CAPTION, SMALL, shorten};

/// The most participants that have a row.
const MOST: usize = 12;
/// How high a strip is.
const STRIP: i32 = 14;
/// How high the lane of the marks below it is.
const LANE: i32 = 14;

pub(super) fn rows(page: &mut Page, time: &Time, participants: &[Participant]) {
    page.y += 10;
    page.paragraph("Participants, the worst first", CAPTION, Ink::Text);
    for participant in participants.iter().take(MOST) {
        row(page, time, participant);
    }
    let more = participants.len().saturating_sub(MOST);
    if more > 0 {
        page.paragraph(&format!("and {more} more"), BODY, Ink::Text);
    }
}

fn row(page: &mut Page, time: &Time, participant: &Participant) {
    let (name, standing) = (called(participant), standing(participant));
    let (left, end) = (page.layout.left, page.layout.end);
    page.y += 6;
    if page.layout.narrow {
        let name = shorten(&name, BODY, end - MARGIN - GAP - SMALL.width(&standing));
        page.text(name, (MARGIN, page.y), BODY, TOP_LEFT, Ink::Text);
        page.text(standing, (end, page.y), SMALL, TOP_RIGHT, Ink::Quiet);
        page.y += BODY.line();
    } else {
        let name = shorten(&name, BODY, left - GAP - MARGIN);
        page.text(name, (MARGIN, page.y), BODY, TOP_LEFT, Ink::Text);
        page.text(standing, (MARGIN, page.y + STRIP + 1), SMALL, TOP_LEFT, Ink::Quiet);
    }
    cells(page, time, &participant.timeline);
    page.y += STRIP;
    let (stays, freezes) = (&participant.stays, &participant.freezes);
    marks(page, time, Mark::Freeze, freezes.iter().map(|freeze| freeze.at));
    marks(page, time, Mark::Join, stays.iter().filter_map(|stay| stay.joined_at));
    marks(page, time, Mark::Leave, stays.iter().filter_map(|stay| stay.left_at));
    page.y += LANE;
}

/// One rectangle for each run of the same band.
fn cells(page: &mut Page, time: &Time, scores: &[Option<f64>]) {
    let (from, to) = ((page.layout.left, page.y), (page.layout.right, page.y + STRIP));
    page.fill(from, to, Ink::Empty);
    let finite = scores.iter().map(|score| score.filter(|score| score.is_finite()));
    let spans: Vec<(u32, Option<Band>)> =
        (0..).zip(finite.map(|score| score.map(bands::of))).collect();
    let mut runs: Vec<(Band, i32, i32)> = Vec::new();
    for run in spans.chunk_by(|a, b| a.1 == b.1) {
        if let (Some(&(first, Some(band))), Some(&(last, _))) = (run.first(), run.last()) {
            let start = time.start(first);
            runs.push((band, start, time.start(last + 1).max(start + 1)));
        }
    }
    // Where a span has less than a pixel, the worse is seen.
    runs.sort_by_key(|&(band, ..)| Reverse(band));
    for (band, start, end) in runs {
        page.fill((start, from.1), (end, to.1), bands::look(band).cell);
    }
    page.outline(from, to, Ink::Outline);
}

/// One mark for each pixel at most.
fn marks(page: &mut Page, time: &Time, mark: Mark, instants: impl Iterator<Item = Timestamp>) {
    let places: BTreeSet<i32> = instants.map(|at| time.instant(at)).collect();
    let y = page.y + LANE / 2;
    for x in places {
        mark.draw(page, (x, y));
    }
}
