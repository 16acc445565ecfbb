//! The theme of a chart.

use serde::Deserialize;

/// The colors of a chart: light, dark, or those of the viewer's setting, which is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Light colors.
    Light,
    /// Dark colors.
    Dark,
    /// Light colors, and a style that replaces them if the viewer prefers dark ones.
    #[default]
    Auto,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Query {
        #[serde(default)]
        theme: Theme,
    }

    #[test]
    fn only_known_themes_are_accepted() {
        let parse = serde_urlencoded::from_str::<Query>;
        for (query, theme) in [
            ("", Theme::Auto),
            ("theme=auto", Theme::Auto),
            ("theme=light", Theme::Light),
            ("theme=dark", Theme::Dark),
        ] {
            assert_eq!(parse(query).unwrap().theme, theme, "{query}");
        }
        for query in ["theme=", "theme=Dark", "theme=sepia"] {
            assert!(parse(query).is_err(), "{query}");
        }
    }
}
