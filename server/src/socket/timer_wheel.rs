//! One timer for all sockets: a wheel of slots, each with the bells to ring when its time has come.
//!
//! A bell rings once for each call, never before its time: a socket counts on that, and asks for its next call only after the last.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use presence_core::Clock;
use presence_service::SocketWaker;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The resolution of the wheel.
const TICK: Duration = Duration::from_millis(100);
/// The slots of one turn; a later call stays in its slot for further turns.
const SLOTS: u64 = 512;

struct Call {
    due: u64,
    bell: Weak<SocketWaker>,
}

/// The wheel.
pub(crate) struct TimerWheel {
    clock: Arc<dyn Clock>,
    slots: Vec<Mutex<Vec<Call>>>,
    /// The last tick whose calls were made, or are being made.
    turned_to: AtomicU64,
}

impl TimerWheel {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            turned_to: AtomicU64::new(0),
        }
    }

    /// Rings a bell once, after `delay` or a little later.
    pub(crate) fn schedule(&self, delay: Duration, bell: &Arc<SocketWaker>) {
        self.call_at(self.tick_after(delay) + 1, bell);
    }

    /// Turns until it is told to stop.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.turn_to(self.tick_after(Duration::ZERO)),
            }
        }
    }

    /// Returns the number of the tick that is the last one to begin within `delay` from now.
    fn tick_after(&self, delay: Duration) -> u64 {
        let time = (self.clock.steady() + delay).since_start();
        u64::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX)
    }

    fn call_at(&self, due: u64, bell: &Arc<SocketWaker>) {
        let mut slot = self.slot(due);
        // Read under the lock: where the wheel is not there yet, it will find the call; where it is, nobody looks again.
        if self.turned_to.load(Ordering::Acquire) < due {
            slot.push(Call { due, bell: Arc::downgrade(bell) });
            return;
        }
        drop(slot);
        bell.wake();
    }

    fn turn_to(&self, tick: u64) {
        let from = self.turned_to.swap(tick, Ordering::AcqRel) + 1;
        for place in from.max((tick + 1).saturating_sub(SLOTS))..=tick {
            let (due, later): (Vec<Call>, Vec<Call>) = std::mem::take(&mut *self.slot(place))
                .into_iter()
                .partition(|call| call.due <= tick);
            self.slot(place).extend(later);
            due.iter().filter_map(|call| call.bell.upgrade()).for_each(|bell| bell.wake());
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the place is taken modulo the number of slots")]
    fn slot(&self, place: u64) -> MutexGuard<'_, Vec<Call>> {
        let place = usize::try_from(place % SLOTS).unwrap_or(0);
        self.slots[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use presence_core::ManualClock;

    use super::*;

    fn wheel() -> TimerWheel {
        TimerWheel::new(Arc::new(ManualClock::default()))
    }

    fn rung(bell: &SocketWaker) -> bool {
        bell.register(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_bell_rings_at_its_time_and_once() {
        let (wheel, bell) = (wheel(), Arc::new(SocketWaker::default()));
        wheel.call_at(3, &bell);
        (1..=2).for_each(|tick| wheel.turn_to(tick));
        assert!(!rung(&bell));
        wheel.turn_to(3);
        assert!(rung(&bell));
        (4..SLOTS * 2).for_each(|tick| wheel.turn_to(tick));
        assert!(!rung(&bell));
    }

    #[test]
    fn a_call_beyond_one_turn_does_not_come_early() {
        let (wheel, bell) = (wheel(), Arc::new(SocketWaker::default()));
        wheel.call_at(SLOTS * 2 + 3, &bell);
        (1..SLOTS * 2 + 3).for_each(|tick| wheel.turn_to(tick));
        assert!(!rung(&bell));
        wheel.turn_to(SLOTS * 2 + 3);
        assert!(rung(&bell));
    }

    #[test]
    fn a_wheel_that_was_held_up_catches_up_and_rings_nothing_before_its_time() {
        let (wheel, late, early) =
            (wheel(), Arc::new(SocketWaker::default()), Arc::new(SocketWaker::default()));
        wheel.call_at(5, &late);
        wheel.call_at(SLOTS * 4, &early);
        wheel.turn_to(SLOTS * 3);
        assert!(rung(&late) && !rung(&early));
    }

    #[test]
    fn a_call_for_a_time_that_is_over_comes_at_once() {
        let (wheel, bell) = (wheel(), Arc::new(SocketWaker::default()));
        wheel.turn_to(7);
        wheel.call_at(7, &bell);
        assert!(rung(&bell));
    }

    #[test]
    fn a_call_is_scheduled_by_the_injected_clock_and_never_before_its_time() {
        let (clock, bell) = (Arc::new(ManualClock::default()), Arc::new(SocketWaker::default()));
        let wheel = TimerWheel::new(Arc::<ManualClock>::clone(&clock));
        clock.advance(Duration::from_millis(50));
        wheel.schedule(Duration::from_millis(250), &bell);
        wheel.turn_to(3);
        assert!(!rung(&bell), "tick 3 begins at 300 ms");
        wheel.turn_to(4);
        assert!(rung(&bell));
    }
}
