//! The results of a run, as tables and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::figures::TimedRow;
use super::round::RoundCounts;

/// The results of a run.
pub(crate) struct RunResults {
    pub(crate) servers: usize,
    pub(crate) rows: Vec<TimedRow>,
    pub(crate) rounds: Vec<RoundCounts>,
    /// The notifications that were answered with OK, and those that a device received again.
    pub(crate) notifications: (u64, u64),
}

impl RunResults {
    /// Returns true if everything was right.
    pub(crate) fn is_right(&self) -> bool {
        self.rows.iter().all(TimedRow::is_right) && self.rounds.iter().all(|it| it.faults() == 0)
    }

    pub(crate) fn print(&self) {
        println!("\n{} server(s)\n", self.servers);
        println!("| what | p50 | p99 | shortest | longest | bounds | unwanted updates | |");
        println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
        for row in &self.rows {
            let times = [50, 99, 1, 100].map(|percent| millis(row.percentile(percent)));
            let [p50, p99, _, longest] = &times;
            let shortest = millis(row.times.first().copied().unwrap_or_default());
            let bounds = format!("{} … {}", millis(row.bounds.0), millis(row.bounds.1));
            let verdict = if row.is_right() { "right" } else { "WRONG" };
            println!(
                "| {} | {p50} | {p99} | {shortest} | {longest} | {bounds} | {} | {verdict} |",
                row.what, row.unwanted
            );
        }
        println!(
            "\n| fault | rounds | changes | updates | right after | wrong | missed | doubled | lost | flaps | contradictions | unexpected |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
        for total in self.totals() {
            total.print();
        }
        let (accepted, repeated) = self.notifications;
        println!("\n{accepted} notifications were accepted, and {repeated} shown again");
    }

    /// Adds up the rounds of each fault, and then all.
    fn totals(&self) -> Vec<Total> {
        let mut totals: Vec<Total> = Vec::new();
        for round in &self.rounds {
            match totals.iter_mut().find(|total| total.counts.fault == round.fault) {
                Some(total) => total.add(round),
                None => totals.push(Total { rounds: 1, counts: round.clone() }),
            }
        }
        let mut all = Total::default();
        self.rounds.iter().for_each(|round| all.add(round));
        all.counts.fault = "all";
        totals.push(all);
        totals
    }

    pub(crate) fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let times: Vec<f64> = row.times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
            json!({
                "what": row.what,
                "milliseconds": times,
                "bounds": [row.bounds.0.as_secs_f64() * 1e3, row.bounds.1.as_secs_f64() * 1e3],
                "unwanted": row.unwanted,
                "right": row.is_right(),
            })
        });
        json!({
            "servers": self.servers,
            "rows": rows.collect::<Vec<_>>(),
            "rounds": self.rounds.iter().map(RoundCounts::to_json).collect::<Vec<_>>(),
            "notifications": {"accepted": self.notifications.0, "repeated": self.notifications.1},
            "right": self.is_right(),
        })
    }
}

/// The sum of some rounds.
#[derive(Default)]
struct Total {
    rounds: u64,
    counts: RoundCounts,
}

impl Total {
    fn add(&mut self, round: &RoundCounts) {
        self.rounds += 1;
        let counts = &mut self.counts;
        counts.changes += round.changes;
        counts.updates += round.updates;
        counts.right_after = counts.right_after.max(round.right_after);
        counts.wrong += round.wrong;
        counts.missed += round.missed;
        counts.doubled += round.doubled;
        counts.lost += round.lost;
        counts.flaps += round.flaps;
        counts.contradictions += round.contradictions;
        counts.unexpected += round.unexpected;
    }

    fn print(&self) {
        let RoundCounts {
            fault,
            changes,
            updates,
            right_after,
            wrong,
            missed,
            doubled,
            lost,
            flaps,
            contradictions,
            unexpected,
        } = &self.counts;
        println!(
            "| {fault} | {} | {changes} | {updates} | {} | {wrong} | {missed} | {doubled} | {lost} \
             | {flaps} | {contradictions} | {unexpected} |",
            self.rounds,
            millis(*right_after)
        );
    }
}

impl RoundCounts {
    fn to_json(&self) -> Value {
        json!({
            "fault": self.fault,
            "changes": self.changes,
            "updates": self.updates,
            "right_after_milliseconds": self.right_after.as_secs_f64() * 1e3,
            "wrong": self.wrong,
            "missed": self.missed,
            "doubled": self.doubled,
            "lost": self.lost,
            "flaps": self.flaps,
            "contradictions": self.contradictions,
            "unexpected": self.unexpected,
        })
    }
}

fn millis(time: Duration) -> String {
    if time == Duration::ZERO {
        "–".to_owned()
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    }
}
