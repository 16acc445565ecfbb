//! Statistics of measurements.

use std::time::Duration;

/// The percentile for this fraction, from 0 to 1. Zero if there are no values.
pub(crate) fn percentile(mut values: Vec<f64>, fraction: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index of a list"
    )]
    let index = ((values.len().saturating_sub(1)) as f64 * fraction).round() as usize;
    values.get(index).copied().unwrap_or_default()
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values.into_iter().collect(), 0.5)
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_returns_a_measured_value() {
        let values: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        for (share, expected) in [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 101.0)] {
            assert!((percentile(values.clone(), share) - expected).abs() < f64::EPSILON);
        }
        assert!(median([]).abs() < f64::EPSILON);
    }
}
