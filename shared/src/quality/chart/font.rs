//! Fonts and the estimated width of text.
//!
//! The viewer's font is unknown, so the widths are those of `DejaVu Sans`, one of the widest common
//! fonts. Other scripts have the widths of `Noto Sans`.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A font size and weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Font {
    /// In pixels.
    pub(super) size: u16,
    pub(super) is_bold: bool,
}

/// The score in its ring.
pub(super) const FIGURE: Font = Font { size: 24, is_bold: true };
/// The headline.
pub(super) const HEADLINE: Font = Font { size: 20, is_bold: true };
/// Captions and names.
pub(super) const CAPTION: Font = Font { size: 13, is_bold: true };
/// Text.
pub(super) const BODY: Font = Font { size: 12, is_bold: false };
/// Values.
pub(super) const VALUE: Font = Font { size: 12, is_bold: true };
/// Axis labels and notes.
pub(super) const SMALL: Font = Font { size: 11, is_bold: false };

impl Font {
    pub(super) fn height(self) -> f64 {
        f64::from(self.size)
    }

    /// The distance between two lines.
    pub(super) fn line_height(self) -> f64 {
        f64::from(self.size + self.size.div_ceil(2))
    }

    /// The distance from the vertical middle of capital letters to the base line.
    pub(super) fn half_capital(self) -> f64 {
        self.height() * 0.36
    }

    /// The estimated width of a text.
    pub(super) fn text_width(self, text: &str) -> f64 {
        self.to_pixels(text.graphemes(true).map(advance).sum())
    }

    /// The text, shortened with an ellipsis to fit the width.
    pub(super) fn truncate(self, text: &str, max_width: f64) -> String {
        if self.text_width(text) <= max_width {
            return text.to_owned();
        }
        let mut used = advance("…");
        let fits = |grapheme: &&str| {
            used = used.saturating_add(advance(grapheme));
            self.to_pixels(used) <= max_width
        };
        let short: String = text.graphemes(true).take_while(fits).collect();
        format!("{}…", short.trim_end())
    }

    fn to_pixels(self, hundredths: u32) -> f64 {
        let weight = if self.is_bold { 1.05 } else { 1.0 };
        f64::from(hundredths) * self.height() * weight / 100.0
    }
}

/// The width of a grapheme cluster, in hundredths of the font size.
fn advance(grapheme: &str) -> u32 {
    let Some(first) = grapheme.chars().next() else { return 0 };
    match grapheme.width() {
        0 => 0,
        2.. if is_pictograph(first) => 138,
        _ => grapheme.chars().map(char_advance).sum(),
    }
}

/// Whether a wide cluster that begins with this character is an emoji.
fn is_pictograph(first: char) -> bool {
    matches!(first, '#' | '*' | '0'..='9' | '\u{A9}' | '\u{AE}')
        || matches!(first, '\u{2000}'..='\u{2BFF}' | '\u{3030}' | '\u{303D}' | '\u{3297}'..='\u{3299}')
        || matches!(first, '\u{1F000}'..='\u{1FFFF}')
}

fn char_advance(c: char) -> u32 {
    match c.width().unwrap_or_default() {
        0 => 0,
        1 if c.is_ascii() => ascii_advance(c),
        1 => narrow_advance(c),
        _ => 104,
    }
}

fn ascii_advance(c: char) -> u32 {
    match c {
        'i' | 'j' | 'l' | '\'' => 31,
        c if " !(),-./:;I[\\]`frt".contains(c) => 41,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | '"' | '*' | '?' | '_' => 60,
        c if "EFJLPSTYZ".contains(c) => 66,
        'w' | '#' | '&' | '+' | '<' | '=' | '>' | '^' | '~' => 86,
        'm' | 'M' | 'W' | '@' | '%' => 100,
        c if c.is_ascii_uppercase() => 79,
        _ => 64,
    }
}

/// The width of a character outside of ASCII that is not wide.
fn narrow_advance(c: char) -> u32 {
    match c {
        // Ligatures of whole words.
        '\u{FDFA}' | '\u{FDFD}' => 1_000,
        '\u{FDF0}'..='\u{FDFC}' => 260,
        '\u{A0}' | '·' | '’' => 33,
        '–' => 50,
        '\u{2212}' => 84,
        // Bidi isolates.
        '\u{2066}'..='\u{2069}' => 0,
        c if "ÆŒæœЖМФШЩЫЮжмфшщыюЉЊљњ".contains(c) => 112,
        c if c < '\u{530}' && c.is_uppercase() => 84,
        c if c < '\u{530}' => 68,
        '\u{530}'..='\u{8FF}' | '\u{FB1D}'..='\u{FEFC}' => 72,
        '\u{900}'..='\u{B7F}' => 80,
        '\u{B80}'..='\u{DFF}' => 98,
        '\u{E00}'..='\u{FFF}' => 66,
        '\u{1000}'..='\u{109F}' => 115,
        '\u{1780}'..='\u{17FF}' => 90,
        _ => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_depends_on_the_script() {
        let width = |text| Font { size: 100, is_bold: false }.text_width(text);
        for (text, expected) in [
            ("", 0.0),
            ("il", 62.0),
            ("W", 100.0),
            ("\u{7530}\u{4E2D}", 208.0),           // Han
            ("\u{1112}\u{1161}\u{11AB}", 104.0),   // a Hangul syllable of three letters
            ("e\u{301}", 64.0),                    // a combining accent
            ("\u{645}\u{64E}", 72.0),              // an Arabic letter with a vowel sign
            ("\u{1F469}\u{200D}\u{1F4BB}", 138.0), // an emoji of two
            ("\u{1F1E9}\u{1F1EA}", 138.0),         // a flag of two letters
            ("\u{2764}\u{FE0F}", 138.0),           // a text symbol as emoji
            ("\u{2067}\u{645}\u{2069}", 72.0),     // a bidi isolate
        ] {
            assert!((width(text) - expected).abs() < 1e-9, "{text:?}: {}", width(text));
        }
    }

    #[test]
    fn truncation_keeps_grapheme_clusters() {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
        let names = [
            "María Fernanda González de la Torre".to_owned(),
            "\u{7530}\u{4E2D}\u{5065}\u{4E8C}".repeat(9),
            "\u{641}\u{627}\u{637}\u{645}\u{629} ".repeat(9),
            "e\u{301}".repeat(99),
            family.repeat(40),
        ];
        for name in names {
            for font in [CAPTION, SMALL] {
                let short = font.truncate(&name, 120.0);
                assert!(short.ends_with('…') && font.text_width(&short) <= 120.0, "{short}");
                let kept = short.trim_end_matches('…');
                assert!(name.starts_with(kept) && kept.len() > 9, "{short}");
                let is_boundary = name.grapheme_indices(true).any(|(at, _)| at == kept.len());
                assert!(is_boundary, "{short}");
            }
        }
        assert_eq!(CAPTION.truncate("Bob", 120.0), "Bob");
    }
}
