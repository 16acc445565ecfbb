//! Text measurement, wrapping, truncation and sanitizing.
//!
//! The reader's font is unknown, so the widths are those of a wide font.

/// A font size and weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Font {
    /// In pixels.
    pub(super) size: i32,
    pub(super) bold: bool,
}

pub(super) const TITLE: Font = Font { size: 16, bold: true };
pub(super) const CAPTION: Font = Font { size: 12, bold: true };
pub(super) const BODY: Font = Font { size: 12, bold: false };
pub(super) const SMALL: Font = Font { size: 11, bold: false };

impl Font {
    /// The distance between two lines.
    pub(super) fn line_height(self) -> i32 {
        self.size + 5
    }

    /// The maximum width of a text.
    pub(super) fn text_width(self, text: &str) -> i32 {
        self.to_pixels(text.chars().fold(0, |sum: i32, c| sum.saturating_add(advance(c))))
    }

    fn to_pixels(self, hundredths: i32) -> i32 {
        let size = if self.bold { self.size + self.size / 8 } else { self.size };
        hundredths.saturating_mul(size) / 100
    }
}

/// The width of a character, in hundredths of the font size.
fn advance(c: char) -> i32 {
    match c {
        c if " !'(),-./:;Ifijlrt".contains(c) => 42,
        c if "MWmw%@".contains(c) => 100,
        c if c.is_ascii_uppercase() || "#&+<=>^~".contains(c) => 84,
        c if c.is_ascii() => 66,
        // Bidi isolates are invisible.
        '\u{2066}'..='\u{2069}' => 0,
        c if c < '\u{1100}' => 85,
        _ => 105,
    }
}

/// The text on one line, without characters that XML forbids, invisible characters and bidi
/// controls that would reorder the following text.
pub(super) fn sanitize(text: &str) -> String {
    let is_visible = |c: &char| {
        !c.is_control()
            && !matches!(*c, '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{200E}'..='\u{200F}')
            && !matches!(*c, '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
            && !matches!(*c, '\u{FFF0}'..='\u{FFFB}' | '\u{FFFE}'..='\u{FFFF}')
    };
    let words =
        text.split_whitespace().map(|word| word.chars().filter(is_visible).collect::<String>());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Isolates sanitized right-to-left text, so that it does not reorder the surrounding text.
pub(super) fn isolate_bidi(text: &str) -> String {
    let is_right_to_left = |c| matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FEFC}' | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}');
    // Some SVG renderers do not support bidi isolates, so they are added only if needed.
    if text.contains(is_right_to_left) {
        format!("\u{2068}{text}\u{2069}")
    } else {
        text.to_owned()
    }
}

/// The text, shortened with an ellipsis to fit the width.
pub(super) fn truncate(text: &str, font: Font, max_width: i32) -> String {
    if font.text_width(text) <= max_width {
        return text.to_owned();
    }
    let mut used = advance('…');
    let fits = |c: &char| {
        used += advance(*c);
        font.to_pixels(used) <= max_width
    };
    let short: String = text.chars().take_while(fits).collect();
    format!("{}…", short.trim_end())
}

/// Wraps the text into lines that fit. A word that is wider than a line is broken.
pub(super) fn wrap(text: &str, font: Font, max_width: i32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() {
            if font.text_width(&format!("{line} {word}")) > max_width {
                lines.push(std::mem::take(&mut line));
            } else {
                line.push(' ');
            }
        }
        for c in word.chars() {
            line.push(c);
            if line.len() > c.len_utf8() && font.text_width(&line) > max_width {
                line.pop();
                lines.push(std::mem::replace(&mut line, c.to_string()));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Escapes text for XML. Plotters escapes the text that it draws.
pub(super) fn escape_xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

/// Formats as `MM:SS`, or as `H:MM:SS` from one hour on.
pub(super) fn format_elapsed(seconds: u64) -> String {
    let (minutes, rest) = (seconds / 60, seconds % 60);
    if minutes < 60 {
        format!("{minutes:02}:{rest:02}")
    } else {
        format!("{}:{:02}:{rest:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_right_to_left_text_is_isolated() {
        assert_eq!(isolate_bidi("Zo\u{EB} \u{540D}"), "Zo\u{EB} \u{540D}");
        assert_eq!(isolate_bidi("\u{5D0}b"), "\u{2068}\u{5D0}b\u{2069}");
    }

    #[test]
    fn text_fits_its_width() {
        let long = "Worst participant: WWWWWWWWWWWWWWWWWWWWWWWWWWWW \u{540D}\u{524D} (3.41)";
        for font in [TITLE, SMALL] {
            let lines = wrap(long, font, 300);
            assert!(lines.len() > 1);
            assert!(lines.iter().all(|line| font.text_width(line) <= 300), "{lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), long.replace(' ', ""));
            let short = truncate(long, font, 142);
            assert!(short.ends_with('…') && font.text_width(&short) <= 142, "{short}");
        }
        assert_eq!(wrap("a fair call", BODY, 300), ["a fair call"]);
        assert_eq!(truncate("Bob", BODY, 142), "Bob");
    }

    #[test]
    fn invisible_characters_are_removed() {
        assert_eq!(sanitize(" a\u{0}\u{1B}b\n\u{202E}\t c\u{85}\u{2028}d\u{FFFF} "), "ab c d");
        assert_eq!(sanitize("\u{7F}\u{200B}"), "");
        let joined = "\u{645}\u{631}\u{64A}\u{645} \u{1F469}\u{200D}\u{1F4BB}";
        assert_eq!(sanitize(joined), joined);
    }

    #[test]
    fn elapsed_time_is_formatted() {
        for (seconds, text) in [(0, "00:00"), (3_599, "59:59"), (3_600, "1:00:00")] {
            assert_eq!(format_elapsed(seconds), text);
        }
    }
}
