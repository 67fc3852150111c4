//! One timer for all sockets: a wheel of slots, each with the bells to ring when its time has come.
//!
//! A socket that is woken looks at its own deadlines and asks for its next call, so a bell that rings early does no harm.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use presence_core::Millis;
use presence_service::Bell;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How fine the time is told, in milliseconds.
const TICK: Millis = 100;
/// How many ticks ahead a call can be asked for; a later one comes early, and asks again.
const SLOTS: usize = 512;

/// The wheel.
pub(crate) struct Wheel {
    slots: Vec<Mutex<Vec<Weak<Bell>>>>,
    now: AtomicUsize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Mutex::default()).collect(), now: AtomicUsize::new(0) }
    }
}

impl Wheel {
    /// Rings a bell after about so many milliseconds, or earlier.
    pub(crate) fn call_after(&self, delay: Millis, bell: &Arc<Bell>) {
        let ticks = usize::try_from(delay.div_ceil(TICK)).unwrap_or(usize::MAX).saturating_add(1);
        let place = self.now.load(Ordering::Acquire) + ticks.min(SLOTS - 1);
        self.slot(place).push(Arc::downgrade(bell));
    }

    /// Turns until it is told to stop.
    pub(crate) async fn turn(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(Duration::from_millis(TICK));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.step(),
            }
        }
    }

    fn step(&self) {
        let place = self.now.fetch_add(1, Ordering::AcqRel) + 1;
        let due = std::mem::take(&mut *self.slot(place));
        due.iter().filter_map(Weak::upgrade).for_each(|bell| bell.ring());
    }

    #[expect(clippy::indexing_slicing, reason = "the place is taken modulo the number of slots")]
    fn slot(&self, place: usize) -> std::sync::MutexGuard<'_, Vec<Weak<Bell>>> {
        self.slots[place % SLOTS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn rung(bell: &Bell) -> bool {
        bell.listen(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_bell_rings_at_its_time_and_once() {
        let (wheel, bell) = (Wheel::default(), Arc::new(Bell::default()));
        wheel.call_after(250, &bell);
        (0..3).for_each(|_| wheel.step());
        assert!(!rung(&bell));
        wheel.step();
        assert!(rung(&bell));
        (0..SLOTS * 2).for_each(|_| wheel.step());
        assert!(!rung(&bell));
    }

    #[test]
    fn a_call_beyond_the_wheel_comes_early() {
        let (wheel, bell) = (Wheel::default(), Arc::new(Bell::default()));
        wheel.call_after(Millis::MAX, &bell);
        (0..SLOTS).for_each(|_| wheel.step());
        assert!(rung(&bell));
    }
}
