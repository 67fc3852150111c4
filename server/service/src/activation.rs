//! The lock under which Applications are activated and deactivated.

use std::sync::Arc;

use presence_protocol::{ApiError, AppId};
use presence_store::Store;
use tokio::sync::{Mutex, MutexGuard};

use crate::errors::from_store;
use crate::hub::Hub;

/// The lock that is held while the state of an Application changes, so that the database and the
/// hub agree on it.
pub(crate) struct ActivationLock {
    store: Store,
    hub: Arc<Hub>,
    lock: Mutex<()>,
}

/// The right to activate and deactivate Applications in the hub.
pub(crate) struct ActivationGuard<'a> {
    hub: &'a Hub,
    _lock: MutexGuard<'a, ()>,
}

impl ActivationLock {
    /// Creates the lock.
    pub(crate) fn new(store: Store, hub: Arc<Hub>) -> Self {
        Self { store, hub, lock: Mutex::default() }
    }

    /// Waits for the lock. Its holder may wait for the database, so this counts as such a wait.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub(crate) async fn acquire(&self) -> Result<ActivationGuard<'_>, ApiError> {
        let locked = self.store.in_time(async { Ok(self.lock.lock().await) }).await;
        Ok(ActivationGuard { hub: &self.hub, _lock: locked.map_err(from_store)? })
    }
}

impl ActivationGuard<'_> {
    /// Activates or deactivates an Application in the hub.
    pub(crate) fn set_active(&self, app: AppId, active: bool) {
        self.hub.set_active(app, active);
    }
}
