//! The results of the three servers, as a table and as JSON.

use serde_json::{Map, Value, json};

use super::group::NAMES;
use crate::report::{median, short};
use crate::system;

/// One measured row. Less is better.
pub(crate) struct PeerFinding {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    /// The values of each round, in the order of [`NAMES`].
    pub(crate) rounds: Vec<[f64; 3]>,
}

impl PeerFinding {
    /// Returns the median of the rounds of each server.
    fn medians(&self) -> [f64; 3] {
        [0, 1, 2].map(|place| self.median(|round| round[place]))
    }

    /// Returns, for each other server, the median of the rounds' ratios to the first one.
    fn ratios(&self) -> [f64; 2] {
        [1, 2].map(|place| self.median(|round| round[place] / round[0]))
    }

    fn median(&self, value: impl Fn(&[f64; 3]) -> f64) -> f64 {
        median(self.rounds.iter().map(value)).unwrap_or(f64::NAN)
    }

    fn line(&self) -> String {
        let medians = self.medians().map(short).join(" | ");
        let ratios = self.ratios().map(|ratio| format!("{ratio:.2}")).join(" | ");
        format!("| {} | {} | {medians} | {ratios} |", self.what, self.unit)
    }

    fn print_rounds(&self) {
        println!("{}, {}", self.what, self.unit);
        for round in &self.rounds {
            let values =
                [0, 1, 2].map(|place| format!("{} {:>8}", NAMES[place], short(round[place])));
            println!("  {}", values.join("   "));
        }
    }

    fn to_json(&self) -> Value {
        let rounds: Map<String, Value> = NAMES
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let values: Vec<f64> = self.rounds.iter().map(|round| round[place]).collect();
                ((*name).to_owned(), json!(values))
            })
            .collect();
        json!({
            "what": self.what,
            "unit": self.unit,
            "rounds": rounds,
            "medians": self.medians(),
            "ratios": self.ratios(),
        })
    }
}

/// All results.
pub(crate) struct PeerTable {
    versions: Value,
    findings: Vec<PeerFinding>,
}

impl PeerTable {
    pub(crate) fn new(versions: Value) -> Self {
        Self { versions, findings: Vec::new() }
    }

    /// Prints the rounds of further rows, and keeps them.
    pub(crate) fn add(&mut self, findings: Vec<PeerFinding>) {
        for finding in findings {
            finding.print_rounds();
            self.findings.push(finding);
        }
    }

    pub(crate) fn print(&self) {
        let [ours, others @ ..] = NAMES;
        let ratios = others.map(|other| format!("{other} ÷ {ours}")).join(" | ");
        println!("\nversions: {}\n", self.versions);
        println!("| what | unit | {} | {ratios} |", NAMES.join(" | "));
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for finding in &self.findings {
            println!("{}", finding.line());
        }
    }

    pub(crate) fn to_json(&self) -> String {
        let findings: Vec<Value> = self.findings.iter().map(PeerFinding::to_json).collect();
        let report = json!({
            "machine": system::describe(),
            "versions": self.versions,
            "findings": findings,
        });
        serde_json::to_string_pretty(&report).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_and_not_of_their_medians() {
        let rounds = vec![[1.0, 2.0, 3.0], [10.0, 10.0, 5.0], [4.0, 12.0, 8.0]];
        let finding = PeerFinding { what: "something", unit: "µs", rounds };
        assert_eq!(finding.line(), "| something | µs | 4.00 | 10.0 | 5.00 | 2.00 | 2.00 |");
    }
}
