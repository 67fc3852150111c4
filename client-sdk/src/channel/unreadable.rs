//! The frames and entries that this version cannot read.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The time after an unreadable frame in which an outstanding reply must arrive. If it does not,
/// the unreadable frame was probably that reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of frames and entries that were skipped since the channel was opened, and the request
/// whose reply may have been one of them.
#[derive(Debug, Default)]
pub(crate) struct UnreadableFrames {
    skipped: u64,
    /// The newest request that had no reply when a frame was skipped, and the time limit.
    awaited: Option<(u64, Instant)>,
}

impl UnreadableFrames {
    /// Returns the number of frames and entries that were skipped.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Counts entries of a frame that were skipped.
    pub(crate) fn skip_entries(&mut self, count: u64) {
        if count > 0 {
            self.skipped += count;
            tracing::warn!(count, "entries of a frame cannot be read and are skipped");
        }
    }

    /// Counts a frame that was skipped, while the reply to the request `awaited` is outstanding.
    pub(crate) fn skip_frame(
        &mut self,
        error: &dyn fmt::Display,
        awaited: Option<u64>,
        now: Instant,
    ) {
        self.skipped += 1;
        tracing::warn!(%error, "a frame cannot be read and is skipped");
        if self.awaited.is_none() {
            self.awaited = awaited.map(|id| (id, now + REPLY_TIMEOUT));
        }
    }

    /// Returns the time at which an outstanding reply counts as lost.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.awaited.map(|(_, deadline)| deadline)
    }

    /// Returns, once, the request whose reply counts as lost if it has not arrived by now.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Option<u64> {
        let (id, _) = self.awaited.take_if(|(_, deadline)| now >= *deadline)?;
        Some(id)
    }

    /// Forgets the outstanding reply, since its socket is lost.
    pub(crate) fn forget_awaited(&mut self) {
        self.awaited = None;
    }
}
