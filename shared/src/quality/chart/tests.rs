//! Tests of the whole chart, on the made-up calls.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use quick_xml::events::Event as Xml;

use super::causes::cause_style;
use super::font::Font;
use super::palette::Color;
use super::*;
use crate::quality::cause::Cause;
use crate::quality::response::{Participant, Reason, TimelinePoint};
use crate::test_support::quality as fixtures;

/// The elements of a chart. An app's renderer may support no others.
const ELEMENTS: [&str; 10] =
    ["svg", "title", "desc", "style", "rect", "path", "circle", "line", "polyline", "polygon"];

/// An element with its attributes and its text.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
}

impl Element {
    fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn number(&self, name: &str) -> f64 {
        self.attribute(name).parse().unwrap()
    }

    fn has_color(&self, color: Color) -> bool {
        let value = color.value(Theme::Light);
        self.attribute("fill") == value || self.attribute("stroke") == value
    }

    fn font(&self) -> Font {
        let size = self.attribute("font-size").parse().unwrap();
        Font { size, is_bold: self.attributes.contains_key("font-weight") }
    }

    /// The left, top, right and bottom of a text.
    fn text_box(&self) -> [f64; 4] {
        let (x, y, width) =
            (self.number("x"), self.number("y"), self.font().text_width(&self.text));
        let left = match self.attribute("text-anchor") {
            "middle" => x - width / 2.0,
            "end" => x - width,
            _ => x,
        };
        let size = f64::from(self.font().size);
        [left, y - size * 0.75, left + width, y + size * 0.2]
    }
}

/// The elements in the order of the document. The document must be well-formed.
fn parse(svg: &str) -> Vec<Element> {
    let mut reader = quick_xml::Reader::from_str(svg);
    let (mut elements, mut open) = (Vec::new(), Vec::<usize>::new());
    loop {
        let event = reader.read_event().unwrap();
        match &event {
            Xml::Start(tag) | Xml::Empty(tag) => {
                let attributes = tag.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    (attribute.key.as_ref().to_owned(), attribute.value.to_string())
                });
                let attributes = attributes.collect();
                let name = tag.name().as_ref().to_owned();
                elements.push(Element { name, attributes, text: String::new() });
                if matches!(event, Xml::Start(_)) {
                    open.push(elements.len() - 1);
                }
            }
            Xml::End(_) => assert!(open.pop().is_some()),
            Xml::Text(text) => {
                if let Some(index) = open.last() {
                    elements[*index].text.push_str(text);
                }
            }
            Xml::GeneralRef(name) => {
                let text = match name.as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    other => panic!("unexpected reference: {other}"),
                };
                elements[*open.last().unwrap()].text.push_str(text);
            }
            Xml::Eof => break,
            other => panic!("unexpected content: {other:?}"),
        }
    }
    assert!(open.is_empty());
    elements
}

fn render(quality: &Quality, width: u32, theme: Theme) -> String {
    render_svg(quality, Width::try_from(width).unwrap(), theme)
}

fn elements(quality: &Quality, width: u32) -> Vec<Element> {
    parse(&render(quality, width, Theme::Light))
}

fn texts(elements: &[Element]) -> Vec<&str> {
    elements.iter().filter(|it| it.name == "text").map(|it| it.text.as_str()).collect()
}

fn count_lines(elements: &[Element], color: Color) -> usize {
    elements.iter().filter(|it| it.name == "polyline" && it.has_color(color)).count()
}

/// Fails if a text overlaps another one or leaves the picture.
fn assert_texts_apart(elements: &[Element], width: u32, context: &str) {
    let boxes: Vec<([f64; 4], &str)> = elements
        .iter()
        .filter(|it| it.name == "text")
        .map(|it| (it.text_box(), it.text.as_str()))
        .collect();
    let height = elements[0].number("height");
    for (index, (a, text)) in boxes.iter().enumerate() {
        let is_inside = a[0] >= 0.0 && a[1] >= 0.0 && a[2] <= f64::from(width) && a[3] <= height;
        assert!(is_inside, "{context} {width}: {text:?} at {a:?}");
        for (b, other) in &boxes[index + 1..] {
            let is_apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
            assert!(is_apart, "{context} {width}: {text:?} at {a:?} and {other:?} at {b:?}");
        }
    }
}

