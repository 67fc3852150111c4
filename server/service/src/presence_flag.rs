//! Stores for the next run of the server whether devices are connected.

use std::time::Duration;

use presence_store::{Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::errors::or_logged;

/// The time for which the first device waits for the write.
const FIRST_WRITE: Duration = Duration::from_secs(1);

/// The flag that devices are connected. A run after a crash waits for them if it is set.
pub(crate) struct PresenceFlag {
    store: Store,
    /// The value that this run wrote last.
    written: Mutex<Option<bool>>,
}

impl PresenceFlag {
    /// Creates a flag that this run has not written.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, written: Mutex::default() }
    }

    /// Sets the flag before the first device is shown as connected. Devices that connect during the
    /// write do not wait for it. If the write takes too long, the maintenance repeats it.
    pub(crate) async fn persist_first_connection(&self) {
        if self.is_needed()
            && let Ok(mut written) = self.written.try_lock()
            && *written != Some(true)
        {
            timeout(FIRST_WRITE, self.write(true, &mut written)).await.ok();
        }
    }

    /// Sets the flag to whether devices are connected, if it is not so already.
    pub(crate) async fn persist(&self, connected: bool) {
        let mut written = self.written.lock().await;
        if self.is_needed() && *written != Some(connected) {
            self.write(connected, &mut written).await;
        }
    }

    /// Returns false where several servers share presence: the database knows who is connected.
    fn is_needed(&self) -> bool {
        self.store.live().is_none()
    }

    async fn write(&self, connected: bool, written: &mut Option<bool>) {
        let stored: Result<(), StoreError> = self.store.set_devices_connected(connected).await;
        if or_logged("the flag of connected devices could not be written", stored).is_some() {
            *written = Some(connected);
        }
    }
}
