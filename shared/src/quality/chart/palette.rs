//! The colors. Each has one purpose and two values. An SVG of the theme `auto` has the light value,
//! and a style rule replaces it with the dark value in dark mode.
//!
//! The bands range from red over yellow to blue, which red-green color-blind readers can
//! distinguish. The tests check that, and the contrast of text and graphics with their background.

use std::collections::BTreeSet;

use crate::quality::chart::theme::Theme;

type Rgb = [u8; 3];

macro_rules! colors {
    ($($name:ident: $light:expr, $dark:expr;)*) => {
        /// The purpose of a color.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Color {
            $($name,)*
        }

        #[cfg(test)]
        const ALL: &[Color] = &[$(Color::$name),*];

        impl Color {
            /// The light and the dark value.
            fn pair(self) -> (Rgb, Rgb) {
                match self {
                    $(Self::$name => ($light, $dark),)*
                }
            }
        }
    };
}

colors! {
    Page: [0xFF, 0xFF, 0xFF], [0x0D, 0x11, 0x17]; // page background
    Text: [0x1F, 0x23, 0x28], [0xE6, 0xED, 0xF3]; // text and the score line
    Quiet: [0x59, 0x63, 0x6E], [0x9D, 0xA7, 0xB1]; // secondary text
    Track: [0xE8, 0xEC, 0xF1], [0x26, 0x2C, 0x34]; // the rest of a ring or a bar, and no sample
    Axis: [0xC9, 0xD1, 0xD9], [0x3D, 0x44, 0x4D]; // base line of a chart
    Threshold: [0x85, 0x8F, 0x9A], [0x6F, 0x78, 0x82]; // dashed line of a threshold
    Shade: [0xCF, 0x22, 0x2F], [0xFF, 0x7B, 0x73]; // background of the worst interval
    Latency: [0x05, 0x50, 0xAE], [0x44, 0x93, 0xF8]; // latency
    Jitter: [0x1A, 0x7F, 0x8E], [0x39, 0xC5, 0xCF]; // jitter
    Loss: [0xBC, 0x4C, 0x00], [0xF0, 0x88, 0x3E]; // packet loss
    Freezes: [0x82, 0x50, 0xDF], [0xD2, 0xA8, 0xFF]; // frozen video
    Resolution: [0x99, 0x28, 0x6E], [0xF7, 0x78, 0xBA]; // low resolution
    FrameRate: [0xA6, 0x7E, 0x42], [0xF2, 0xE1, 0x8C]; // low frame rate
    Bitrate: [0x2D, 0x33, 0x3B], [0x6E, 0x76, 0x81]; // low bitrate
    Excellent: [0x14, 0x59, 0xA6], [0x2F, 0x7F, 0xD0]; // an excellent score
    Good: [0x3C, 0x93, 0xD2], [0x86, 0xC5, 0xF4]; // a good score
    Fair: [0xBA, 0x8E, 0x00], [0xE8, 0xC1, 0x4C]; // a fair score
    Poor: [0xC4, 0x54, 0x1A], [0xF0, 0x86, 0x3C]; // a poor score
    Bad: [0x94, 0x10, 0x1F], [0xD9, 0x3A, 0x40]; // a bad score
}

