//! The bands of the score: their names, their colours and where each begins.

use crate::quality::answer::Word;
use crate::quality::emodel::{Band, Score};
use crate::quality::picture::palette::Ink;

/// The least score that there is.
pub(super) const LEAST: f64 = 1.0;
/// The highest.
pub(super) const HIGHEST: f64 = 4.5;
/// The bands from the best to the worst.
pub(super) const BANDS: [Band; 5] =
    [Band::Excellent, Band::Good, Band::Fair, Band::Poor, Band::Bad];

/// How a band looks.
pub(super) struct Look {
    pub(super) name: &'static str,
    /// The least score in it.
    pub(super) least: f64,
    /// What a cell of it is filled with.
    pub(super) cell: Ink,
    /// What stands behind its scores.
    pub(super) tint: Ink,
}

pub(super) fn look(band: Band) -> Look {
    let (name, least, cell, tint) = match band {
        Band::Excellent => ("excellent", 4.34, Ink::Excellent, Ink::ExcellentTint),
        Band::Good => ("good", 4.02, Ink::Good, Ink::GoodTint),
        Band::Fair => ("fair", 3.60, Ink::Fair, Ink::FairTint),
        Band::Poor => ("poor", 3.10, Ink::Poor, Ink::PoorTint),
        Band::Bad => ("bad", LEAST, Ink::Bad, Ink::BadTint),
    };
    Look { name, least, cell, tint }
}

/// The band that a mean opinion score is in.
pub(super) fn of(mos: f64) -> Band {
    // The band does not depend on R.
    Score { r: 0.0, mos }.band()
}

/// The name of the band, or that there is none.
pub(super) fn word(word: Word) -> &'static str {
    match word {
        Word::Unknown => "unknown",
        Word::Known(band) => look(band).name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_begin_where_the_model_says() {
        for band in BANDS {
            assert_eq!(of(look(band).least), band);
            assert!(band == Band::Bad || of(look(band).least - 1e-9) < band, "{band:?}");
        }
    }
}
