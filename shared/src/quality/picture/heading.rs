//! What the picture says in words: how good the call was, and who and what was worst.

use crate::quality::answer::{Cause, Missing, Participant, Quality, Stretch, Timeline};
use crate::quality::picture::bands;
use crate::quality::picture::page::Page;
use crate::quality::picture::palette::Ink;
use crate::quality::picture::text::{BODY, TITLE, clean, clock, isolated, shorten};

/// The most room that a name takes within a sentence.
const NAME: i32 = 200;

/// The words above the charts.
pub(super) struct Heading {
    pub(super) title: String,
    lines: Vec<String>,
}

impl Heading {
    pub(super) fn of(quality: &Quality) -> Self {
        let mut lines = vec![verdict(quality)];
        if let Some(user) = &quality.worst_participant {
            let found = quality.participants.iter().find(|one| one.user_id == *user);
            let standing = found.map_or_else(|| "no score".to_owned(), standing);
            lines.push(format!("Worst participant: {} ({standing})", who(quality, user)));
        }
        match (&quality.timeline, &quality.worst_stretch) {
            (Some(timeline), Some(worst)) => lines.push(stretch(quality, timeline, worst)),
            (Some(_), None) => {}
            (None, _) => {
                lines.extend(
                    quality.stream.score.map(|score| format!("Stream's score: {score:.0}")),
                );
                lines.push("There are no samples of the call over time".to_owned());
            }
        }
        Self { title: format!("Call {}", quality.call_id), lines }
    }

    /// One sentence for whoever does not see the picture.
    pub(super) fn summary(&self) -> String {
        format!("{}.", self.lines.join("; "))
    }

    pub(super) fn draw(&self, page: &mut Page) {
        page.paragraph(&self.title, TITLE, Ink::Text);
        for line in &self.lines {
            page.paragraph(line, BODY, Ink::Text);
        }
    }
}

fn verdict(quality: &Quality) -> String {
    let verdict = &quality.verdict;
    let word = bands::word(verdict.quality);
    let why = match (verdict.score, verdict.reason) {
        (Some(score), _) => return format!("Quality: {word}, mean opinion score {score:.2}"),
        (None, None) => return format!("Quality: {word}"),
        (None, Some(Missing::Data)) => "there is no data",
        (None, Some(Missing::PacketLoss)) => "no packet loss is known",
        (None, Some(Missing::Latency)) => "no latency is known",
        (None, Some(Missing::Jitter)) => "no jitter is known",
    };
    format!("Quality: {word}, as {why}")
}

fn stretch(quality: &Quality, timeline: &Timeline, worst: &Stretch) -> String {
    let who = who(quality, &worst.user_id);
    let since = |at: crate::clock::Timestamp| clock(at.since(timeline.from).as_secs());
    let (from, to) = (since(worst.from), since(worst.to));
    let cause = match worst.cause {
        Cause::Latency => "latency",
        Cause::Jitter => "jitter",
        Cause::Loss => "packet loss",
        Cause::Freezes => "frozen picture",
    };
    format!("Worst stretch: {who}, {from} to {to}, {cause} (score {:.2})", worst.score)
}

/// Whoever has this user id, as part of a sentence.
fn who(quality: &Quality, user: &str) -> String {
    let found = quality.participants.iter().find(|one| one.user_id == user);
    isolated(&shorten(&found.map_or_else(|| clean(user), called), BODY, NAME))
}

/// What a participant is called: by name, or else by user id.
pub(super) fn called(participant: &Participant) -> String {
    let name = clean(participant.name.as_deref().unwrap_or_default());
    if name.is_empty() { clean(&participant.user_id) } else { name }
}

/// A participant's score, or else Stream's.
pub(super) fn standing(participant: &Participant) -> String {
    let word = bands::word(participant.verdict.quality);
    match (participant.verdict.score, participant.stream_score) {
        (Some(score), _) => format!("{score:.2} {word}"),
        (None, Some(score)) => format!("Stream's score {score:.0}"),
        (None, None) => "no score".to_owned(),
    }
}
