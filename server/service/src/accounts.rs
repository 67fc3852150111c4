//! The use cases of a user's devices and account.

use presence_core::UserId;
use presence_core::roster::DeviceInfo;
use presence_protocol::{ApiError, CloseCode, DeviceName, Errno};
use presence_store::Account;

use crate::refusal::of_store;
use crate::service::PresenceService;

impl PresenceService {
    /// The devices that are connected or in their grace time.
    pub fn devices_of(&self, user: UserId) -> Vec<DeviceInfo> {
        self.hub.devices_of(user)
    }

    /// Ends a device at once.
    ///
    /// # Errors
    ///
    /// `not_found`.
    pub fn end_device(&self, user: UserId, device: &DeviceName) -> Result<(), ApiError> {
        if self.hub.end_device(user, device, CloseCode::EndedByUser) {
            Ok(())
        } else {
            Err(Errno::NotFound.into())
        }
    }

    /// Everything held about a user in the tables.
    ///
    /// # Errors
    ///
    /// `session_expired` where the account is gone, `storage_unavailable`.
    pub async fn account(&self, user: UserId) -> Result<Account, ApiError> {
        let account = self.store.account(user).await.map_err(of_store)?;
        account.ok_or(Errno::SessionExpired.into())
    }

    /// Erases a user with everything held, the user's own Applications too.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn erase(&self, user: UserId) -> Result<(), ApiError> {
        self.writer.erase_user(user).await.map(drop).map_err(of_store)
    }
}
