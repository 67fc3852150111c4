//! The API keys of Applications.

use std::sync::Arc;

use presence_core::model::{ApiKey, ApplicationState};
use presence_core::{Clock, UserId};
use presence_protocol::{ApiError, AppId, Errno};
use presence_store::{Store, UsedThing};
use secrecy::{ExposeSecret, SecretString};

use crate::errors::from_store;
use crate::hub::Hub;
use crate::ownership::find_owned;
use crate::secret::{self, SecretKind};
use crate::settings::ServiceSettings;
use crate::to_end::to_end;
use crate::uses::UseLog;

/// The maximum number of keys of an Application.
const MAX_KEYS: u64 = 20;

/// A new key. Its secret is shown once.
pub struct NewKey {
    /// The part of the key that is stored.
    pub key: ApiKey,
    /// The whole key.
    pub secret: SecretString,
}

/// The API keys of Applications.
pub struct ApiKeys {
    store: Store,
    uses: Arc<UseLog>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    development: bool,
}

impl ApiKeys {
    pub(crate) fn new(
        (store, uses): (Store, Arc<UseLog>),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        settings: &ServiceSettings,
    ) -> Self {
        Self { store, uses, hub, clock, development: settings.development }
    }

    /// Creates a key.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `domain_not_verified`, `too_large` if there are too many,
    /// `storage_unavailable`.
    pub async fn create(&self, owner: UserId, app: AppId) -> Result<NewKey, ApiError> {
        let app = find_owned(&self.store, owner, app).await?;
        if app.state == ApplicationState::Registered {
            return Err(Errno::DomainNotVerified.into());
        }
        let key = self.insert(app.id, MAX_KEYS).await?;
        key.ok_or_else(|| {
            ApiError::detailed(Errno::TooLarge, format_args!("at most {MAX_KEYS} keys"))
        })
    }

    /// Creates the first key of an Application; `None` if it has a key already.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub(crate) async fn create_first(&self, app: AppId) -> Result<Option<NewKey>, ApiError> {
        self.insert(app, 1).await
    }

    /// Returns the keys of an Application, without their secrets.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `storage_unavailable`.
    pub async fn list(&self, owner: UserId, app: AppId) -> Result<Vec<ApiKey>, ApiError> {
        let app = find_owned(&self.store, owner, app).await?;
        let mut keys = self.store.keys_of(app.id).await.map_err(from_store)?;
        for key in &mut keys {
            key.last_used_at = key.last_used_at.max(self.uses.last_use(&UsedThing::Key(key.id)));
        }
        Ok(keys)
    }

    /// Deletes a key, and closes the sockets that were opened with it.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `not_found`, `storage_unavailable`.
    pub async fn delete(&self, owner: UserId, app: AppId, key: i64) -> Result<(), ApiError> {
        let app = find_owned(&self.store, owner, app).await?;
        let (store, hub) = (self.store.clone(), Arc::clone(&self.hub));
        to_end(async move {
            if !store.delete_key(app.id, key).await.map_err(from_store)? {
                return Err(Errno::NotFound.into());
            }
            hub.close_sockets_of_key(app.id, key).await;
            Ok(())
        })
        .await
    }

    /// Inserts a key, unless the Application has `limit` keys already.
    async fn insert(&self, app: AppId, limit: u64) -> Result<Option<NewKey>, ApiError> {
        let kind = if self.development { SecretKind::TestKey } else { SecretKind::LiveKey };
        let secret = secret::generate(kind);
        let text = secret.expose_secret();
        let prefix = secret::key_prefix(text).ok_or(Errno::Internal)?;
        let (digest, now) = (secret::sha256(text), self.clock.now());
        let key = self.store.insert_key(app, (prefix, digest), now, limit).await;
        Ok(key.map_err(from_store)?.map(|key| NewKey { key, secret }))
    }
}
