//! The text alternative of the chart, which screen readers read.

use std::fmt::Write as _;

use crate::quality::chart::bands;
use crate::quality::chart::canvas::Description;
use crate::quality::chart::causes::cause_style;
use crate::quality::chart::cost::visible_reasons;
use crate::quality::chart::heading::{facts, headline, interval_times, missing_score};
use crate::quality::chart::names::{display_name, user_name};
use crate::quality::chart::text::isolate;
use crate::quality::response::{Participant, Quality};

/// The maximum number of participants in the text.
const MAX_PARTICIPANTS: usize = 12;

pub(super) fn describe(quality: &Quality) -> Description {
    let headline = headline(&quality.assessment);
    let title = match quality.assessment.score {
        Some(mos) => format!("{headline}, score {mos:.1} of 4.5"),
        None => headline,
    };
    let sentences = [
        Some(format!("Call {}: {}", quality.call_id, facts(quality).join(", "))),
        missing_score(&quality.assessment),
        costs(quality),
        worst_interval(quality),
        participants(quality),
    ];
    let text = sentences.into_iter().flatten().fold(String::new(), |mut text, sentence| {
        let gap = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{gap}{sentence}.");
        text
    });
    Description { id: format!("quality-{}", quality.call_id), title, text }
}

/// What cost the score.
fn costs(quality: &Quality) -> Option<String> {
    quality.assessment.score?;
    let reasons = visible_reasons(&quality.assessment);
    let costs = reasons
        .iter()
        .map(|reason| format!("{} {:.1}", cause_style(reason.cause).name, reason.cost));
    let costs: Vec<String> = costs.collect();
    Some(if costs.is_empty() {
        "Nothing cost the score".to_owned()
    } else {
        format!("Points lost: {}", costs.join(", "))
    })
}

/// The participant, times and cause of the worst interval.
fn worst_interval(quality: &Quality) -> Option<String> {
    let timeline = quality.timeline.as_ref()?;
    let Some(interval) = &quality.worst_interval else {
        return Some("No interval stands out".to_owned());
    };
    let name = isolate(&user_name(quality, &interval.user_id));
    let (from, to) = interval_times(timeline, interval);
    let cause = cause_style(interval.cause).name;
    Some(format!("Worst interval: {name}, {from} to {to}, {cause}, score {:.1}", interval.score))
}

fn participants(quality: &Quality) -> Option<String> {
    if quality.participants.is_empty() {
        return None;
    }
    let assessment = |participant: &Participant| {
        let label = bands::label_text(participant.assessment.quality);
        match (participant.assessment.score, participant.stream_score) {
            (Some(mos), _) => format!("{label} {mos:.1}"),
            (None, Some(score)) => format!("Stream score {score:.0}"),
            (None, None) => "no score".to_owned(),
        }
    };
    let shown = quality.participants.iter().take(MAX_PARTICIPANTS);
    let shown = shown.map(|participant| {
        format!("{}: {}", isolate(&display_name(participant)), assessment(participant))
    });
    let mut parts: Vec<String> = shown.collect();
    let hidden_count = quality.participants.len().saturating_sub(MAX_PARTICIPANTS);
    if hidden_count > 0 {
        parts.push(format!("and {hidden_count} more"));
    }
    Some(format!("People, worst first: {}", parts.join("; ")))
}
