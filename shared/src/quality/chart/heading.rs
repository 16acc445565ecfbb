//! The heading of the chart: the score in a ring, the facts of the call and its worst interval.

use crate::clock::Timestamp;
use crate::quality::cause::MissingInput;
use crate::quality::chart::bands::{self, MIN_MOS};
use crate::quality::chart::canvas::{Anchor, Canvas, TextStyle};
use crate::quality::chart::causes::{capitalize, cause_style};
use crate::quality::chart::font::{BODY, CAPTION, FIGURE, Font, HEADLINE};
use crate::quality::chart::names::user_name;
use crate::quality::chart::palette::Color;
use crate::quality::chart::text::{flow, isolate};
use crate::quality::chart::time::{format_date, format_duration, format_elapsed};
use crate::quality::response::{Assessment, Interval, MediumAssessment, Quality, Timeline};

/// The score of a full ring: the highest R, 93.2, has a score of 4.41.
const FULL_RING_MOS: f64 = 4.4;

pub(super) fn draw_heading(canvas: &mut Canvas, quality: &Quality) {
    let radius = if canvas.layout.is_wide { 34.0 } else { 30.0 };
    let (top, assessment) = (canvas.y + 4.0, &quality.assessment);
    let color = bands::label_color(assessment.quality);
    let left = canvas.layout.margin + 2.0 * radius + 24.0;
    let max_width = canvas.layout.content_right - left;
    let facts = flow(&facts(quality), BODY, max_width);
    let notes = flow(&notes(quality, CAPTION, max_width), CAPTION, max_width);
    let line_height =
        |lines: &[String], font: Font| lines.iter().map(|_| font.line_height()).sum::<f64>();
    let text_height =
        HEADLINE.line_height() + line_height(&facts, BODY) + line_height(&notes, CAPTION);
    let ring_height = 2.0 * radius + 4.0;
    let height = text_height.max(ring_height);
    let center = (canvas.layout.margin + radius + 4.0, top + ring_height / 2.0);
    let share = assessment.score.map_or(0.0, |mos| (mos - MIN_MOS) / (FULL_RING_MOS - MIN_MOS));
    canvas.ring(center, radius, color, assessment.score.map(|_| share));
    let figure = assessment.score.map_or_else(|| "–".to_owned(), |mos| format!("{mos:.1}"));
    let style = TextStyle::new(FIGURE, color).anchored(Anchor::Middle);
    canvas.text(&figure, (center.0, center.1 + FIGURE.half_capital()), style);
    canvas.y = top + ((ring_height - text_height) / 2.0).max(0.0);
    canvas.lines(&[headline(assessment)], left, TextStyle::new(HEADLINE, Color::Text));
    canvas.lines(&facts, left, TextStyle::new(BODY, Color::Quiet));
    canvas.lines(&notes, left, TextStyle::new(CAPTION, Color::Text));
    canvas.y = top + height;
}

/// The quality of the call in two words.
pub(super) fn headline(assessment: &Assessment) -> String {
    match assessment.score {
        Some(_) => capitalize(&format!("{} call", bands::label_text(assessment.quality))),
        None => "Unknown quality".to_owned(),
    }
}

/// The number of participants, the length, the date, and the scores apart.
pub(super) fn facts(quality: &Quality) -> Vec<String> {
    let people = match quality.participants.len() {
        0 => None,
        1 => Some("1 person".to_owned()),
        count => Some(format!("{count} people")),
    };
    let (start, seconds) = call_time(quality);
    let duration = seconds.filter(|seconds| *seconds > 0).map(format_duration);
    let date = start.unwrap_or(quality.timestamp);
    let medium = |name: &str, assessment: &Option<MediumAssessment>| {
        let score = assessment.as_ref().map(|assessment| assessment.score);
        score.map(|mos| format!("{name} {mos:.1}"))
    };
    // Without video, the score is that of the audio.
    let media = medium("video", &quality.assessment.video)
        .map(|video| [medium("audio", &quality.assessment.audio), Some(video)]);
    let media = media.map(|media| media.into_iter().flatten().collect::<Vec<_>>().join(", "));
    let rating = quality.ratings.average.map(|average| format!("rated {average:.1} of 5"));
    [people, duration, Some(format_date(date)), media, rating].into_iter().flatten().collect()
}

/// The start and the length, from the samples or else from Stream.
fn call_time(quality: &Quality) -> (Option<Timestamp>, Option<u64>) {
    if let Some(timeline) = &quality.timeline {
        let steps = u64::try_from(timeline.points.len()).unwrap_or_default();
        return (Some(timeline.from), Some(steps * u64::from(timeline.step_seconds)));
    }
    let (start, end) = (quality.stream.started_at, quality.stream.ended_at);
    (start, start.zip(end).map(|(start, end)| end.since(start).as_secs()))
}

/// The worst interval, or why there is no score.
fn notes(quality: &Quality, font: Font, max_width: f64) -> Vec<String> {
    if let Some(reason) = missing_score(&quality.assessment) {
        return vec![reason];
    }
    match (&quality.timeline, &quality.worst_interval) {
        (Some(timeline), Some(interval)) => {
            let prefix = "Worst: ";
            let name = user_name(quality, &interval.user_id);
            let name = font.truncate(&name, max_width - font.text_width(prefix));
            let (from, to) = interval_times(timeline, interval);
            let cause = cause_style(interval.cause).name;
            vec![format!("{prefix}{}", isolate(&name)), format!("{from}–{to}"), cause.to_owned()]
        }
        (Some(_), None) => vec!["No interval stands out".to_owned()],
        (None, _) => vec!["No samples over time".to_owned()],
    }
}

/// The start and the end of an interval, as times into the call.
pub(super) fn interval_times(timeline: &Timeline, interval: &Interval) -> (String, String) {
    let elapsed = |at: Timestamp| format_elapsed(at.since(timeline.from).as_secs());
    (elapsed(interval.from), elapsed(interval.to))
}

/// Why there is no score.
pub(super) fn missing_score(assessment: &Assessment) -> Option<String> {
    let missing = match (assessment.score, assessment.reason) {
        (Some(_), _) => return None,
        (None, None) => "not enough data",
        (None, Some(MissingInput::Data)) => "there is no data",
        (None, Some(MissingInput::PacketLoss)) => "packet loss is missing",
        (None, Some(MissingInput::Latency)) => "latency is missing",
        (None, Some(MissingInput::Jitter)) => "jitter is missing",
    };
    Some(format!("No score: {missing}"))
}
