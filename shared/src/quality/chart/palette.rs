//! The colors. Each has one purpose and two values. Plotters writes the light value into the SVG,
//! and a style rule replaces it with the dark value in dark mode.
//!
//! The bands range from red over yellow to blue, which red-green color-blind readers can
//! distinguish. The tests check the contrast of text and lines with their background.

use plotters::prelude::RGBColor;

type Rgb = [u8; 3];

macro_rules! inks {
    ($($name:ident: $light:expr, $dark:expr;)*) => {
        /// The purpose of a color.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Ink {
            $($name,)*
        }

        const ALL: &[Ink] = &[$(Ink::$name),*];

        impl Ink {
            /// The light and the dark value.
            fn pair(self) -> (Rgb, Rgb) {
                match self {
                    $(Self::$name => ($light, $dark),)*
                }
            }
        }
    };
}

inks! {
    Page: [0xFF, 0xFF, 0xFF], [0x0D, 0x11, 0x17]; // page background
    Text: [0x1F, 0x23, 0x28], [0xE6, 0xED, 0xF3]; // text
    Quiet: [0x59, 0x63, 0x6E], [0x9D, 0xA7, 0xB1]; // secondary text
    Grid: [0xD1, 0xD9, 0xE0], [0x3D, 0x44, 0x4D]; // grid lines of a chart
    Outline: [0x81, 0x8B, 0x98], [0x76, 0x83, 0x90]; // outline of a chart or a strip
    Empty: [0xF3, 0xF5, 0xF8], [0x1B, 0x22, 0x2C]; // a cell without a sample
    Opinion: [0x0A, 0x30, 0x69], [0xCA, 0xE8, 0xFF]; // score line
    Latency: [0x05, 0x50, 0xAE], [0x79, 0xC0, 0xFF]; // latency line
    Jitter: [0x82, 0x50, 0xDF], [0xD2, 0xA8, 0xFF]; // jitter line
    Loss: [0xBC, 0x4C, 0x00], [0xFF, 0xA6, 0x57]; // packet loss line
    Mark: [0x1B, 0x1F, 0x24], [0xF0, 0xF3, 0xF6]; // join and leave markers
    Freeze: [0x0E, 0x74, 0x90], [0x67, 0xE8, 0xF9]; // freeze marker
    ExcellentTint: [0xB5, 0xD2, 0xEA], [0x14, 0x36, 0x5A]; // background of the excellent band
    GoodTint: [0xDF, 0xF1, 0xF9], [0x1C, 0x44, 0x50]; // background of the good band
    FairTint: [0xFF, 0xFB, 0xDC], [0x47, 0x46, 0x2A]; // background of the fair band
    PoorTint: [0xFA, 0xD3, 0xA2], [0x54, 0x30, 0x0C]; // background of the poor band
    BadTint: [0xF0, 0xB4, 0xB4], [0x4A, 0x12, 0x16]; // background of the bad band
    Excellent: [0x1F, 0x6F, 0xB2], [0x3D, 0x8F, 0xD6]; // a cell with an excellent score
    Good: [0x92, 0xC9, 0xEA], [0xB3, 0xDE, 0xF2]; // a cell with a good score
    Fair: [0xFF, 0xE6, 0x80], [0xFF, 0xF3, 0xB8]; // a cell with a fair score
    Poor: [0xF0, 0x8A, 0x2C], [0xF5, 0x9B, 0x4C]; // a cell with a poor score
    Bad: [0xB5, 0x12, 0x1B], [0xD9, 0x2B, 0x2F]; // a cell with a bad score
}

impl Ink {
    /// The light value for plotters.
    pub(super) fn rgb(self) -> RGBColor {
        let ([red, green, blue], _) = self.pair();
        RGBColor(red, green, blue)
    }

    /// The light value as plotters writes it into the SVG.
    pub(super) fn light(self) -> String {
        hex(self.pair().0)
    }

    fn dark(self) -> String {
        hex(self.pair().1)
    }
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// The style rules for dark mode. A style rule overrides a presentation attribute.
pub(super) fn dark_mode_style() -> String {
    let rules: Vec<String> = ALL
        .iter()
        .map(|color| {
            let (light, dark) = (color.light(), color.dark());
            format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
        })
        .collect();
    format!("<style>@media (prefers-color-scheme:dark){{{}}}</style>", rules.concat())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_color_is_unique_and_has_one_dark_mode_rule() {
        let light_values: BTreeSet<String> = ALL.iter().map(|color| color.light()).collect();
        assert_eq!(light_values.len(), ALL.len());
        let style = dark_mode_style();
        for color in ALL {
            let (light, dark) = (color.light(), color.dark());
            for attribute in ["fill", "stroke"] {
                let rule = format!("[{attribute}=\"{light}\"]{{{attribute}:{dark}}}");
                assert_eq!(style.matches(&rule).count(), 1, "{color:?}");
            }
        }
    }

    fn luminance(rgb: Rgb) -> f64 {
        let [red, green, blue] = rgb.map(|channel| {
            let normalized = f64::from(channel) / 255.0;
            if normalized <= 0.04045 {
                normalized / 12.92
            } else {
                ((normalized + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast ratio of WCAG 2: the lower of light and dark mode.
    fn contrast(a: Ink, b: Ink) -> f64 {
        let ratio = |a: Rgb, b: Rgb| {
            let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
            if a > b { a / b } else { b / a }
        };
        ratio(a.pair().0, b.pair().0).min(ratio(a.pair().1, b.pair().1))
    }

    #[test]
    fn text_has_sufficient_contrast() {
        use Ink::{BadTint, ExcellentTint, FairTint, GoodTint, PoorTint};
        for color in [Ink::Text, Ink::Quiet, Ink::Latency, Ink::Jitter, Ink::Loss, Ink::Freeze] {
            assert!(contrast(color, Ink::Page) >= 4.5, "{color:?}");
        }
        for tint in [ExcellentTint, GoodTint, FairTint, PoorTint, BadTint] {
            assert!(contrast(Ink::Opinion, tint) >= 4.5, "{tint:?}");
        }
        assert!(contrast(Ink::Outline, Ink::Page) >= 3.0);
    }
}
