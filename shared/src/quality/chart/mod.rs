//! The chart of a call's quality: a self-contained SVG with light and dark mode.
//!
//! The SVG contains no scripts and no external references. No information depends on color alone:
//! bands have names, and markers have shapes. Names come from users and are sanitized.

mod bands;
mod canvas;
mod heading;
mod layout;
mod legend;
mod palette;
mod participants;
mod plots;
mod text;
mod width;

pub use canvas::RenderError;
pub use width::{InvalidWidth, Width};

use crate::quality::response::Quality;
use canvas::Canvas;
use heading::Heading;
use layout::TimeAxis;
use palette::Ink;
use text::{SMALL, escape_xml};

/// Renders the quality as an SVG. The output is deterministic.
pub fn render_svg(quality: &Quality, width: Width) -> Result<String, RenderError> {
    let mut canvas = Canvas::new(width);
    let heading = Heading::new(quality);
    heading.draw(&mut canvas);
    if let Some(timeline) = &quality.timeline {
        let time = TimeAxis::new(timeline, canvas.layout);
        plots::draw_score_chart(&mut canvas, &time, &timeline.points);
        plots::draw_metric_charts(&mut canvas, &time, &timeline.points);
        plots::draw_time_axis(&mut canvas, &time);
        participants::draw_participants(&mut canvas, &time, &quality.participants);
        plots::draw_time_axis(&mut canvas, &time);
        let since = format!("Time since {}, in minutes and seconds", timeline.from);
        canvas.paragraph(&since, SMALL, Ink::Quiet);
        legend::draw_legend(&mut canvas);
    }
    draw_footer(&mut canvas, quality);
    Ok(insert_metadata(&canvas.render()?, &heading))
}

/// The model, the sources and the time of the response.
fn draw_footer(canvas: &mut Canvas, quality: &Quality) {
    let model = quality.assessment.model.as_deref().unwrap_or("none");
    let sources = match quality.sources.as_slice() {
        [] => "none".to_owned(),
        sources => sources.join(", "),
    };
    canvas.y += 8;
    let text = format!("Model: {model}. Sources: {sources}. {}", quality.timestamp);
    canvas.paragraph(&text, SMALL, Ink::Quiet);
}

