//! The state that all tasks of a run share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use presence_tests::Application;

use super::expected::APPS;
use super::watcher::Watcher;

/// The state that all tasks of a run share.
pub(super) struct SharedState {
    pub(super) applications: [Application; APPS],
    /// The sockets that are never disconnected, one of each Application.
    pub(super) steady: [Arc<Watcher>; APPS],
    /// Every uid that an Application ever got.
    pub(super) granted: [Mutex<HashSet<String>>; APPS],
    frames: AtomicUsize,
    faults: AtomicUsize,
    /// The number of users who went offline, and were seen offline exactly once.
    pub(super) departures: AtomicUsize,
    /// The number of users who were lost and back in time, and were not seen offline.
    pub(super) grace_returns: AtomicUsize,
    /// The number of events at which this phase ends.
    target: AtomicUsize,
}

impl SharedState {
    pub(super) fn new(applications: [Application; APPS], steady: [Arc<Watcher>; APPS]) -> Self {
        let zero = || AtomicUsize::new(0);
        Self {
            applications,
            steady,
            granted: Default::default(),
            frames: zero(),
            faults: zero(),
            departures: zero(),
            grace_returns: zero(),
            target: zero(),
        }
    }

    /// Counts frames of devices.
    pub(super) fn record_frames(&self, count: usize) {
        self.frames.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts a fault.
    pub(super) fn record_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the numbers of frames and faults so far.
    pub(super) fn events(&self) -> (usize, usize) {
        (self.frames.load(Ordering::Relaxed), self.faults.load(Ordering::Relaxed))
    }

    /// Sets the number of events at which the next phase ends.
    pub(super) fn set_target(&self, events: usize) {
        self.target.store(events, Ordering::Relaxed);
    }

    pub(super) fn is_running(&self) -> bool {
        let (frames, faults) = self.events();
        frames + faults < self.target.load(Ordering::Relaxed)
    }
}