/// Writes the charts of all made-up calls, to look at them.
#[test]
fn charts_are_written_on_request() {
    let Some(directory) = std::env::var_os("CHART_DIRECTORY") else { return };
    for (name, quality) in fixtures::all() {
        for width in [320, 360, 800, 1600] {
            for (theme, theme_name) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
                let file = format!("{name}-{width}-{theme_name}.svg");
                fs::write(Path::new(&directory).join(file), render(&quality, width, theme))
                    .unwrap();
            }
        }
    }
}

#[test]
fn documented_chart_is_current() {
    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let svg = render(&fixtures::quality(), 800, Theme::Auto);
    let documented = format!("{ROOT}/docs/quality.svg");
    if fs::read_to_string(&documented).ok().as_ref() != Some(&svg) {
        let rendered = format!("{ROOT}/target/quality.svg");
        fs::create_dir_all(format!("{ROOT}/target")).unwrap();
        fs::write(&rendered, svg).unwrap();
        panic!("copy target/quality.svg to docs/quality.svg");
    }
}

#[test]
fn no_text_overlaps_another() {
    const WIDTHS: [u32; 14] =
        [320, 321, 360, 390, 412, 480, 599, 600, 700, 759, 760, 800, 1_200, 1_600];
    for (name, mut quality) in fixtures::all() {
        for long_name in
            [None, Some("W".repeat(200)), Some("\u{1F469}\u{200D}\u{1F680}".repeat(99))]
        {
            if long_name.is_some() {
                quality.participants.iter_mut().for_each(|it| it.name.clone_from(&long_name));
            }
            quality.ratings.average = long_name.as_ref().map(|_| 3.5);
            for width in WIDTHS {
                assert_texts_apart(&elements(&quality, width), width, name);
            }
        }
    }
}

#[test]
fn extreme_values_fit() {
    for (name, mut quality) in fixtures::all() {
        quality.call_id = "c".repeat(59).try_into().unwrap();
        quality.metrics.latency = Some(86_400_000.0);
        quality.metrics.jitter = Some(f64::MAX);
        if let Some(timeline) = &mut quality.timeline {
            timeline.points[0].latency = Some(f64::MAX);
            timeline.points[0].jitter = Some(f64::INFINITY);
            timeline.points[0].packet_loss = Some(f64::NAN);
            timeline.step_seconds = 360;
        }
        for width in [320, 600, 1_600] {
            let svg = render(&quality, width, Theme::Light);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
            assert_texts_apart(&parse(&svg), width, name);
        }
    }
}

#[test]
fn chart_has_only_plain_elements() {
    for (name, quality) in fixtures::all() {
        for theme in [Theme::Light, Theme::Dark, Theme::Auto] {
            let svg = render(&quality, 360, theme);
            for element in parse(&svg) {
                let tag = element.name.as_str();
                assert!(tag == "text" || ELEMENTS.contains(&tag), "{name}: {tag}");
                for (key, value) in &element.attributes {
                    assert!(!key.starts_with("on") && !key.ends_with("href"), "{name}: {key}");
                    assert!(!value.contains("url("), "{name}: {value}");
                }
            }
        }
    }
}