/// Inserts the elements that plotters does not support: the title and the description for screen
/// readers, and the dark mode style.
fn insert_metadata(svg: &str, heading: &Heading) -> String {
    let Some((opening_tag, rest)) = svg.split_once('>') else { return svg.to_owned() };
    let (title, summary) = (escape_xml(&heading.title), escape_xml(&heading.summary()));
    let style = palette::dark_mode_style();
    format!("{opening_tag} role=\"img\"><title>{title}</title><desc>{summary}</desc>{style}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::response::{
        Assessment, Cause, Interval, MissingInput, Participant, TimelinePoint,
    };
    use crate::test_support::quality as fixtures;

    fn render(quality: &Quality) -> String {
        render_svg(quality, Width::default()).unwrap()
    }

    /// The number of lines in this color.
    fn count_polylines(svg: &str, color: Ink) -> usize {
        let stroke = format!("stroke=\"{}\"", color.light());
        svg.lines().filter(|tag| tag.starts_with("<polyline") && tag.contains(&stroke)).count()
    }

    #[test]
    fn documented_chart_is_current() {
        const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let (svg, documented) = (render(&fixtures::quality()), format!("{ROOT}/docs/quality.svg"));
        if std::fs::read_to_string(&documented).ok().as_ref() != Some(&svg) {
            let rendered = format!("{ROOT}/target/quality.svg");
            std::fs::write(&rendered, svg).unwrap();
            panic!("copy target/quality.svg to docs/quality.svg");
        }
    }

    #[test]
    fn user_text_is_escaped() {
        let hostile = "<script>\"&'\u{7}\u{202E}\u{FFFE}\nevil";
        let mut quality = fixtures::quality();
        quality.worst_participant = Some(hostile.to_owned());
        for participant in &mut quality.participants {
            participant.user_id = hostile.to_owned();
        }
        quality.participants[0].name = Some(hostile.to_owned());
        quality.participants[1].name = Some("\u{1}".to_owned());
        for width in [320_u32, 1600] {
            let svg = render_svg(&quality, Width::try_from(width).unwrap()).unwrap();
            let row = "\n&lt;script&gt;&quot;&amp;&apos; evil\n";
            assert_eq!(svg.matches(row).count(), 2, "{svg}");
            assert!(!svg.chars().any(|c| c.is_control() && c != '\n'));
            assert!(!svg.contains(['\u{202E}', '\u{FFFE}']));
            for active in ["<script", "foreignObject", "href", "url(", "@import", " on"] {
                assert!(!tags(&svg).contains(active), "{active}");
            }
        }
    }

    /// The tags without the text between them.
    fn tags(svg: &str) -> String {
        svg.split('<')
            .filter_map(|part| part.split_once('>'))
            .fold(String::new(), |all, (tag, _)| all + "<" + tag + ">")
    }

    #[test]
    fn gap_breaks_the_line() {
        let complete = render(&fixtures::quality());
        let mut quality = fixtures::quality();
        let gap = &mut quality.timeline.as_mut().unwrap().points[60];
        (gap.score, gap.latency) = (None, Some(f64::NAN));
        let with_gap = render(&quality);
        for (color, parts) in
            [(Ink::Opinion, 2), (Ink::Latency, 2), (Ink::Jitter, 1), (Ink::Loss, 1)]
        {
            assert_eq!(
                (count_polylines(&complete, color), count_polylines(&with_gap, color)),
                (1, parts),
                "{color:?}"
            );
        }
        let timeline = quality.timeline.as_mut().unwrap();
        timeline.points = vec![TimelinePoint::default(); 9];
        timeline.points[7].score = Some(4.0);
        assert_eq!(count_polylines(&render(&quality), Ink::Opinion), 1, "a single value is drawn");
        let timeline = quality.timeline.as_mut().unwrap();
        (timeline.points, timeline.step_seconds) = (Vec::new(), 0);
        assert_eq!(count_polylines(&render(&quality), Ink::Opinion), 0, "nothing is drawn");
    }

    #[test]
    fn chart_has_the_requested_width_and_is_deterministic() {
        for width in [320_u32, 480, 481, 1600] {
            let render =
                || render_svg(&fixtures::quality(), Width::try_from(width).unwrap()).unwrap();
            let svg = render();
            assert_eq!(svg, render());
            assert!(svg.starts_with(&format!("<svg width=\"{width}\" ")), "{svg}");
            assert!(svg.trim_end().ends_with("</svg>"));
            assert_eq!(svg.matches(" role=\"img\"><title>Call c1</title><desc>").count(), 1);
            assert!(svg.contains(&palette::dark_mode_style()));
        }
    }

    #[test]
    fn first_twelve_participants_have_a_row() {
        let mut quality = fixtures::quality();
        let alice = quality.participants[1].clone();
        quality.participants = (0..15)
            .map(|n| Participant { name: Some(format!("guest-{n}")), ..alice.clone() })
            .collect();
        for width in [320_u32, 800] {
            let svg = render_svg(&quality, Width::try_from(width).unwrap()).unwrap();
            for n in 0..15 {
                assert_eq!(svg.contains(&format!("\nguest-{n}\n")), n < 12, "{n}");
            }
            assert!(svg.contains("\nand 3 more\n"));
        }
    }

    #[test]
    fn heading_names_the_worst_interval_and_participant() {
        let mut quality = fixtures::quality();
        let from = quality.timeline.as_ref().unwrap().from;
        let after = |seconds| from.plus(std::time::Duration::from_secs(seconds));
        quality.worst_interval = Some(Interval {
            user_id: "bob".to_owned(),
            cause: Cause::Loss,
            score: 2.2,
            from: after(500),
            to: after(4_000),
        });
        let svg = render_svg(&quality, Width::try_from(1600_u32).unwrap()).unwrap();
        let interval = "Worst interval: Bob, 08:20 to 1:06:40, packet loss";
        assert!(svg.contains(interval), "{svg}");
        assert!(svg.contains("Worst participant: Bob ("));
    }

    #[test]
    fn chart_without_samples_says_so() {
        let mut quality = fixtures::quality();
        quality.timeline = None;
        quality.assessment = Assessment::unknown(MissingInput::PacketLoss);
        quality.stream.score = Some(87.0);
        let svg = render(&quality);
        for text in [
            "Quality: unknown, as packet loss is missing",
            "Stream&apos;s score: 87",
            "No samples over time",
        ] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
