//! The moments at which an Application sees the updates that are held for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use presence_core::Steady;

/// Moments at equal intervals, of a random phase. So two Applications do not see the change of a
/// user at the same time, nor apart by an interval that tells which changes belong together.
pub(super) struct Schedule {
    interval: Duration,
    phase: Duration,
    /// The number of intervals that had passed at the last moment.
    passed: AtomicU64,
}

impl Schedule {
    /// Creates a schedule of a random phase, or none without an interval.
    pub(super) fn random(interval: Duration, now: Steady) -> Option<Self> {
        if interval.is_zero() {
            return None;
        }
        let schedule =
            Self { interval, phase: interval.mul_f64(rand::random()), passed: AtomicU64::new(0) };
        schedule.passed.store(schedule.passed_at(now), Ordering::Relaxed);
        Some(schedule)
    }

    /// Returns true once after each moment.
    pub(super) fn is_due(&self, now: Steady) -> bool {
        let passed = self.passed_at(now);
        self.passed.swap(passed, Ordering::Relaxed) != passed
    }

    fn passed_at(&self, now: Steady) -> u64 {
        let passed = (now.since_start() + self.phase).as_nanos() / self.interval.as_nanos().max(1);
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_due_once_in_each_interval() {
        let at = |millis| Steady::from_start(Duration::from_millis(millis));
        let schedule = Schedule::random(Duration::from_secs(1), at(0)).unwrap();
        let due: Vec<bool> = (1..=100).map(|tenth| schedule.is_due(at(tenth * 100))).collect();
        assert_eq!(due.iter().filter(|due| **due).count(), 10);
        assert!(Schedule::random(Duration::ZERO, at(0)).is_none());
    }
}