#[test]
fn user_text_is_escaped() {
    let hostile = "<script>\"&'\u{7}\u{202E}\u{FFFE}\nevil]]>";
    let mut quality = fixtures::quality();
    if let Some(interval) = &mut quality.worst_interval {
        interval.user_id = hostile.to_owned();
    }
    for participant in &mut quality.participants {
        participant.user_id = hostile.to_owned();
    }
    quality.participants[0].name = Some(hostile.to_owned());
    quality.participants[1].name = Some("\u{1}".to_owned());
    for width in [320, 1_600] {
        let svg = render(&quality, width, Theme::Auto);
        let elements = parse(&svg);
        let rows = texts(&elements).into_iter().filter(|text| *text == "<script>\"&' evil]]>");
        assert!(width == 320 || rows.count() == 2, "{svg}");
        assert!(!svg.chars().any(|c| c.is_control() && c != '\n'));
        assert!(!svg.contains(['\u{202E}', '\u{FFFE}']));
        assert!(!svg.contains("<script"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// No name breaks the document or covers other text.
    #[test]
    fn every_name_fits(name in any::<String>(), width in 320_u32..=1_600) {
        let mut quality = fixtures::no_samples();
        for participant in &mut quality.participants {
            participant.name = Some(name.clone());
        }
        assert_texts_apart(&elements(&quality, width), width, "any name");
    }
}

#[test]
fn theme_determines_the_colors() {
    let quality = fixtures::quality();
    let (light, dark) = (Color::Page.value(Theme::Light), Color::Page.value(Theme::Dark));
    for (theme, page, other_page, has_style) in [
        (Theme::Light, &light, &dark, false),
        (Theme::Dark, &dark, &light, false),
        (Theme::Auto, &light, &dark, true),
    ] {
        let svg = render(&quality, 800, theme);
        let elements = parse(&svg);
        let background = elements.iter().find(|it| it.name == "rect").unwrap();
        assert_eq!(background.attribute("fill"), page, "{theme:?}");
        assert_eq!(svg.contains("<style>"), has_style, "{theme:?}");
        assert_eq!(svg.contains(other_page.as_str()), has_style, "{theme:?}");
    }
}

/// The style of an SVG within a page applies to the whole page.
#[test]
fn style_is_limited_to_the_chart() {
    let svg = render(&fixtures::quality(), 800, Theme::Auto);
    let elements = parse(&svg);
    let style = elements.iter().find(|it| it.name == "style").unwrap().text.clone();
    let rules = style.strip_prefix("@media (prefers-color-scheme:dark){").unwrap();
    let rules = rules.strip_suffix('}').unwrap();
    let used = |value: &str| {
        elements.iter().any(|it| it.attribute("fill") == value || it.attribute("stroke") == value)
    };
    for rule in rules.split_terminator('}') {
        let (selector, _) = rule.split_once('{').unwrap();
        let value = selector.strip_prefix("#quality-c1 [").unwrap().split('"').nth(1).unwrap();
        assert!(used(value), "{selector} is unused");
    }
}

#[test]
fn chart_has_the_requested_width_and_is_deterministic() {
    for (name, quality) in fixtures::all() {
        for width in [320, 599, 600, 1_600] {
            let svg = render(&quality, width, Theme::Auto);
            assert_eq!(svg, render(&quality, width, Theme::Auto), "{name}");
            let root = &parse(&svg)[0];
            assert_eq!(root.attribute("width"), width.to_string());
            let view_box = format!("0 0 {width} {}", root.attribute("height"));
            assert_eq!(root.attribute("viewBox"), view_box);
        }
    }
}

/// The parts of the chart in their order, by their captions.
#[test]
fn chart_has_all_parts() {
    let eight = fixtures::all().into_iter().find(|(name, _)| *name == "eight-people").unwrap().1;
    for width in [360, 800] {
        let elements = elements(&eight, width);
        let texts = texts(&elements);
        let mut rest = texts.as_slice();
        for caption in [
            "What cost the audio",
            "Score, lowest at each moment",
            "Latency",
            "Jitter",
            "Packet loss",
            "People, worst first",
            "Erin",
            "0:00",
            "Shaded: worst interval",
        ] {
            let at = rest.iter().position(|text| text.starts_with(caption));
            rest = &rest[at.unwrap_or_else(|| panic!("{caption} is missing in {rest:?}"))..];
        }
        let count = |is_counted: &dyn Fn(&Element) -> bool| {
            elements.iter().filter(|it| is_counted(it)).count()
        };
        assert_eq!(count(&|it| it.has_color(Color::Shade)), 1, "one shade through all charts");
        assert_eq!(count(&|it| it.has_color(Color::Threshold)), 3, "a threshold in each chart");
        assert_eq!(count(&|it| it.name == "rect" && it.attribute("fill-opacity") == "0.1"), 5);
        assert_eq!(texts.iter().filter(|text| **text == "0:00").count(), 1, "one time axis");
        for color in [Color::Text, Color::Latency, Color::Jitter, Color::Loss] {
            assert!(count_lines(&elements, color) >= 1, "{color:?}");
        }
        // The ring and a segment of the bar have the colors of the score and of its main cause.
        assert!(elements.iter().any(|it| it.name == "circle" && it.has_color(Color::Good)));
        let main_cause = cause_style(eight.assessment.reasons[0].cause).color;
        assert!(elements.iter().any(|it| it.name == "path" && it.has_color(main_cause)));
    }
}

/// The bar names the medium that determines the score, if there are two.
#[test]
fn cost_bar_names_its_medium() {
    for (name, caption, has_video) in [
        ("voice-only", "What cost the score", false),
        ("documented", "What cost the audio", true),
        ("one-person", "What cost the video", true),
    ] {
        let quality = fixtures::all().into_iter().find(|it| it.0 == name).unwrap().1;
        let elements = elements(&quality, 800);
        let texts = texts(&elements);
        assert!(texts.contains(&caption), "{name}: {texts:?}");
        assert_eq!(texts.iter().any(|text| text.contains("video 4.")), has_video, "{name}");
    }
    // A bar has room for every cause.
    let mut quality = fixtures::quality();
    let causes = Cause::ALL.into_iter().map(|cause| Reason { cause, cost: 10.0 });
    quality.assessment.reasons = causes.collect();
    for width in [320, 360, 600, 800] {
        let elements = elements(&quality, width);
        assert_texts_apart(&elements, width, "all causes");
        for cause in Cause::ALL {
            let is_segment = |it: &&Element| {
                (it.name == "rect" || it.name == "path") && it.has_color(cause_style(cause).color)
            };
            assert_eq!(elements.iter().filter(is_segment).count(), 1, "{cause:?}");
        }
    }
}

/// The shade covers the worst interval, from the score chart to the last row.
#[test]
fn shade_covers_all_charts() {
    let quality = fixtures::quality();
    let elements = elements(&quality, 800);
    let shade = elements.iter().find(|it| it.has_color(Color::Shade)).unwrap();
    let interval = quality.worst_interval.as_ref().unwrap();
    let time_axis =
        TimeAxis::new(quality.timeline.as_ref().unwrap(), Layout::new(Width::default()));
    let (left, right) = (time_axis.instant_x(interval.from), time_axis.instant_x(interval.to));
    assert!((shade.number("x") - left).abs() < 0.1);
    assert!((shade.number("width") - (right - left)).abs() < 0.2);
    let (top, bottom) = (shade.number("y"), shade.number("y") + shade.number("height"));
    let text_y = |text: &str| elements.iter().find(|it| it.text == text).unwrap().number("y");
    assert!(text_y("Score, lowest at each moment") < top && top < text_y("excellent"));
    assert!(text_y("Alice") < bottom && bottom < text_y("0:00"));
}

#[test]
fn gap_breaks_the_line() {
    let complete = elements(&fixtures::quality(), 800);
    let mut quality = fixtures::quality();
    let gap = &mut quality.timeline.as_mut().unwrap().points[60];
    (gap.score, gap.latency) = (None, Some(f64::NAN));
    let with_gap = elements(&quality, 800);
    for (color, parts) in
        [(Color::Text, 2), (Color::Latency, 2), (Color::Jitter, 1), (Color::Loss, 1)]
    {
        let counts = (count_lines(&complete, color), count_lines(&with_gap, color));
        assert_eq!(counts, (1, parts), "{color:?}");
    }
    let timeline = quality.timeline.as_mut().unwrap();
    timeline.points = vec![TimelinePoint::default(); 9];
    timeline.points[7].score = Some(4.0);
    let single = elements(&quality, 800);
    assert_eq!(count_lines(&single, Color::Text), 1, "a single value is drawn");
    assert_eq!(texts(&single).iter().filter(|text| **text == "no data").count(), 3);
    let timeline = quality.timeline.as_mut().unwrap();
    (timeline.points, timeline.step_seconds) = (Vec::new(), 0);
    let empty = elements(&quality, 800);
    assert_eq!(count_lines(&empty, Color::Text), 0, "nothing is drawn");
}

#[test]
fn freezes_are_notches_and_presence_is_a_track() {
    let notches = |quality: &Quality| {
        let elements = elements(quality, 1_600);
        let is_notch = |it: &&Element| it.has_color(Color::Page) && it.attribute("height") == "5";
        elements.iter().filter(is_notch).count()
    };
    let mut quality = fixtures::quality();
    let freezes = quality.participants[0].freezes.len();
    assert!(freezes > 1);
    assert_eq!(notches(&quality), freezes);
    for participant in &mut quality.participants {
        participant.freezes.clear();
    }
    assert_eq!(notches(&quality), 0);
    assert!(!texts(&elements(&quality, 800)).iter().any(|text| text.contains("Notches")));
    // Without samples, the track is the presence alone.
    let bob = &mut quality.participants[0];
    bob.timeline.clear();
    let stay = bob.presence[0];
    quality.participants = vec![bob.clone()];
    let elements = elements(&quality, 800);
    let time_axis =
        TimeAxis::new(quality.timeline.as_ref().unwrap(), Layout::new(Width::default()));
    let left = time_axis.instant_x(stay.joined_at.unwrap()) + 4.0;
    let start = format!("M{} ", (left * 10.0).round() / 10.0);
    let is_track =
        |it: &&Element| it.has_color(Color::Track) && it.attribute("d").starts_with(&start);
    assert_eq!(elements.iter().filter(is_track).count(), 1);
}

#[test]
fn first_twelve_participants_have_a_row() {
    let mut quality = fixtures::quality();
    let alice = quality.participants[1].clone();
    quality.participants = (0..15)
        .map(|n| Participant { name: Some(format!("guest-{n}")), ..alice.clone() })
        .collect();
    for width in [320, 800] {
        let elements = elements(&quality, width);
        let texts = texts(&elements);
        for n in 0..15 {
            assert_eq!(texts.contains(&&*format!("guest-{n}")), n < 12, "{n}");
        }
        assert!(texts.contains(&"and 3 more"));
    }
}

#[test]
fn right_to_left_name_is_isolated_in_a_line() {
    let mut quality = fixtures::quality();
    let name = "\u{5D3}\u{5E0}\u{5D4}";
    for participant in &mut quality.participants {
        participant.name = Some(name.to_owned());
    }
    let svg = render(&quality, 800, Theme::Auto);
    assert!(svg.contains(&format!("Worst: \u{2067}{name}\u{2069} · ")), "{svg}");
    assert!(svg.contains("direction=\"ltr\""));
}

#[test]
fn text_alternative_contains_the_values_of_the_chart() {
    let elements = elements(&fixtures::quality(), 800);
    let root = &elements[0];
    assert_eq!(root.attribute("role"), "img");
    let find = |name: &str| elements.iter().find(|it| it.name == name).unwrap();
    let (title, text) = (find("title"), find("desc"));
    assert_eq!(root.attribute("aria-labelledby"), title.attribute("id"));
    assert_eq!(root.attribute("aria-describedby"), text.attribute("id"));
    assert!(title.text.starts_with("Good call, score 4."), "{}", title.text);
    for part in [
        "Call c1: 2 people, ",
        "1 Jan 2026, 00:00 UTC, audio 4.3, video 4.4.",
        "Points lost: packet loss ",
        "Worst interval: Bob, 1",
        ", packet loss, score ",
        "People, worst first: Bob: good 4.",
    ] {
        assert!(text.text.contains(part), "{part} is missing in {}", text.text);
    }
}

#[test]
fn long_name_is_shortened_in_the_text_alternative() {
    let mut quality = fixtures::quality();
    for participant in &mut quality.participants {
        participant.name = Some("x".repeat(10_000));
    }
    let elements = elements(&quality, 800);
    let text = &elements.iter().find(|it| it.name == "desc").unwrap().text;
    assert!(text.len() < 1_000, "{}", text.len());
}

#[test]
fn chart_without_samples_says_so() {
    let find = |name: &str| fixtures::all().into_iter().find(|it| it.0 == name).unwrap().1;
    for (name, expected) in [
        ("no-data", &["Unknown quality", "No score: there is no data"][..]),
        (
            "no-samples",
            &[
                "No score: packet loss is missing",
                "Stream score 61 · latency 205 ms · jitter 6.5 ms",
            ],
        ),
    ] {
        let elements = elements(&find(name), 800);
        let texts = texts(&elements);
        assert!(expected.iter().all(|text| texts.contains(text)), "{texts:?}");
        assert_eq!(count_lines(&elements, Color::Text), 0);
    }
}
