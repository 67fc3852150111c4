//! The number of exported objects that are alive. The tests of an app use it to find leaks.

use std::sync::atomic::{AtomicU64, Ordering};

static LIVE_OBJECTS: AtomicU64 = AtomicU64::new(0);

/// A part of each exported object. It counts the object while the object is alive.
#[derive(Debug)]
pub(crate) struct CountedObject(());

impl CountedObject {
    pub(crate) fn new() -> Self {
        LIVE_OBJECTS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for CountedObject {
    fn drop(&mut self) {
        LIVE_OBJECTS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the number of objects of this library that are alive in this process: channels, APIs,
/// presence maps, secrets and cancel tokens.
///
/// Tests use it to find leaks. An object is alive until its last reference is gone or it is
/// closed, and no call on it is running.
#[uniffi::export]
pub fn debug_live_objects() -> u64 {
    LIVE_OBJECTS.load(Ordering::Relaxed)
}
