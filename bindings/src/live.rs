//! How many exported objects are alive, so that an app's own tests can show that nothing leaks.

use std::sync::atomic::{AtomicU64, Ordering};

static LIVE: AtomicU64 = AtomicU64::new(0);

/// One object that counts while it lives.
#[derive(Debug)]
pub(crate) struct Live(());

impl Live {
    pub(crate) fn new() -> Self {
        LIVE.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many objects of this library are alive in this process: channels, APIs, presence maps, secrets and cancel tokens.
///
/// For tests that look for leaks. An object lives until the last reference to it is gone, or it was closed, and no call on it
/// is under way.
#[uniffi::export]
pub fn debug_live_objects() -> u64 {
    LIVE.load(Ordering::Relaxed)
}
