//! The number of exported objects that are alive. The tests of an app use it to find leaks.

use std::sync::atomic::{AtomicU64, Ordering};

static LIVE: AtomicU64 = AtomicU64::new(0);

/// A part of each exported object. It counts the object while the object is alive.
#[derive(Debug)]
pub(crate) struct LiveObject(());

impl LiveObject {
    pub(crate) fn new() -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for LiveObject {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the number of objects of this library that are alive in this process: channels, APIs,
/// presence maps, secrets and cancel tokens.
///
/// For tests that look for leaks. An object is alive until its last reference is gone or it is
/// closed, and no call on it is running.
#[uniffi::export]
pub fn debug_live_objects() -> u64 {
    LIVE.load(Ordering::Relaxed)
}
