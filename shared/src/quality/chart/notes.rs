//! The notes below the charts: the symbols that the chart contains, and the origin of its data.

use crate::quality::chart::canvas::{Canvas, TextStyle};
use crate::quality::chart::font::SMALL;
use crate::quality::chart::layout::{SECTION_GAP, TimeAxis};
use crate::quality::chart::palette::Color;
use crate::quality::chart::participants::has_gap;
use crate::quality::chart::text::flow;
use crate::quality::chart::time::format_date;
use crate::quality::response::{Participant, Quality};

pub(super) fn draw_notes(canvas: &mut Canvas, time_axis: Option<&TimeAxis>, quality: &Quality) {
    canvas.y += if time_axis.is_some() { 8.0 } else { SECTION_GAP };
    let (width, left) = (canvas.layout.content_width(), canvas.layout.margin);
    let style = TextStyle::new(SMALL, Color::Quiet);
    for notes in [symbols(time_axis, quality), origin(quality)] {
        canvas.lines(&flow(&notes, SMALL, width), left, style);
    }
}

/// The symbols in this chart.
fn symbols(time_axis: Option<&TimeAxis>, quality: &Quality) -> Vec<String> {
    let Some(time_axis) = time_axis else { return Vec::new() };
    let participants = &quality.participants;
    let has_gap = |participant: &Participant| has_gap(time_axis, participant);
    let symbols = [
        (quality.worst_interval.is_some(), "Shaded: worst interval"),
        (
            participants.iter().any(|participant| !participant.freezes.is_empty()),
            "Notches: frozen video",
        ),
        (participants.iter().any(has_gap), "Grey: not measured"),
    ];
    symbols.into_iter().filter(|(is_used, _)| *is_used).map(|(_, text)| text.to_owned()).collect()
}

/// The model, the sources and the time of the data.
fn origin(quality: &Quality) -> Vec<String> {
    let model = quality.assessment.model.as_deref();
    let source_name = |source: &str| if source == "stream" { "Stream" } else { source }.to_owned();
    let sources: Vec<String> = quality.sources.iter().map(|it| source_name(it)).collect();
    let truncated = "Only a part of the samples".to_owned();
    let notes = [
        model.map(|model| format!("Score 1 to 4.5, {model}")),
        (!sources.is_empty()).then(|| format!("From {}", sources.join(", "))),
        (!quality.samples.complete).then_some(truncated),
        Some(format!("As of {}", format_date(quality.timestamp))),
        Some(format!("Call {}", quality.call_id)),
    ];
    notes.into_iter().flatten().collect()
}
