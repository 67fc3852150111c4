//! What all who take part in a run share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use presence_tests::Application;

use super::truth::APPS;
use super::watcher::Watcher;

/// What all who take part in a run share.
pub(super) struct Board {
    pub(super) applications: [Application; APPS],
    /// The sockets that keep up, one of each Application.
    pub(super) steady: [Arc<Watcher>; APPS],
    /// Every uid that was ever given to an Application.
    pub(super) granted: [Mutex<HashSet<String>>; APPS],
    frames: AtomicUsize,
    disturbances: AtomicUsize,
    /// How often somebody went away, and was heard of once.
    pub(super) farewells: AtomicUsize,
    /// How often somebody was lost and back in time, and was not heard of.
    pub(super) blinks: AtomicUsize,
    /// Until how many events this phase lasts.
    target: AtomicUsize,
}

impl Board {
    pub(super) fn new(applications: [Application; APPS], steady: [Arc<Watcher>; APPS]) -> Self {
        let zero = || AtomicUsize::new(0);
        Self {
            applications,
            steady,
            granted: Default::default(),
            frames: zero(),
            disturbances: zero(),
            farewells: zero(),
            blinks: zero(),
            target: zero(),
        }
    }

    /// Devices sent so many frames.
    pub(super) fn frames(&self, count: usize) {
        self.frames.fetch_add(count, Ordering::Relaxed);
    }

    /// Somebody was disturbed.
    pub(super) fn disturbed(&self) {
        self.disturbances.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames and disturbances so far.
    pub(super) fn events(&self) -> (usize, usize) {
        (self.frames.load(Ordering::Relaxed), self.disturbances.load(Ordering::Relaxed))
    }

    /// The next phase lasts until so many events.
    pub(super) fn go_on_until(&self, events: usize) {
        self.target.store(events, Ordering::Relaxed);
    }

    pub(super) fn goes_on(&self) -> bool {
        let (frames, disturbances) = self.events();
        frames + disturbances < self.target.load(Ordering::Relaxed)
    }
}
