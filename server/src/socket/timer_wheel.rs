//! One timer for all sockets: a hashed timing wheel, whose slots hold the sockets to wake.
//!
//! Each timer fires once and never early. Sockets rely on that: they set their next timer only
//! after the last one has fired.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use presence_core::Clock;
use presence_service::SocketWaker;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The resolution of the wheel.
const TICK: Duration = Duration::from_millis(100);
/// The number of slots. A timer that is further away stays in its slot for more than one turn.
const SLOTS: u64 = 512;

/// A timer of one socket.
struct Timer {
    /// The tick at which it fires.
    due: u64,
    waker: Weak<SocketWaker>,
}

/// A timing wheel for socket wakers.
pub(crate) struct TimerWheel {
    clock: Arc<dyn Clock>,
    slots: Vec<Mutex<Vec<Timer>>>,
    /// The last tick whose timers have fired, or are firing.
    current: AtomicU64,
}

impl TimerWheel {
    /// Creates a wheel without timers.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            current: AtomicU64::new(0),
        }
    }

    /// Wakes a socket once, after `delay` or up to two ticks later.
    pub(crate) fn schedule(&self, delay: Duration, waker: &Arc<SocketWaker>) {
        self.schedule_at(self.tick_after(delay) + 1, waker);
    }

    /// Fires timers, until `stop`.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.advance_to(self.tick_after(Duration::ZERO)),
            }
        }
    }

    /// Returns the number of the tick that is the last one to begin within `delay` from now.
    fn tick_after(&self, delay: Duration) -> u64 {
        let time = (self.clock.steady() + delay).since_start();
        u64::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX)
    }

    fn schedule_at(&self, due: u64, waker: &Arc<SocketWaker>) {
        let mut slot = self.slot(due);
        // Read under the lock of the slot: if the wheel has not reached the tick, it will find the
        // timer later; if it has, it will not look into this slot again for this tick.
        if self.current.load(Ordering::Acquire) < due {
            slot.push(Timer { due, waker: Arc::downgrade(waker) });
            return;
        }
        drop(slot);
        waker.wake();
    }

    fn advance_to(&self, tick: u64) {
        let from = self.current.swap(tick, Ordering::AcqRel) + 1;
        for index in from.max((tick + 1).saturating_sub(SLOTS))..=tick {
            let (due, later): (Vec<Timer>, Vec<Timer>) = std::mem::take(&mut *self.slot(index))
                .into_iter()
                .partition(|timer| timer.due <= tick);
            self.slot(index).extend(later);
            due.iter().filter_map(|timer| timer.waker.upgrade()).for_each(|waker| waker.wake());
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the index is taken modulo the number of slots")]
    fn slot(&self, index: u64) -> MutexGuard<'_, Vec<Timer>> {
        let index = usize::try_from(index % SLOTS).unwrap_or(0);
        self.slots[index].lock().unwrap_or_else(PoisonError::into_inner)
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

    fn has_fired(waker: &SocketWaker) -> bool {
        waker.register(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_timer_fires_at_its_time_and_once() {
        let (wheel, waker) = (wheel(), Arc::new(SocketWaker::default()));
        wheel.schedule_at(3, &waker);
        (1..=2).for_each(|tick| wheel.advance_to(tick));
        assert!(!has_fired(&waker));
        wheel.advance_to(3);
        assert!(has_fired(&waker));
        (4..SLOTS * 2).for_each(|tick| wheel.advance_to(tick));
        assert!(!has_fired(&waker));
    }

    #[test]
    fn a_timer_beyond_one_turn_does_not_fire_early() {
        let (wheel, waker) = (wheel(), Arc::new(SocketWaker::default()));
        wheel.schedule_at(SLOTS * 2 + 3, &waker);
        (1..SLOTS * 2 + 3).for_each(|tick| wheel.advance_to(tick));
        assert!(!has_fired(&waker));
        wheel.advance_to(SLOTS * 2 + 3);
        assert!(has_fired(&waker));
    }

    #[test]
    fn a_delayed_wheel_fires_late_timers_and_none_early() {
        let (wheel, late, early) =
            (wheel(), Arc::new(SocketWaker::default()), Arc::new(SocketWaker::default()));
        wheel.schedule_at(5, &late);
        wheel.schedule_at(SLOTS * 4, &early);
        wheel.advance_to(SLOTS * 3);
        assert!(has_fired(&late) && !has_fired(&early));
    }

    #[test]
    fn a_timer_for_a_past_tick_fires_at_once() {
        let (wheel, waker) = (wheel(), Arc::new(SocketWaker::default()));
        wheel.advance_to(7);
        wheel.schedule_at(7, &waker);
        assert!(has_fired(&waker));
    }

    #[test]
    fn a_timer_follows_the_injected_clock_and_never_fires_early() {
        let (clock, waker) = (Arc::new(ManualClock::default()), Arc::new(SocketWaker::default()));
        let wheel = TimerWheel::new(Arc::<ManualClock>::clone(&clock));
        clock.advance(Duration::from_millis(50));
        wheel.schedule(Duration::from_millis(250), &waker);
        wheel.advance_to(3);
        assert!(!has_fired(&waker), "tick 3 begins at 300 ms");
        wheel.advance_to(4);
        assert!(has_fired(&waker));
    }
}
