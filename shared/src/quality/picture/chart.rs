//! The charts: the score and what it is made of, over time. A line breaks where nothing is known.

use crate::quality::answer::Point;
use crate::quality::picture::bands::{self, BANDS, HIGHEST, LEAST};
use crate::quality::picture::layout::{Axis, GAP, Time};
use crate::quality::picture::page::{MIDDLE_LEFT, MIDDLE_RIGHT, Page, TOP_MIDDLE};
use crate::quality::picture::palette::Ink;
use crate::quality::picture::text::{CAPTION, SMALL};

/// The chart of one figure.
struct Measure {
    caption: &'static str,
    ink: Ink,
    /// The least that the axis ends at: so that nothing small looks large.
    least: f64,
    of: fn(&Point) -> Option<f64>,
}

const MEASURES: [Measure; 3] = [
    Measure {
        caption: "Latency, one way (ms)",
        ink: Ink::Latency,
        least: 100.0,
        of: |point| point.latency,
    },
    Measure { caption: "Jitter (ms)", ink: Ink::Jitter, least: 20.0, of: |point| point.jitter },
    Measure {
        caption: "Packet loss (%)",
        ink: Ink::Loss,
        least: 1.0,
        of: |point| point.packet_loss,
    },
];

/// The score over time, with the bands behind it.
pub(super) fn opinion(page: &mut Page, time: &Time, points: &[Point]) {
    let (top, bottom) = caption(page, "Mean opinion score (1 to 4.5), the worst at each time", 160);
    let (left, right) = (page.layout.left, page.layout.right);
    let scale = Axis::new(LEAST, HIGHEST, (bottom, top));
    // The highest bands are less high than their names.
    let (mut ceiling, mut free) = (top, top);
    for band in BANDS.map(bands::look) {
        let floor = scale.at(band.least);
        page.fill((left, ceiling), (right, floor), band.tint);
        let middle = i32::midpoint(ceiling, floor).max(free);
        page.text(band.name, (left - GAP, middle), SMALL, MIDDLE_RIGHT, Ink::Text);
        free = middle + SMALL.size + 1;
        ceiling = floor;
    }
    for score in 1..=4_i32 {
        let at = (right + 4, scale.at(f64::from(score)));
        page.text(score.to_string(), at, SMALL, MIDDLE_LEFT, Ink::Quiet);
    }
    grid(page, time, top, bottom);
    line(page, time, &scale, Ink::Opinion, points.iter().map(|point| point.score));
}

/// What the score is made of.
pub(super) fn measures(page: &mut Page, time: &Time, points: &[Point]) {
    for Measure { caption: words, ink, least, of } in MEASURES {
        let (top, bottom) = caption(page, words, 56);
        let (left, right) = (page.layout.left, page.layout.right);
        let values = || points.iter().map(of);
        let known = values().flatten().filter(|value| value.is_finite());
        let most = known.reduce(f64::max);
        let high = ceiling(least, most.unwrap_or(0.0));
        let scale = Axis::new(0.0, high, (bottom, top));
        for value in [0.0, high / 2.0, high] {
            let y = scale.at(value);
            page.line(vec![(left, y), (right, y)], 1, Ink::Grid);
            page.text(value.to_string(), (left - GAP, y), SMALL, MIDDLE_RIGHT, Ink::Quiet);
        }
        grid(page, time, top, bottom);
        line(page, time, &scale, ink, values());
        if most.is_none() {
            let at = (left + GAP, i32::midpoint(top, bottom) - SMALL.size);
            page.text("no data", at, SMALL, MIDDLE_LEFT, Ink::Quiet);
        }
    }
}

/// The times below what is above them.
pub(super) fn times(page: &mut Page, time: &Time) {
    for (x, label) in time.ticks() {
        page.line(vec![(x, page.y), (x, page.y + 4)], 1, Ink::Outline);
        page.text(label, (x, page.y + 6), SMALL, TOP_MIDDLE, Ink::Quiet);
    }
    page.y += 24;
}

/// Writes what a chart is of, and takes the room for it.
fn caption(page: &mut Page, words: &str, height: i32) -> (i32, i32) {
    page.y += 10;
    page.paragraph(words, CAPTION, Ink::Text);
    let top = page.y + 4;
    page.y = top + height;
    (top, page.y)
}

fn grid(page: &mut Page, time: &Time, top: i32, bottom: i32) {
    for (x, _) in time.ticks() {
        page.line(vec![(x, top), (x, bottom)], 1, Ink::Grid);
    }
    page.outline((page.layout.left, top), (page.layout.right, bottom), Ink::Outline);
}

/// The first of these round numbers from `least` on that nothing is above.
fn ceiling(least: f64, most: f64) -> f64 {
    // What is above this is drawn at the top: its digits would not fit.
    let most = most.min(1e6);
    let mut high = least;
    for factor in [2.0, 2.5, 2.0].repeat(7) {
        if high < most {
            high *= factor;
        }
    }
    high
}

/// A line from the start to the end of each run of known values, so that a lone one is seen too.
fn line(
    page: &mut Page,
    time: &Time,
    scale: &Axis,
    ink: Ink,
    values: impl Iterator<Item = Option<f64>>,
) {
    let finite = values.map(|value| value.filter(|value| value.is_finite()));
    let spans: Vec<(u32, Option<f64>)> = (0..).zip(finite).collect();
    for run in spans.chunk_by(|a, b| a.1.is_some() == b.1.is_some()) {
        let known: Vec<(u32, f64)> =
            run.iter().filter_map(|&(span, value)| Some((span, value?))).collect();
        if let (Some(&(first, start)), Some(&(last, end))) = (known.first(), known.last()) {
            let mut path = vec![(time.start(first), scale.at(start))];
            path.extend(known.iter().map(|&(span, value)| (time.middle(span), scale.at(value))));
            path.push((time.start(last + 1), scale.at(end)));
            page.line(path, 2, ink);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number() {
        let cases = [
            (1.0, 0.0, "1"),
            (1.0, 1.5, "2"),
            (1.0, 30.0, "50"),
            (20.0, 21.0, "40"),
            (100.0, 201.0, "500"),
            (100.0, f64::MAX, "1000000"),
        ];
        for (least, most, high) in cases {
            assert_eq!(ceiling(least, most).to_string(), high);
        }
    }
}
