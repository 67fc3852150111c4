//! The limit of log lines about a failure that repeats itself.

use std::time::Duration;

use crate::Steady;

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_mins(1);

/// Decides which of many equal failures are logged: the first one, and then one a minute.
#[derive(Debug, Default)]
pub struct LogLimit {
    logged_at: Option<Steady>,
    /// The number of failures since the last line.
    unlogged: u64,
}

impl LogLimit {
    /// Returns a limit that has counted nothing.
    pub const fn new() -> Self {
        Self { logged_at: None, unlogged: 0 }
    }

    /// Counts a failure. Returns the number of failures since the last line, with this one, if it
    /// is time for another line.
    pub fn count(&mut self, now: Steady) -> Option<u64> {
        self.unlogged += 1;
        if self.logged_at.is_some_and(|logged_at| now < logged_at + INTERVAL) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_repeats_itself_is_logged_once_a_minute_with_its_count() {
        let mut limit = LogLimit::default();
        let mut lines = Vec::new();
        for tenth in 0..=1200 {
            let now = Steady::from_start(Duration::from_millis(100 * tenth));
            lines.extend(limit.count(now));
        }
        assert_eq!(lines, [1, 600, 600]);
    }
}
