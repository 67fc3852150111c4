//! A measured curve: the cost at several sizes, and the growth that is expected.

use serde_json::{Value, json};

use super::power_law::PowerLaw;
use crate::report::median;

/// The growth that is expected of a cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Growth {
    /// The cost does not depend on the size.
    Flat,
    /// The cost is proportional to the size, beside a fixed part.
    Linear,
    /// The cost of the last size is at most this many times that of the first.
    AtMostTimes(f64),
}

/// The greatest exponent of a cost that counts as flat.
const FLAT: f64 = 0.1;
/// The greatest exponent of a cost that counts as linear.
const LINEAR: f64 = 1.1;
/// The greatest exponent of a linear cost between the last two sizes, where the noise of two points
/// counts. A fixed part hides a steep growth in the exponent over all sizes, but not in this one.
const LINEAR_AT_LAST: f64 = 1.3;

/// The cost at one size.
#[derive(Debug, Clone)]
pub(crate) struct CurvePoint {
    pub(crate) size: usize,
    /// The cost in each round.
    pub(crate) costs: Vec<f64>,
}

impl CurvePoint {
    pub(crate) fn new(size: usize) -> Self {
        Self { size, costs: Vec::new() }
    }

    /// Returns the median of the rounds.
    pub(crate) fn cost(&self) -> f64 {
        median(self.costs.iter().copied()).unwrap_or(f64::NAN)
    }
}

/// The cost at several sizes, the smallest first.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    /// The name of its picture.
    pub(crate) name: &'static str,
    /// The meaning of the cost.
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    /// The meaning of the size.
    pub(crate) size: &'static str,
    pub(crate) expected: Growth,
    pub(crate) points: Vec<CurvePoint>,
}

impl Curve {
    pub(crate) fn law(&self) -> Option<PowerLaw> {
        let point = |point: &CurvePoint| (point.size as f64, point.cost());
        PowerLaw::fit(&self.points.iter().map(point).collect::<Vec<_>>())
    }

    /// Returns the exponent between the last two sizes.
    pub(crate) fn exponent_at_last(&self) -> Option<f64> {
        let [.., before, last] = &self.points[..] else { return None };
        let points = [before, last].map(|point| (point.size as f64, point.cost()));
        PowerLaw::fit(&points).map(|law| law.exponent)
    }

    /// Returns the first and the last point.
    pub(crate) fn ends(&self) -> Option<(&CurvePoint, &CurvePoint)> {
        Some((self.points.first()?, self.points.last()?))
    }

    /// Returns true if the cost grows as expected, or less.
    pub(crate) fn is_as_expected(&self) -> bool {
        let exponent = self.law().map_or(f64::INFINITY, |law| law.exponent);
        let at_last = self.exponent_at_last().unwrap_or(f64::INFINITY);
        match self.expected {
            Growth::Flat => exponent <= FLAT,
            Growth::Linear => exponent <= LINEAR && at_last <= LINEAR_AT_LAST,
            Growth::AtMostTimes(most) => self.times() <= most,
        }
    }

    /// Returns the ratio of the cost of the last size to that of the first.
    fn times(&self) -> f64 {
        self.ends().map_or(f64::INFINITY, |(first, last)| last.cost() / first.cost())
    }

    /// Returns the exponent, or the ratio of the costs at both ends.
    pub(crate) fn growth(&self) -> String {
        match self.expected {
            Growth::Flat | Growth::Linear => {
                self.law().map_or("–".to_owned(), |law| format!("{:.2}", law.exponent))
            }
            Growth::AtMostTimes(_) => format!("{:.2} times", self.times()),
        }
    }

    pub(crate) fn growth_in_words(&self) -> String {
        match self.expected {
            Growth::Flat | Growth::Linear => format!("exponent {}", self.growth()),
            Growth::AtMostTimes(_) => self.growth(),
        }
    }

    /// Returns the expected growth in words.
    pub(crate) fn expectation(&self) -> String {
        match self.expected {
            Growth::Flat => format!("flat, ≤ {FLAT}"),
            Growth::Linear => format!("linear, ≤ {LINEAR}"),
            Growth::AtMostTimes(most) => format!("≤ {most} times"),
        }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        if self.is_as_expected() { "as expected" } else { "WORSE" }
    }

    pub(crate) fn to_json(&self) -> Value {
        let points: Vec<Value> = self
            .points
            .iter()
            .map(|it| json!({"size": it.size, "cost": it.cost(), "rounds": it.costs}))
            .collect();
        json!({
            "name": self.name,
            "what": self.what,
            "unit": self.unit,
            "size": self.size,
            "points": points,
            "exponent": self.law().map(|law| law.exponent),
            "exponent_at_last": self.exponent_at_last(),
            "times": self.times(),
            "expected": self.expectation(),
            "verdict": self.verdict(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(expected: Growth, cost: impl Fn(f64) -> f64) -> Curve {
        let point = |size: u32| CurvePoint {
            size: size as usize,
            costs: vec![cost(f64::from(size)), 0.0, 1e9],
        };
        let points = [1, 10, 100, 500].map(point).into();
        Curve { name: "x", what: "x", unit: "µs", size: "users", expected, points }
    }

    #[test]
    fn a_flat_cost_is_not_worse_than_flat_and_a_linear_one_is() {
        assert!(curve(Growth::Flat, |_| 8.0).is_as_expected());
        assert!(curve(Growth::Flat, |size| 8.0 + size.ln() / 2.0).is_as_expected());
        assert!(!curve(Growth::Flat, |size| 8.0 + size).is_as_expected());
    }

    #[test]
    fn a_steep_end_is_found_behind_a_fixed_part() {
        assert!(curve(Growth::Linear, |size| 8.0 + size).is_as_expected());
        let steep = curve(Growth::Linear, |size| 1_000.0 + size.powi(2) / 10.0);
        assert!(steep.law().unwrap().exponent < LINEAR);
        assert!(!steep.is_as_expected());
    }

    #[test]
    fn a_ratio_is_that_of_the_last_size_to_the_first() {
        assert!(curve(Growth::AtMostTimes(500.0), |size| size).is_as_expected());
        assert!(!curve(Growth::AtMostTimes(499.0), |size| size).is_as_expected());
    }

    #[test]
    fn a_curve_of_one_point_is_not_as_expected() {
        let mut one = curve(Growth::Flat, |_| 8.0);
        one.points.truncate(1);
        assert!(!one.is_as_expected());
    }
}
