//! The operator's view of Applications, and the block of one that misbehaves. Shows no e-mail of a
//! user.

use std::sync::Arc;

use presence_core::model::App;
use presence_core::{Clock, UnixMillis};
use presence_protocol::{ApiError, AppId};
use presence_store::Store;

use crate::activation::ActivationLock;
use crate::errors::from_store;
use crate::hub::{Hub, SharingServer};

/// The maximum number of Applications that a search returns.
pub const MAX_MATCHES: u64 = 50;

/// An Application that a search of the operator has found.
pub struct ApplicationMatch {
    /// The Application.
    pub app: App,
    /// The number of its open sockets.
    pub sockets: usize,
}

/// The operator's actions.
pub struct Operator {
    store: Store,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    activation: Arc<ActivationLock>,
}

impl Operator {
    pub(crate) fn new(
        store: Store,
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        activation: Arc<ActivationLock>,
    ) -> Self {
        Self { store, hub, clock, activation }
    }

    /// Finds the newest Applications with this id, or with this text in their name or domain.
    /// Returns at most [`MAX_MATCHES`].
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn search(&self, text: &str) -> Result<Vec<ApplicationMatch>, ApiError> {
        let apps = self.store.find_apps(text, MAX_MATCHES).await.map_err(from_store)?;
        let ids: Vec<AppId> = apps.iter().map(|app| app.id).collect();
        let counts = self.hub.sockets(&ids).await.map_err(from_store)?;
        let with_sockets = |app: App| {
            let sockets = counts.get(&app.id).copied().unwrap_or(0);
            ApplicationMatch { app, sockets }
        };
        Ok(apps.into_iter().map(with_sockets).collect())
    }

    /// Returns the servers that share presence, none if this one is alone.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn servers(&self) -> Result<Vec<SharingServer>, ApiError> {
        self.hub.servers().await.map_err(from_store)
    }

    /// Blocks an Application, which is inactive until the operator ends the block. Its sockets are
    /// closed.
    ///
    /// # Errors
    ///
    /// `unknown_application`, `storage_unavailable`.
    pub async fn block(&self, app: AppId) -> Result<(), ApiError> {
        self.set_blocked(app, Some(self.clock.now())).await?;
        tracing::info!(%app, "operator.blocked");
        Ok(())
    }

    /// Ends the block of an Application, which gets back the state that its developer has set.
    ///
    /// # Errors
    ///
    /// As [`Operator::block`].
    pub async fn unblock(&self, app: AppId) -> Result<(), ApiError> {
        self.set_blocked(app, None).await?;
        tracing::info!(%app, "operator.unblocked");
        Ok(())
    }

    async fn set_blocked(&self, app: AppId, since: Option<UnixMillis>) -> Result<(), ApiError> {
        self.activation.acquire().await?.set_blocked(app, since).await
    }
}
