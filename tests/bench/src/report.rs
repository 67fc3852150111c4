//! The results: raw rounds, medians, ratios and verdicts, as a table and as JSON.

use serde_json::{Value, json};

use crate::system;

/// One round of two sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// The value of the baseline, if there is one.
    pub(crate) baseline: Option<f64>,
    /// The value of the measured server or client.
    pub(crate) measured: f64,
}

impl Pair {
    pub(crate) fn new(baseline: f64, measured: f64) -> Self {
        Self { baseline: Some(baseline), measured }
    }

    /// Returns a value of each round, whose first part is that of the baseline.
    pub(crate) fn of_rounds<R>(rounds: &[(R, R)], value: impl Fn(&R) -> f64) -> Vec<Self> {
        let pair = |(baseline, measured): &(R, R)| Self::new(value(baseline), value(measured));
        rounds.iter().map(pair).collect()
    }

    pub(crate) fn alone(measured: f64) -> Self {
        Self { baseline: None, measured }
    }

    fn ratio(self) -> Option<f64> {
        self.baseline.map(|baseline| self.measured / baseline)
    }
}

/// A round of three sides.
pub(crate) struct Round<R> {
    pub(crate) baseline: R,
    /// The server on bare tokio-tungstenite.
    pub(crate) tungstenite: R,
    pub(crate) measured: R,
}

impl<R> Round<R> {
    /// Returns a value of each round, beside that of the baseline.
    pub(crate) fn measured(rounds: &[Self], value: impl Fn(&R) -> f64) -> Vec<Pair> {
        let pair = |it: &Self| Pair::new(value(&it.baseline), value(&it.measured));
        rounds.iter().map(pair).collect()
    }

    /// Returns a value of each round, beside that of the server on bare tokio-tungstenite.
    pub(crate) fn beside_tungstenite(
        rounds: &[Self],
        (what, unit): (&'static str, &'static str),
        value: impl Fn(&R) -> f64,
        judged: Judged,
    ) -> Finding {
        let pair = |it: &Self| Pair::new(value(&it.tungstenite), value(&it.measured));
        Finding { what, unit, rounds: rounds.iter().map(pair).collect(), judged }
    }
}

/// An upper or a lower limit of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    pub(crate) fn allows(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
        }
    }
}

/// A gate that must hold, and the aim of the design.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Thresholds {
    pub(crate) gate: Limit,
    pub(crate) aim: Limit,
}

impl Thresholds {
    pub(crate) fn at_most(gate: f64, aim: f64) -> Self {
        Self { gate: Limit::AtMost(gate), aim: Limit::AtMost(aim) }
    }

    pub(crate) fn at_least(gate: f64, aim: f64) -> Self {
        Self { gate: Limit::AtLeast(gate), aim: Limit::AtLeast(aim) }
    }
}

/// The value that is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Judged {
    /// The median of the ratios of the measured values to the baseline.
    Ratio(Thresholds),
    /// The median of the measured values.
    Measured(Thresholds),
    /// None: the row only explains the others.
    Nothing,
}

/// One measured row.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) rounds: Vec<Pair>,
    pub(crate) judged: Judged,
}

impl Finding {
    pub(crate) fn baseline(&self) -> Option<f64> {
        median(self.rounds.iter().filter_map(|pair| pair.baseline))
    }

    pub(crate) fn measured(&self) -> f64 {
        median(self.rounds.iter().map(|pair| pair.measured)).unwrap_or(f64::NAN)
    }

    /// Returns the median of the rounds' ratios, which is not the ratio of the medians.
    pub(crate) fn ratio(&self) -> Option<f64> {
        median(self.rounds.iter().filter_map(|pair| pair.ratio()))
    }

    fn verdict(&self) -> (Option<Thresholds>, Verdict) {
        let (thresholds, value) = match self.judged {
            Judged::Ratio(thresholds) => (thresholds, self.ratio().unwrap_or(f64::NAN)),
            Judged::Measured(thresholds) => (thresholds, self.measured()),
            Judged::Nothing => return (None, Verdict::None),
        };
        let verdict = match (thresholds.aim.allows(value), thresholds.gate.allows(value)) {
            (true, _) => Verdict::Aim,
            (false, true) => Verdict::Gate,
            (false, false) => Verdict::Missed,
        };
        (Some(thresholds), verdict)
    }

    pub(crate) fn print_rounds(&self) {
        println!("{}, {}", self.what, self.unit);
        for pair in &self.rounds {
            match (pair.baseline, pair.ratio()) {
                (Some(baseline), Some(ratio)) => {
                    println!(
                        "  baseline {:>10}   measured {:>10}   ratio {ratio:.2}",
                        short(baseline),
                        short(pair.measured)
                    );
                }
                _ => println!("  measured {:>10}", short(pair.measured)),
            }
        }
    }

