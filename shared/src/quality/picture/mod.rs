//! A call's quality as a picture: an SVG that is its own page, by day and by night.
//!
//! Nothing in it runs, and nothing in it is fetched from elsewhere. No colour stands alone: bands
//! have names, marks have shapes. Names come from users and are cleaned before they are drawn.

mod bands;
mod chart;
#[cfg(test)]
pub(crate) mod example;
mod heading;
mod layout;
mod legend;
mod page;
mod palette;
mod rows;
mod text;
mod width;

pub use width::{Width, WidthRefused};

use plotters::prelude::DrawingAreaErrorKind;

use crate::quality::answer::Quality;
use heading::Heading;
use layout::Time;
use page::Page;
use palette::Ink;
use text::{SMALL, escape};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("the picture could not be drawn")]
pub struct NotDrawn(#[from] DrawingAreaErrorKind<std::io::Error>);

/// Draws the quality as an SVG: the same bytes for the same answer.
pub fn svg(quality: &Quality, width: Width) -> Result<String, NotDrawn> {
    let mut page = Page::new(width);
    let heading = Heading::of(quality);
    heading.draw(&mut page);
    if let Some(timeline) = &quality.timeline {
        let time = Time::new(timeline, page.layout);
        chart::opinion(&mut page, &time, &timeline.points);
        chart::measures(&mut page, &time, &timeline.points);
        chart::times(&mut page, &time);
        rows::rows(&mut page, &time, &quality.participants);
        chart::times(&mut page, &time);
        let since = format!("Time since {}, in minutes and seconds", timeline.from);
        page.paragraph(&since, SMALL, Ink::Quiet);
        legend::legend(&mut page);
    }
    footer(&mut page, quality);
    Ok(with_head(&page.draw()?, &heading))
}

/// What the picture is made of.
fn footer(page: &mut Page, quality: &Quality) {
    let model = quality.verdict.model.unwrap_or("none");
    let sources = match quality.sources.as_slice() {
        [] => "none".to_owned(),
        sources => sources.join(", "),
    };
    page.y += 8;
    let words = format!("Model: {model}. Sources: {sources}. {}", quality.timestamp);
    page.paragraph(&words, SMALL, Ink::Quiet);
}

/// Puts behind the opening tag what plotters has no words for: what the picture is to somebody who
/// hears it, and its colours by night.
fn with_head(drawn: &str, heading: &Heading) -> String {
    let Some((open, rest)) = drawn.split_once('>') else { return drawn.to_owned() };
    let (title, summary) = (escape(&heading.title), escape(&heading.summary()));
    let style = palette::style();
    format!("{open} role=\"img\"><title>{title}</title><desc>{summary}</desc>{style}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::answer::{Cause, Missing, Participant, Point, Stretch, Verdict};

    fn drawn(quality: &Quality) -> String {
        svg(quality, Width::default()).unwrap()
    }

    /// How many lines there are of this colour.
    fn lines(svg: &str, ink: Ink) -> usize {
        let stroke = format!("stroke=\"{}\"", ink.light());
        svg.lines().filter(|tag| tag.starts_with("<polyline") && tag.contains(&stroke)).count()
    }

    #[test]
    fn what_users_write_stays_text() {
        let hostile = "<script>\"&'\u{7}\u{202E}\u{FFFE}\nevil";
        let mut quality = example::quality();
        quality.worst_participant = Some(hostile.to_owned());
        for participant in &mut quality.participants {
            participant.user_id = hostile.to_owned();
        }
        quality.participants[0].name = Some(hostile.to_owned());
        quality.participants[1].name = Some("\u{1}".to_owned());
        for width in [320_u32, 1600] {
            let svg = svg(&quality, Width::try_from(width).unwrap()).unwrap();
            let row = "\n&lt;script&gt;&quot;&amp;&apos; evil\n";
            assert_eq!(svg.matches(row).count(), 2, "{svg}");
            assert!(!svg.chars().any(|c| c.is_control() && c != '\n'));
            assert!(!svg.contains(['\u{202E}', '\u{FFFE}']));
            for active in ["<script", "foreignObject", "href", "url(", "@import", " on"] {
                assert!(!tags(&svg).contains(active), "{active}");
            }
        }
    }

    /// The tags alone, without the words between them.
    fn tags(svg: &str) -> String {
        svg.split('<')
            .filter_map(|part| part.split_once('>'))
            .fold(String::new(), |all, (tag, _)| all + "<" + tag + ">")
    }

    #[test]
    fn a_gap_breaks_the_line() {
        let whole = drawn(&example::quality());
        let mut quality = example::quality();
        let gap = &mut quality.timeline.as_mut().unwrap().points[60];
        (gap.score, gap.latency) = (None, Some(f64::NAN));
        let broken = drawn(&quality);
        for (ink, parts) in [(Ink::Opinion, 2), (Ink::Latency, 2), (Ink::Jitter, 1), (Ink::Loss, 1)]
        {
            assert_eq!((lines(&whole, ink), lines(&broken, ink)), (1, parts), "{ink:?}");
        }
        let timeline = quality.timeline.as_mut().unwrap();
        timeline.points = vec![Point::default(); 9];
        timeline.points[7].score = Some(4.0);
        assert_eq!(lines(&drawn(&quality), Ink::Opinion), 1, "a lone one is seen");
        let timeline = quality.timeline.as_mut().unwrap();
        (timeline.points, timeline.step_seconds) = (Vec::new(), 0);
        assert_eq!(lines(&drawn(&quality), Ink::Opinion), 0, "nothing is a picture too");
    }

    #[test]
    fn a_picture_is_as_wide_as_asked_and_always_the_same() {
        for width in [320_u32, 480, 481, 1600] {
            let draw = || svg(&example::quality(), Width::try_from(width).unwrap()).unwrap();
            let svg = draw();
            assert_eq!(svg, draw());
            assert!(svg.starts_with(&format!("<svg width=\"{width}\" ")), "{svg}");
            assert!(svg.trim_end().ends_with("</svg>"));
            assert_eq!(svg.matches(" role=\"img\"><title>Call c1</title><desc>").count(), 1);
            assert!(svg.contains(&palette::style()));
        }
    }

    #[test]
    fn every_participant_up_to_twelve_has_a_row() {
        let mut quality = example::quality();
        let alice = quality.participants[1].clone();
        quality.participants = (0..15)
            .map(|n| Participant { name: Some(format!("guest-{n}")), ..alice.clone() })
            .collect();
        for width in [320_u32, 800] {
            let svg = svg(&quality, Width::try_from(width).unwrap()).unwrap();
            for n in 0..15 {
                assert_eq!(svg.contains(&format!("\nguest-{n}\n")), n < 12, "{n}");
            }
            assert!(svg.contains("\nand 3 more\n"));
        }
    }

    #[test]
    fn the_heading_says_what_is_worst() {
        let mut quality = example::quality();
        let from = quality.timeline.as_ref().unwrap().from;
        let after = |seconds| from.plus(std::time::Duration::from_secs(seconds));
        quality.worst_stretch = Some(Stretch {
            user_id: "bob".to_owned(),
            cause: Cause::Loss,
            score: 2.2,
            from: after(500),
            to: after(4_000),
        });
        let svg = svg(&quality, Width::try_from(1600_u32).unwrap()).unwrap();
        let stretch = "Worst stretch: Bob, 08:20 to 1:06:40, packet loss";
        assert!(svg.contains(stretch), "{svg}");
        assert!(svg.contains("Worst participant: Bob ("));
    }

    #[test]
    fn without_samples_it_says_so() {
        let mut quality = example::quality();
        quality.timeline = None;
        quality.verdict = Verdict::unknown(Missing::PacketLoss);
        quality.stream.score = Some(87.0);
        let svg = drawn(&quality);
        for words in [
            "Quality: unknown, as no packet loss is known",
            "Stream&apos;s score: 87",
            "There are no samples",
        ] {
            assert!(svg.contains(words), "{words}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
