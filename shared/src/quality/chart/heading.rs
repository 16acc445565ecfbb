//! The heading of the chart: the quality of the call, the worst participant and the worst interval.

use crate::quality::chart::bands;
use crate::quality::chart::canvas::Canvas;
use crate::quality::chart::palette::Ink;
use crate::quality::chart::text::{BODY, TITLE, format_elapsed, isolate_bidi, sanitize, truncate};
use crate::quality::response::{Cause, Interval, MissingInput, Participant, Quality, Timeline};

/// The maximum width of a name within a line, in pixels.
const MAX_NAME_WIDTH: i32 = 200;

/// The text above the charts.
pub(super) struct Heading {
    pub(super) title: String,
    lines: Vec<String>,
}

impl Heading {
    pub(super) fn new(quality: &Quality) -> Self {
        let mut lines = vec![assessment_text(quality)];
        if let Some(user) = &quality.worst_participant {
            let participant =
                quality.participants.iter().find(|participant| participant.user_id == *user);
            let score_text = participant.map_or_else(|| "no score".to_owned(), score_text);
            lines.push(format!(
                "Worst participant: {} ({score_text})",
                participant_name(quality, user)
            ));
        }
        match (&quality.timeline, &quality.worst_interval) {
            (Some(timeline), Some(worst)) => lines.push(interval_text(quality, timeline, worst)),
            (Some(_), None) => {}
            (None, _) => {
                lines.extend(
                    quality.stream.score.map(|score| format!("Stream's score: {score:.0}")),
                );
                lines.push("No samples over time".to_owned());
            }
        }
        Self { title: format!("Call {}", quality.call_id), lines }
    }

    /// One sentence for the `desc` element, which screen readers read.
    pub(super) fn summary(&self) -> String {
        format!("{}.", self.lines.join("; "))
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        canvas.paragraph(&self.title, TITLE, Ink::Text);
        for line in &self.lines {
            canvas.paragraph(line, BODY, Ink::Text);
        }
    }
}

fn assessment_text(quality: &Quality) -> String {
    let assessment = &quality.assessment;
    let label = bands::label_text(assessment.quality);
    let reason = match (assessment.score, assessment.reason) {
        (Some(score), _) => return format!("Quality: {label}, mean opinion score {score:.2}"),
        (None, None) => return format!("Quality: {label}"),
        (None, Some(MissingInput::Data)) => "there is no data",
        (None, Some(MissingInput::PacketLoss)) => "packet loss is missing",
        (None, Some(MissingInput::Latency)) => "latency is missing",
        (None, Some(MissingInput::Jitter)) => "jitter is missing",
    };
    format!("Quality: {label}, as {reason}")
}

fn interval_text(quality: &Quality, timeline: &Timeline, interval: &Interval) -> String {
    let name = participant_name(quality, &interval.user_id);
    let time_into_call =
        |at: crate::clock::Timestamp| format_elapsed(at.since(timeline.from).as_secs());
    let (from, to) = (time_into_call(interval.from), time_into_call(interval.to));
    let cause = match interval.cause {
        Cause::Latency => "latency",
        Cause::Jitter => "jitter",
        Cause::Loss => "packet loss",
        Cause::Freezes => "frozen picture",
        Cause::Resolution => "low resolution",
        Cause::FrameRate => "low frame rate",
        Cause::Bitrate => "low bitrate",
    };
    format!("Worst interval: {name}, {from} to {to}, {cause} (score {:.2})", interval.score)
}

/// The display name of a user, truncated and isolated for use within a line.
fn participant_name(quality: &Quality, user: &str) -> String {
    let participant = quality.participants.iter().find(|participant| participant.user_id == user);
    isolate_bidi(&truncate(
        &participant.map_or_else(|| sanitize(user), display_name),
        BODY,
        MAX_NAME_WIDTH,
    ))
}

/// A participant's name, or else the user id.
pub(super) fn display_name(participant: &Participant) -> String {
    let name = sanitize(participant.name.as_deref().unwrap_or_default());
    if name.is_empty() { sanitize(&participant.user_id) } else { name }
}

/// A participant's score, or else Stream's score.
pub(super) fn score_text(participant: &Participant) -> String {
    let label = bands::label_text(participant.assessment.quality);
    match (participant.assessment.score, participant.stream_score) {
        (Some(score), _) => format!("{score:.2} {label}"),
        (None, Some(score)) => format!("Stream's score {score:.0}"),
        (None, None) => "no score".to_owned(),
    }
}
