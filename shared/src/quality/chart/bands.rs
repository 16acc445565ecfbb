//! The bands of the score: names, colors and lower bounds, and a scale on which they have similar
//! heights.

use crate::quality::chart::layout::Axis;
use crate::quality::chart::palette::Color;
use crate::quality::response::QualityLabel;
use crate::quality::score::Score;
use crate::quality_band::Band;

/// The lowest score.
pub(super) const MIN_MOS: f64 = 1.0;
/// The upper end of the score axis.
pub(super) const MAX_MOS: f64 = 4.5;
/// The distance of the highest and the lowest score from the edges of the chart.
const LINE_MARGIN: f64 = 2.0;
/// All bands, the best first.
pub(super) const BANDS: [Band; 5] =
    [Band::Excellent, Band::Good, Band::Fair, Band::Poor, Band::Bad];

/// The style of a band.
pub(super) struct BandStyle {
    pub(super) name: &'static str,
    /// The lowest score in the band.
    pub(super) min_mos: f64,
    pub(super) color: Color,
    /// The height in the score chart. The lowest band has half of the range of scores, and would
    /// fill most of a linear scale.
    pub(super) height: f64,
}

pub(super) fn band_style(band: Band) -> BandStyle {
    let (name, min_mos, color, height) = match band {
        Band::Excellent => ("excellent", 4.34, Color::Excellent, 22.0),
        Band::Good => ("good", 4.02, Color::Good, 22.0),
        Band::Fair => ("fair", 3.60, Color::Fair, 22.0),
        Band::Poor => ("poor", 3.10, Color::Poor, 22.0),
        Band::Bad => ("bad", MIN_MOS, Color::Bad, 34.0),
    };
    BandStyle { name, min_mos, color, height }
}

/// The band of a mean opinion score.
pub(super) fn band_of(mos: f64) -> Band {
    // The band does not depend on R.
    Score { r: 0.0, mos }.band()
}

/// The name of the band, or `unknown`.
pub(super) fn label_text(label: QualityLabel) -> &'static str {
    match label {
        QualityLabel::Unknown => "unknown",
        QualityLabel::Known(band) => band_style(band).name,
    }
}

/// The color of the band.
pub(super) fn label_color(label: QualityLabel) -> Color {
    match label {
        QualityLabel::Unknown => Color::Quiet,
        QualityLabel::Known(band) => band_style(band).color,
    }
}

/// The scale of the score chart: linear within each band.
pub(super) struct ScoreScale {
    /// The bands with their axes, the best first.
    bands: [(BandStyle, Axis); 5],
    top: f64,
    pub(super) bottom: f64,
}

impl ScoreScale {
    pub(super) fn new(top: f64) -> Self {
        let (mut y, mut max_mos) = (top, MAX_MOS);
        let bands = BANDS.map(band_style).map(|style| {
            let bottom = y + style.height;
            // The line stays within the chart at both ends.
            let upper = if y > top { y } else { y + LINE_MARGIN };
            let lower = if style.min_mos > MIN_MOS { bottom } else { bottom - LINE_MARGIN };
            let axis = Axis::new(style.min_mos, max_mos, (lower, upper));
            (y, max_mos) = (bottom, style.min_mos);
            (style, axis)
        });
        Self { bands, top, bottom: y }
    }

    /// The bands with their upper and lower edges.
    pub(super) fn bands(&self) -> impl Iterator<Item = (&BandStyle, f64, f64)> {
        let mut bottom = self.top;
        self.bands.iter().map(move |(style, _)| {
            let top = bottom;
            bottom += style.height;
            (style, top, bottom)
        })
    }

    pub(super) fn position(&self, mos: f64) -> f64 {
        let band = self.bands.iter().find(|(style, _)| mos >= style.min_mos);
        band.map_or(self.bottom - LINE_MARGIN, |(_, axis)| axis.position(mos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_match_the_model() {
        for band in BANDS {
            assert_eq!(band_of(band_style(band).min_mos), band);
            assert!(
                band == Band::Bad || band_of(band_style(band).min_mos - 1e-9) < band,
                "{band:?}"
            );
        }
    }

    #[test]
    fn bands_have_similar_heights() {
        let scale = ScoreScale::new(10.0);
        let heights: Vec<f64> = scale.bands().map(|(_, top, bottom)| bottom - top).collect();
        let total: f64 = heights.iter().sum();
        assert!(heights.iter().all(|height| (0.15..0.3).contains(&(height / total))));
        assert!((scale.bottom - 10.0 - total).abs() < 1e-9);
    }

    #[test]
    fn higher_score_is_never_lower() {
        let scale = ScoreScale::new(10.0);
        let mos = |n: u32| 1.0 + f64::from(n) / 1_000.0;
        for n in 0..3_500 {
            let (low, high) = (scale.position(mos(n)), scale.position(mos(n + 1)));
            assert!(low > high && low - high < 0.2, "{} {low} {high}", mos(n));
        }
        let (top, bottom) = (10.0 + LINE_MARGIN, scale.bottom - LINE_MARGIN);
        for (mos, y) in [(0.0, bottom), (1.0, bottom), (4.5, top), (9.0, top)] {
            assert!((scale.position(mos) - y).abs() < 1e-9, "{mos}");
        }
    }
}
