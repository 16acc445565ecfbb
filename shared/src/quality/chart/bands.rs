//! The bands of the score: names, colors and lower bounds.

use crate::quality::chart::palette::Ink;
use crate::quality::emodel::Score;
use crate::quality::response::QualityLabel;
use crate::quality_band::Band;

/// The lowest score.
pub(super) const MIN_MOS: f64 = 1.0;
/// The upper end of the score axis.
pub(super) const MAX_MOS: f64 = 4.5;
/// All bands, the best first.
pub(super) const BANDS: [Band; 5] =
    [Band::Excellent, Band::Good, Band::Fair, Band::Poor, Band::Bad];

/// The style of a band.
pub(super) struct BandStyle {
    pub(super) name: &'static str,
    /// The lowest score in the band.
    pub(super) min_mos: f64,
    /// The fill of a cell in a strip.
    pub(super) cell: Ink,
    /// The background in the score chart.
    pub(super) tint: Ink,
}

pub(super) fn band_style(band: Band) -> BandStyle {
    let (name, min_mos, cell, tint) = match band {
        Band::Excellent => ("excellent", 4.34, Ink::Excellent, Ink::ExcellentTint),
        Band::Good => ("good", 4.02, Ink::Good, Ink::GoodTint),
        Band::Fair => ("fair", 3.60, Ink::Fair, Ink::FairTint),
        Band::Poor => ("poor", 3.10, Ink::Poor, Ink::PoorTint),
        Band::Bad => ("bad", MIN_MOS, Ink::Bad, Ink::BadTint),
    };
    BandStyle { name, min_mos, cell, tint }
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
}
