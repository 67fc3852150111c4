//! The accounts of users.

use std::sync::Arc;

use presence_core::{Clock, UserId};
use presence_protocol::{ApiError, Errno};
use presence_store::{Account, Store, Writer};

use crate::errors::from_store;

/// The accounts of users.
pub struct Accounts {
    store: Store,
    writer: Writer,
    clock: Arc<dyn Clock>,
}

impl Accounts {
    pub(crate) fn new((store, writer): (Store, Writer), clock: Arc<dyn Clock>) -> Self {
        Self { store, writer, clock }
    }

    /// Loads everything that the database holds about a user.
    ///
    /// # Errors
    ///
    /// `session_expired` if the account was erased, `storage_unavailable`.
    pub async fn load(&self, user: UserId) -> Result<Account, ApiError> {
        let account = self.store.account(user, self.clock.now()).await.map_err(from_store)?;
        account.ok_or(Errno::SessionExpired.into())
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
