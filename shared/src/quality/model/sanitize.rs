//! Values of the formulas outside their range.

/// The value, or `worst` if it is outside `min..=max`. NaN is outside every range.
pub(super) fn sanitize(value: f64, min: f64, max: f64, worst: f64) -> f64 {
    if (min..=max).contains(&value) { value } else { worst }
}
