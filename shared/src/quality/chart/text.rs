//! Sanitizing, wrapping and the direction of text, and escaping for XML.

use crate::quality::chart::font::Font;

/// The separator of items on a line.
const SEPARATOR: &str = " · ";
/// The maximum number of accents on a letter. More of them would cover other lines.
const MAX_ACCENTS: usize = 3;

/// The text on one line, without characters that XML forbids, invisible characters and bidi
/// controls that would reorder the following text.
pub(super) fn sanitize(text: &str) -> String {
    let mut accents = 0;
    let is_visible = |c: &char| {
        accents = if is_accent(*c) { accents + 1 } else { 0 };
        accents <= MAX_ACCENTS
            && !c.is_control()
            && !matches!(*c, '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{200E}'..='\u{200F}')
            && !matches!(*c, '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
            && !matches!(*c, '\u{FFF0}'..='\u{FFFB}' | '\u{FFFE}'..='\u{FFFF}')
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let visible: String = line.chars().filter(is_visible).collect();
    visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether the character is an accent that any letter can have.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}')
        || matches!(c, '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}')
        || matches!(c, '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// Isolates sanitized text with right-to-left letters, so that it does not reorder the surrounding
/// text. Its own direction is that of its first letter. Isolates are characters and no attributes:
/// with the attribute `direction`, renderers disagree about the side that the text is anchored to.
pub(super) fn isolate(text: &str) -> String {
    // Some SVG renderers do not support isolates, so they are added only if needed.
    if !text.contains(is_right_to_left) {
        return text.to_owned();
    }
    let first = text.chars().find(|c| c.is_alphabetic());
    let start = if first.is_some_and(is_right_to_left) { '\u{2067}' } else { '\u{2066}' };
    format!("{start}{text}\u{2069}")
}

/// Joins items into lines that fit. An item that is wider than a line is wrapped by itself.
pub(super) fn flow(items: &[String], font: Font, max_width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        let joined = lines.last().map(|line| format!("{line}{SEPARATOR}{item}"));
        match (joined.filter(|joined| font.text_width(joined) <= max_width), lines.last_mut()) {
            (Some(joined), Some(line)) => *line = joined,
            _ => lines.extend(wrap(item, font, max_width)),
        }
    }
    lines
}

/// Wraps the text at spaces into lines that fit.
fn wrap(text: &str, font: Font, max_width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let joined = lines.last().map(|line| format!("{line} {word}"));
        match (joined.filter(|joined| font.text_width(joined) <= max_width), lines.last_mut()) {
            (Some(joined), Some(line)) => *line = joined,
            _ => lines.push(font.truncate(word, max_width)),
        }
    }
    lines
}

/// Escapes text for XML.
pub(super) fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::chart::font::{BODY, SMALL};

    #[test]
    fn only_right_to_left_text_is_isolated() {
        for (text, expected) in [
            ("Zo\u{EB} \u{540D}", "Zo\u{EB} \u{540D}"),
            ("\u{5D0}b", "\u{2067}\u{5D0}b\u{2069}"),
            ("1 \u{5D0}", "\u{2067}1 \u{5D0}\u{2069}"),
            ("Bob \u{5D0}", "\u{2066}Bob \u{5D0}\u{2069}"),
        ] {
            assert_eq!(isolate(text), expected);
        }
    }

    #[test]
    fn lines_fit_their_width() {
        let items = ["2 people", "1:00:00 h", "1 Jan 2026, 00:00 UTC", "a note of many words"];
        let items = items.map(str::to_owned);
        for font in [BODY, SMALL] {
            for width in [120.0, 300.0, 2_000.0] {
                let lines = flow(&items, font, width);
                assert!(lines.iter().all(|line| font.text_width(line) <= width), "{lines:?}");
                let words = lines.join(" ").replace(" · ", " ");
                assert_eq!(words, items.join(" "));
            }
        }
        assert_eq!(flow(&items, BODY, 2_000.0).len(), 1);
        let lines = flow(&["W".repeat(99)], BODY, 120.0);
        assert!(lines.len() == 1 && lines[0].ends_with('…'), "{lines:?}");
    }

    #[test]
    fn invisible_characters_are_removed() {
        assert_eq!(sanitize(" a\u{0}\u{1B}b\n\u{202E}\t c\u{85}\u{2028}d\u{FFFF} "), "ab c d");
        assert_eq!(sanitize("\u{7F}\u{200B}"), "");
        let joined = "\u{645}\u{631}\u{64A}\u{645} \u{1F469}\u{200D}\u{1F4BB}";
        assert_eq!(sanitize(joined), joined);
        let stacked = format!("a{}b", "\u{301}".repeat(50));
        assert_eq!(sanitize(&stacked), "a\u{301}\u{301}\u{301}b");
    }
}
