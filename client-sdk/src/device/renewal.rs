//! The time at which a session is renewed.

use std::time::Duration;

use tokio::time::Instant;

use crate::channel::Jitter;

/// The renewal of a session: it is requested at a random time in the last fifth of the session, so
/// that many devices do not request it together. The second half of the rest is left for the
/// request.
#[derive(Debug)]
pub(super) struct Renewal {
    jitter: Jitter,
    session_began: Option<Instant>,
    due: Option<DueRenewal>,
}

#[derive(Debug, Clone, Copy)]
struct DueRenewal {
    at: Instant,
    session_ends: Instant,
}

impl Renewal {
    pub(super) fn new(jitter: Jitter) -> Self {
        Self { jitter, session_began: None, due: None }
    }

    /// Records that the server has accepted a credential.
    pub(super) fn begin_session(&mut self, now: Instant) {
        self.session_began = Some(now);
    }

    /// Chooses the time of the renewal, after the server has announced the end of the session.
    pub(super) fn schedule(&mut self, within: Duration, now: Instant) {
        let Some(session_ends) = now.checked_add(within) else { return };
        let length = session_ends - self.session_began.unwrap_or(now);
        let earliest = session_ends.checked_sub(length / 5).map_or(now, |time| time.max(now));
        let window = session_ends.saturating_duration_since(earliest) / 2;
        let at = earliest + window.mul_f64((self.jitter)());
        self.due = Some(DueRenewal { at, session_ends });
    }

    /// Forgets the time, since the session has ended or was renewed.
    pub(super) fn cancel(&mut self) {
        self.due = None;
    }

    /// Returns the time of the renewal.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.map(|due| due.at)
    }

    /// Returns, once, the time that is left if the renewal is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Duration> {
        let due = self.due.take_if(|due| now >= due.at)?;
        Some(due.session_ends.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_is_renewed_in_its_last_fifth() {
        for (jitter, second) in [((|| 0.0) as Jitter, 80), (|| 1.0, 90)] {
            let start = Instant::now();
            let mut renewal = Renewal::new(jitter);
            renewal.begin_session(start);
            renewal.schedule(100 * SECOND, start);
            let expected = start + second * SECOND;
            assert_eq!(renewal.deadline(), Some(expected));
            assert_eq!(renewal.take_due(expected - SECOND), None);
            assert_eq!(renewal.take_due(expected), Some((100 - second) * SECOND));
            assert_eq!((renewal.deadline(), renewal.take_due(expected)), (None, None));
        }
    }

    #[test]
    fn a_session_whose_end_is_announced_late_is_renewed_in_the_first_half_of_the_rest() {
        for (jitter, wait) in [((|| 0.0) as Jitter, 0), (|| 1.0, 30)] {
            let start = Instant::now();
            let mut renewal = Renewal::new(jitter);
            renewal.begin_session(start);
            let now = start + Duration::from_hours(24) - 60 * SECOND;
            renewal.schedule(60 * SECOND, now);
            assert_eq!(renewal.deadline(), Some(now + wait * SECOND));
        }
    }
}
