//! Large numbers as values of gauges.

/// Returns a number as the value of a gauge.
#[expect(clippy::cast_precision_loss, reason = "beyond 53 bits the last ones do not matter")]
pub(super) const fn to_f64(number: u64) -> f64 {
    number as f64
}
