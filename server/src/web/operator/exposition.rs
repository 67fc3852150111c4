//! Reads what the exporter writes for Prometheus, so that there is one set of figures.

use std::collections::BTreeMap;

/// The text of the exporter.
pub(super) struct Exposition<'a>(&'a str);

impl<'a> Exposition<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// A metric, summed over its labels; 0 where it was never counted.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|(_, value)| value).sum()
    }

    /// A metric by one of its labels.
    pub(super) fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for (labels, value) in self.samples(name) {
            let of = labels.split(',').find_map(|pair| pair.strip_prefix(label)?.strip_prefix('='));
            if let Some(of) = of {
                *found.entry(of.trim_matches('"').to_owned()).or_default() += value;
            }
        }
        found
    }

    /// The labels and the value of each line of a metric. No label of ours holds a comma or a brace.
    fn samples(&self, name: &str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.split_once('}')?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.trim().parse().ok()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE a_total counter\na_total{errno=\"x\"} 2\na_total{errno=\"y\",b=\"c\"} 3\n\
                        a_total_more 9\nb 1.5\n\nb_total nonsense\n";

    #[test]
    fn a_metric_is_summed_and_told_apart_by_its_labels() {
        let counted = Exposition::of(TEXT);
        let near = |one: f64, other: f64| (one - other).abs() < f64::EPSILON;
        assert!(near(counted.sum("a_total"), 5.0) && near(counted.sum("b"), 1.5));
        assert!(near(counted.sum("b_total"), 0.0) && near(counted.sum("c"), 0.0));
        let by_errno = counted.by_label("a_total", "errno");
        assert!(near(by_errno["x"], 2.0) && near(by_errno["y"], 3.0) && by_errno.len() == 2);
        assert_eq!(counted.by_label("a_total", "b").len(), 1);
    }
}
