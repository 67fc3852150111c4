//! The time of the database, by which all servers measure grace times.

use std::sync::{Arc, Mutex, PoisonError};

use presence_core::{Clock, Steady, UnixMillis};

/// The time of the database, as this server last heard of it, plus the time since then.
pub(super) struct DatabaseClock {
    clock: Arc<dyn Clock>,
    heard: Mutex<(Steady, UnixMillis)>,
}

impl DatabaseClock {
    pub(super) fn new(clock: Arc<dyn Clock>, now: UnixMillis) -> Self {
        let heard = Mutex::new((clock.steady(), now));
        Self { clock, heard }
    }

    /// Records the time of the database in an answer to what was asked at `asked`. The answer may
    /// be old: this server may have stood still since the database gave it. So the time is now
    /// between that of the answer and as much later as the answer has taken, and only an estimate
    /// outside of it is wrong.
    pub(super) fn hear(&self, asked: Steady, at: UnixMillis) {
        let now = self.clock.steady();
        let latest = at + (now - asked);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let (steady, known) = *heard;
        *heard = (now, (known + (now - steady)).clamp(at, latest));
    }

    /// Returns the time of the database. It is at most the delay of an answer wrong.
    pub(super) fn now(&self) -> UnixMillis {
        let (steady, at) = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        at + (self.clock.steady() - steady)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use presence_core::ManualClock;

    use super::*;

    const START: UnixMillis = UnixMillis::new(1_800_000_000_000);

    #[test]
    fn an_answer_that_a_server_reads_only_after_it_stood_still_does_not_set_the_time_back() {
        let clock = Arc::new(ManualClock::new(START));
        let time = DatabaseClock::new(Arc::<ManualClock>::clone(&clock), START);
        let second = Duration::from_secs(1);
        let asked = clock.steady();
        clock.advance(8 * second);
        time.hear(asked, START);
        assert_eq!(time.now(), START + 8 * second);
        // The clocks of servers may drift apart, or one of them is set: quick answers count.
        for at in [START, START + 60 * second] {
            time.hear(clock.steady(), at);
            assert_eq!(time.now(), at);
        }
        clock.advance(second);
        assert_eq!(time.now(), START + 61 * second);
        // It is wrong by at most the time that an answer takes.
        let asked = clock.steady();
        clock.advance(second);
        time.hear(asked, START);
        assert_eq!(time.now(), START + second);
    }
}
