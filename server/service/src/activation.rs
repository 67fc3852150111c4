//! The lock under which Applications are activated and deactivated.

use std::sync::Arc;

use presence_protocol::AppId;
use tokio::sync::{Mutex, MutexGuard};

use crate::hub::Hub;

/// The lock that is held while the state of an Application changes, so that the database and the
/// hub agree on it.
pub(crate) struct ActivationLock {
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
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, lock: Mutex::default() }
    }

    /// Waits for the lock.
    pub(crate) async fn acquire(&self) -> ActivationGuard<'_> {
        ActivationGuard { hub: &self.hub, _lock: self.lock.lock().await }
    }
}

impl ActivationGuard<'_> {
    /// Activates or deactivates an Application in the hub.
    pub(crate) fn set_active(&self, app: AppId, active: bool) {
        self.hub.set_active(app, active);
    }
}