impl Color {
    /// The value that an SVG of this theme has as attribute.
    pub(super) fn value(self, theme: Theme) -> String {
        let (light, dark) = self.pair();
        hex(if theme == Theme::Dark { dark } else { light })
    }
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// The style rules for dark mode. They are limited to the element with this id, because a style of
/// an SVG within a page applies to the whole page.
pub(super) fn dark_mode_style(id: &str, used: &BTreeSet<Color>) -> String {
    let rules = used.iter().map(|color| {
        let (light, dark) = (color.value(Theme::Light), color.value(Theme::Dark));
        format!(
            "#{id} [fill=\"{light}\"]{{fill:{dark}}}#{id} [stroke=\"{light}\"]{{stroke:{dark}}}"
        )
    });
    let rules: String = rules.collect();
    format!("<style>@media (prefers-color-scheme:dark){{{rules}}}</style>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::chart::score_chart::BAND_OPACITY;
    use crate::quality::chart::time_axis::SHADE_OPACITY;

    const BANDS: [Color; 5] = [Color::Excellent, Color::Good, Color::Fair, Color::Poor, Color::Bad];
    const CAUSES: [Color; 7] = [
        Color::Latency,
        Color::Jitter,
        Color::Loss,
        Color::Freezes,
        Color::Resolution,
        Color::FrameRate,
        Color::Bitrate,
    ];

    #[test]
    fn every_color_is_unique_and_has_one_dark_mode_rule() {
        let light_values: BTreeSet<String> =
            ALL.iter().map(|color| color.value(Theme::Light)).collect();
        assert_eq!(light_values.len(), ALL.len());
        let style = dark_mode_style("id", &ALL.iter().copied().collect());
        for color in ALL {
            let (light, dark) = (color.value(Theme::Auto), color.value(Theme::Dark));
            for attribute in ["fill", "stroke"] {
                let rule = format!("#id [{attribute}=\"{light}\"]{{{attribute}:{dark}}}");
                assert_eq!(style.matches(&rule).count(), 1, "{color:?}");
            }
        }
    }

    /// The red, green and blue of both themes, 0 to 1 and linear in light.
    type Linear = [f64; 3];

    fn linear(rgb: Rgb) -> Linear {
        rgb.map(|channel| {
            let normalized = f64::from(channel) / 255.0;
            if normalized <= 0.04045 {
                normalized / 12.92
            } else {
                ((normalized + 0.055) / 1.055).powf(2.4)
            }
        })
    }

    fn luminance([red, green, blue]: Linear) -> f64 {
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// A color over a background.
    fn blend(color: Rgb, background: Rgb, opacity: f64) -> Rgb {
        let mix = |index: usize| {
            let (over, under) = (f64::from(color[index]), f64::from(background[index]));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a mean of two bytes is a byte"
            )]
            let mixed = (over * opacity + under * (1.0 - opacity)).round() as u8;
            mixed
        };
        [mix(0), mix(1), mix(2)]
    }

    /// The contrast ratio of WCAG 2.
    fn ratio(a: Rgb, b: Rgb) -> f64 {
        let (a, b) = (luminance(linear(a)) + 0.05, luminance(linear(b)) + 0.05);
        if a > b { a / b } else { b / a }
    }

    /// Each theme's value of a color.
    fn both(color: Color) -> [Rgb; 2] {
        let (light, dark) = color.pair();
        [light, dark]
    }

    /// The lower contrast of the two themes, over a background of layers.
    fn contrast(color: Color, layers: &[(Color, f64)]) -> f64 {
        let background = |theme: usize| {
            layers.iter().fold(both(Color::Page)[theme], |below, (layer, opacity)| {
                blend(both(*layer)[theme], below, *opacity)
            })
        };
        (0..2).map(|theme| ratio(both(color)[theme], background(theme))).fold(f64::MAX, f64::min)
    }

    #[test]
    fn text_has_sufficient_contrast() {
        let shade = (Color::Shade, SHADE_OPACITY);
        for color in [Color::Text, Color::Quiet] {
            for layers in [&[][..], &[shade]] {
                assert!(contrast(color, layers) >= 4.5, "{color:?} {layers:?}");
            }
        }
        for band in BANDS {
            let layers = [(band, BAND_OPACITY), shade];
            assert!(contrast(Color::Text, &layers[..1]) >= 4.5, "{band:?}");
            assert!(contrast(Color::Text, &layers) >= 4.5, "{band:?}");
        }
    }

    /// Large text and graphics need a ratio of 3.
    #[test]
    fn graphics_have_sufficient_contrast() {
        let shade = (Color::Shade, SHADE_OPACITY);
        for color in BANDS.into_iter().chain(CAUSES).chain([Color::Threshold]) {
            assert!(contrast(color, &[]) >= 3.0, "{color:?}");
        }
        for color in CAUSES {
            assert!(contrast(color, &[shade]) >= 3.0, "{color:?}");
        }
    }

    /// The color as a person without red or without green cones sees it (Viénot, Brettel and
    /// Mollon 1999), in CIE Lab.
    fn seen(rgb: Rgb, is_protan: bool) -> [f64; 3] {
        let [red, green, blue] = linear(rgb);
        let (red, green, blue) = if is_protan {
            let mixed = 0.112_38 * red + 0.887_62 * green;
            (mixed, mixed, 0.004_01 * red - 0.004_01 * green + blue)
        } else {
            let mixed = 0.292_75 * red + 0.707_25 * green;
            (mixed, mixed, -0.022_34 * red + 0.022_34 * green + blue)
        };
        let xyz = [
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
            0.2126 * red + 0.7152 * green + 0.0722 * blue,
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
        ];
        let [x, y, z] =
            xyz.map(
                |value| {
                    if value > 0.008_856 { value.cbrt() } else { 7.787 * value + 16.0 / 116.0 }
                },
            );
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    /// A difference of 10 is clearly visible side by side.
    #[test]
    fn colors_differ_without_red_and_green() {
        for colors in [&BANDS[..], &CAUSES] {
            for (index, a) in colors.iter().enumerate() {
                for b in &colors[index + 1..] {
                    for (theme, is_protan) in [(0, false), (0, true), (1, false), (1, true)] {
                        let (a_seen, b_seen) =
                            (seen(both(*a)[theme], is_protan), seen(both(*b)[theme], is_protan));
                        let squares = a_seen.iter().zip(b_seen).map(|(a, b)| (a - b).powi(2));
                        let difference = squares.sum::<f64>().sqrt();
                        assert!(
                            difference >= 10.0,
                            "{a:?} {b:?} {theme} {is_protan}: {difference}"
                        );
                    }
                }
            }
        }
    }
}
