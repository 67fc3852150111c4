//! Rounds, as a table and as JSON.

use serde_json::json;

/// One round of both sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// What cannot be beaten.
    pub(crate) floor: f64,
    /// What is measured.
    pub(crate) ours: f64,
}

pub(crate) fn report(what: &str, rounds: &[Pair]) {
    let ratio = median(rounds.iter().map(|pair| pair.ours / pair.floor).collect());
    println!("{what}");
    for pair in rounds {
        let percent = 100.0 * pair.ours / pair.floor;
        println!("  bare {:>9.0}   sdk {:>9.0}   {percent:>5.1} %", pair.floor, pair.ours);
    }
    println!("  median of the ratios {:.1} %", 100.0 * ratio);
    let raw: Vec<_> = rounds.iter().map(|pair| [pair.floor, pair.ours]).collect();
    println!("{}", json!({"measure": what, "rounds": raw, "ratio": ratio}));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
