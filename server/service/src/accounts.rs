//! The accounts of users.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use presence_core::{Clock, Grant, Notification, UnixMillis, UserId};
use presence_protocol::{ApiError, Errno};
use presence_store::{Account, Store, Writer};

use crate::errors::from_store;
use crate::hub::{Hub, PageVersion};

/// The maximum number of requests for all data about one user that are answered at once.
const MAX_EXPORTS: u32 = 2;
/// The wait before another such request, in seconds.
const EXPORT_RETRY: f64 = 1.0;

/// The accounts of users.
pub struct Accounts {
    store: Store,
    writer: Writer,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    exports: Arc<RunningExports>,
}

/// The numbers of requests for all data of each user that are being answered. A user without one
/// has no entry.
type RunningExports = Mutex<HashMap<UserId, u32>>;

/// A request for all data about a user that is being answered, until it is dropped.
pub struct Export {
    running: Arc<RunningExports>,
    user: UserId,
}

impl Drop for Export {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = running.entry(self.user) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Accounts {
    pub(crate) fn new(
        (store, writer): (Store, Writer),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, writer, hub, clock, exports: Arc::default() }
    }

    /// Begins to answer a request for all data about a user.
    ///
    /// # Errors
    ///
    /// `slow_down` if the user has two already.
    pub fn begin_export(&self, user: UserId) -> Result<Export, ApiError> {
        let mut running = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(user).or_default();
        if *count >= MAX_EXPORTS {
            return Err(ApiError::slow_down(EXPORT_RETRY));
        }
        *count += 1;
        Ok(Export { running: Arc::clone(&self.exports), user })
    }

    /// Returns the version of what the page of a user shows now, `None` if too many users view
    /// theirs. It is read before the content of the page.
    pub fn page_version(&self, user: UserId) -> Option<PageVersion> {
        self.hub.page_version(user)
    }

    /// Records the grants that the page of a user has shown, and the end of the session that
    /// expires first. The next versions depend on them.
    pub fn note_page(&self, user: UserId, grants: Vec<Grant>, expires_at: Option<UnixMillis>) {
        self.hub.note_page(user, grants, expires_at);
    }

    /// Loads what the database holds about a user, without the content of notifications.
    ///
    /// # Errors
    ///
    /// `session_expired` if the account was erased, `storage_unavailable`.
    pub async fn load(&self, user: UserId) -> Result<Account, ApiError> {
        let account = self.store.account(user, self.clock.now()).await.map_err(from_store)?;
        account.ok_or(Errno::SessionExpired.into())
    }

    /// Reads stored notifications of a user by their `seq`.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn notifications(
        &self,
        user: UserId,
        seqs: &[i64],
    ) -> Result<Vec<Notification>, ApiError> {
        self.store.stored_page(user, seqs, self.clock.now()).await.map_err(from_store)
    }

    /// Erases a user with everything held about them, including their own Applications.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn erase(&self, user: UserId) -> Result<(), ApiError> {
        self.writer.erase_user(user).await.map(drop).map_err(from_store)
    }
}
