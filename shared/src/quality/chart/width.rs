//! The width of a chart.

use serde::Deserialize;

/// The width of a chart in pixels: 320 to 1600, 800 by default. It is deserialized from text,
/// because query parameters are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Width(u32);

/// The width is not a number or is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 320 to 1600")]
pub struct InvalidWidth;

impl Width {
    /// The width in pixels.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Width {
    fn default() -> Self {
        Self(800)
    }
}

impl TryFrom<u32> for Width {
    type Error = InvalidWidth;

    fn try_from(pixels: u32) -> Result<Self, InvalidWidth> {
        if (320..=1600).contains(&pixels) { Ok(Self(pixels)) } else { Err(InvalidWidth) }
    }
}

impl TryFrom<String> for Width {
    type Error = InvalidWidth;

    fn try_from(text: String) -> Result<Self, InvalidWidth> {
        Self::try_from(text.parse::<u32>().map_err(|_| InvalidWidth)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Query {
        width: Width,
    }

    #[test]
    fn width_is_limited() {
        for width in ["320", "800", "1600"] {
            let query: Query = serde_urlencoded::from_str(&format!("width={width}")).unwrap();
            assert_eq!(query.width.get().to_string(), width);
        }
        for width in ["319", "1601", "-1", "wide", "", "4294967297"] {
            let error = serde_urlencoded::from_str::<Query>(&format!("width={width}")).unwrap_err();
            assert_eq!(error.to_string(), "must be a number from 320 to 1600", "{width}");
        }
    }
}
