//! The fit of a power law, cost = factor · size^exponent: the exponent is 0 for a cost that does
//! not depend on the size, and 1 for one that is proportional to it.

/// A power law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PowerLaw {
    pub(crate) factor: f64,
    pub(crate) exponent: f64,
}

impl PowerLaw {
    /// Fits points of a size and a cost by least squares over their logarithms. Returns `None` for
    /// fewer than two sizes, and if a value is not positive.
    pub(crate) fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.iter().any(|(size, cost)| !(*size > 0.0 && *cost > 0.0)) {
            return None;
        }
        let logarithms: Vec<(f64, f64)> =
            points.iter().map(|(size, cost)| (size.ln(), cost.ln())).collect();
        let count = logarithms.len() as f64;
        let mean_x = logarithms.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = logarithms.iter().map(|(_, y)| y).sum::<f64>() / count;
        let spread: f64 = logarithms.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let common: f64 = logarithms.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let exponent = common / spread;
        let factor = (mean_y - exponent * mean_x).exp();
        (spread > 0.0).then_some(Self { factor, exponent })
    }

    /// Returns the cost of a size.
    pub(crate) fn cost(self, size: f64) -> f64 {
        self.factor * size.powf(self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(cost: impl Fn(f64) -> f64) -> PowerLaw {
        let sizes = [1_000.0, 3_000.0, 10_000.0, 100_000.0];
        PowerLaw::fit(&sizes.map(|size| (size, cost(size)))).unwrap()
    }

    fn is_near(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn the_exponent_of_a_power_law_is_found() {
        for exponent in [0.0, 0.5, 1.0, 2.0] {
            let law = fitted(|size| 7.0 * size.powf(exponent));
            assert!(is_near(law.exponent, exponent) && is_near(law.factor, 7.0), "{law:?}");
            assert!(is_near(law.cost(100.0), 7.0 * 100.0_f64.powf(exponent)));
        }
    }

    #[test]
    fn a_fixed_part_lowers_the_exponent_of_a_linear_cost() {
        let law = fitted(|size| 1_000.0 + size);
        assert!((0.5..1.0).contains(&law.exponent), "{law:?}");
    }

    #[test]
    fn one_size_or_a_cost_of_zero_has_no_exponent() {
        assert_eq!(PowerLaw::fit(&[]), None);
        assert_eq!(PowerLaw::fit(&[(10.0, 1.0), (10.0, 2.0)]), None);
        assert_eq!(PowerLaw::fit(&[(10.0, 1.0), (20.0, 0.0)]), None);
    }
}
