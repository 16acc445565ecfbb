//! The colours of the terminal.
//! <https://en.wikipedia.org/wiki/ANSI_escape_code#SGR>

/// Whether lines have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    has_colors: bool,
}

/// A colour, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    Success,
    Warning,
    Failure,
    Detail,
}

impl Color {
    fn code(self) -> &'static str {
        match self {
            Self::Success => "32",
            Self::Warning => "33",
            Self::Failure => "31",
            Self::Detail => "2",
        }
    }
}

impl Style {
    pub(super) fn new(has_colors: bool) -> Self {
        Self { has_colors }
    }

    pub(super) fn paint(self, color: Color, text: &str) -> String {
        if self.has_colors {
            format!("\u{1b}[{}m{text}\u{1b}[0m", color.code())
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_unchanged_without_colors() {
        assert_eq!(Style::new(false).paint(Color::Failure, "500"), "500");
        assert_eq!(Style::new(true).paint(Color::Failure, "500"), "\u{1b}[31m500\u{1b}[0m");
    }
}
