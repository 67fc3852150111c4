//! A parser of the text that the exporter writes for Prometheus, so that there is only one set of
//! metrics.

use std::collections::BTreeMap;

/// A text in the exposition format of Prometheus.
pub(super) struct Exposition<'a>(&'a str);

impl<'a> Exposition<'a> {
    /// Reads a text.
    pub(super) fn of(text: &'a str) -> Self {
        Self(text)
    }

    /// Returns a metric, summed over its labels; 0 if the text does not have it.
    pub(super) fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|(_, value)| value).sum()
    }

    /// Returns the sums of a metric for each value of one of its labels.
    pub(super) fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for (labels, value) in self.samples(name) {
            let label_value =
                labels.split(',').find_map(|pair| pair.strip_prefix(label)?.strip_prefix('='));
            if let Some(label_value) = label_value {
                *found.entry(label_value.trim_matches('"').to_owned()).or_default() += value;
            }
        }
        found
    }

    /// Returns the labels and the value of each line of a metric. Our labels hold no comma and no
    /// brace.
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
    fn a_metric_is_summed_over_its_labels_and_split_by_one_of_them() {
        let metrics = Exposition::of(TEXT);
        let near = |one: f64, other: f64| (one - other).abs() < f64::EPSILON;
        assert!(near(metrics.sum("a_total"), 5.0) && near(metrics.sum("b"), 1.5));
        assert!(near(metrics.sum("b_total"), 0.0) && near(metrics.sum("c"), 0.0));
        let by_errno = metrics.by_label("a_total", "errno");
        assert!(near(by_errno["x"], 2.0) && near(by_errno["y"], 3.0) && by_errno.len() == 2);
        assert_eq!(metrics.by_label("a_total", "b").len(), 1);
    }
}