    fn line(&self) -> String {
        let (thresholds, verdict) = self.verdict();
        let judged = match self.judged {
            Judged::Ratio(_) => "ratio ",
            Judged::Measured(_) | Judged::Nothing => "",
        };
        let side = |limit: Option<Limit>| {
            limit.map_or("–".to_owned(), |limit| format!("{judged}{}", limit.text()))
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            self.what,
            self.unit,
            self.baseline().map_or("–".to_owned(), short),
            short(self.measured()),
            // A baseline of zero has no ratio.
            self.ratio()
                .filter(|ratio| ratio.is_finite())
                .map_or("–".to_owned(), |ratio| format!("{ratio:.2}")),
            side(thresholds.map(|thresholds| thresholds.gate)),
            side(thresholds.map(|thresholds| thresholds.aim)),
            verdict.text()
        )
    }

    fn to_json(&self) -> Value {
        let (thresholds, verdict) = self.verdict();
        let judged = match self.judged {
            Judged::Ratio(_) => "ratio",
            Judged::Measured(_) => "measured",
            Judged::Nothing => "nothing",
        };
        json!({
            "what": self.what,
            "unit": self.unit,
            "baseline": self.rounds.iter().map(|pair| pair.baseline).collect::<Vec<_>>(),
            "measured": self.rounds.iter().map(|pair| pair.measured).collect::<Vec<_>>(),
            "floor_median": self.baseline(),
            "ours_median": self.measured(),
            "ratio": self.ratio(),
            "judged": judged,
            "gate": thresholds.map(|thresholds| thresholds.gate.text()),
            "aim": thresholds.map(|thresholds| thresholds.aim.text()),
            "verdict": verdict.text(),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Aim,
    Gate,
    Missed,
    None,
}

impl Verdict {
    fn text(self) -> &'static str {
        match self {
            Self::Aim => "aim met",
            Self::Gate => "gate met",
            Self::Missed => "GATE MISSED",
            Self::None => "",
        }
    }
}

/// All results.
#[derive(Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    missed: Vec<&'static str>,
}

impl Report {
    pub(crate) fn add(&mut self, finding: Finding) {
        if finding.verdict().1 == Verdict::Missed {
            self.missed.push(finding.what);
        }
        self.findings.push(finding);
    }

    /// Returns the names of the rows that missed their gates.
    pub(crate) fn missed_gates(&self) -> &[&'static str] {
        &self.missed
    }

    pub(crate) fn print_table(&self) {
        println!("\n| what | unit | baseline | measured | ratio | gate | aim | verdict |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for finding in &self.findings {
            println!("{}", finding.line());
        }
    }

    pub(crate) fn to_json(&self) -> String {
        let findings: Vec<Value> = self.findings.iter().map(Finding::to_json).collect();
        let report = json!({"machine": system::describe(), "findings": findings});
        serde_json::to_string_pretty(&report).unwrap()
    }
}

/// Returns the median; for an even number of values, the mean of the two in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Returns the 99th percentile.
pub(crate) fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * 99).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// Formats a value with three significant digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rounds: &[(f64, f64)], judged: Judged) -> Finding {
        let rounds =
            rounds.iter().map(|(baseline, measured)| Pair::new(*baseline, *measured)).collect();
        Finding { what: "something", unit: "µs", rounds, judged }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_and_not_of_their_medians() {
        let finding = finding(&[(1.0, 2.0), (10.0, 10.0), (4.0, 12.0)], Judged::Nothing);
        assert_eq!((finding.baseline(), finding.measured()), (Some(4.0), 10.0));
        assert_eq!(finding.ratio(), Some(2.0));
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_two_in_the_middle() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn p99_leaves_out_one_of_a_hundred() {
        let mut values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert!((p99(&mut values) - 198.0).abs() < f64::EPSILON);
        assert!((p99(&mut [7.0]) - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_missed_gate_is_reported_and_a_value_equal_to_it_meets_it() {
        let thresholds = Judged::Ratio(Thresholds::at_least(0.75, 0.9));
        for (measured, verdict) in
            [(0.9, Verdict::Aim), (0.75, Verdict::Gate), (0.74, Verdict::Missed)]
        {
            assert_eq!(finding(&[(1.0, measured)], thresholds).verdict().1, verdict);
        }
        let mut report = Report::default();
        report.add(finding(&[(1.0, 3.0)], Judged::Measured(Thresholds::at_most(2.0, 1.0))));
        report.add(finding(&[(1.0, 3.0)], Judged::Nothing));
        assert_eq!(report.missed_gates(), ["something"]);
    }

    #[test]
    fn no_ratio_is_reported_for_a_baseline_of_zero() {
        assert!(finding(&[(0.0, 3.0)], Judged::Nothing).line().contains("| 3.00 | – |"));
        assert!(finding(&[(2.0, 3.0)], Judged::Nothing).line().contains("| 1.50 |"));
    }

    #[test]
    fn a_row_without_a_measurement_meets_no_bar() {
        let nothing = finding(&[], Judged::Measured(Thresholds::at_most(2.0, 1.0)));
        assert_eq!(nothing.verdict().1, Verdict::Missed);
    }
}
