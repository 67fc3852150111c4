//! Opens what the service is built on: the database and the hub.

use std::sync::Arc;
use std::time::Duration;

use presence_core::{Clock, UnixMillis};
use presence_store::{
    CommitHook, CommonSettings, DiscardedDevelopment, Store, StoreError, StoreSettings,
};

use crate::hub::local::LocalHub;
use crate::hub::local::notifier::HubNotifier;
use crate::hub::shared::notifier::SharedNotifier;
use crate::hub::shared::{SharedHub, SharedSettings};
use crate::hub::{Hub, HubLimits};
use crate::settings::ServiceSettings;

/// An open database, for a service.
pub struct OpenDatabase(Store);

impl OpenDatabase {
    /// Opens the database at a URL. In production, what development mode left in it is discarded.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be used.
    pub async fn open(
        url: &str,
        settings: &ServiceSettings,
        now: UnixMillis,
    ) -> Result<Self, StoreError> {
        Box::pin(open_store(url, settings, now)).await.map(Self)
    }

    /// Returns the key of this name that all servers of the database have, made by `make` if there
    /// is none yet. A server that is alone makes one of its own.
    ///
    /// # Errors
    ///
    /// Those of the database and of `make`.
    pub async fn common_key<E: From<StoreError>>(
        &self,
        name: &str,
        make: impl Fn() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let Some(live) = self.0.live() else { return make() };
        if let Some(known) = live.find_key(name).await? {
            return Ok(known);
        }
        Ok(live.share_key(name, make()?).await?)
    }

    /// Returns the store.
    pub(crate) fn into_store(self) -> Store {
        self.0
    }
}

/// Creates the hub, and its connection to the writer.
pub(crate) async fn open_hub(
    store: &Store,
    clock: &Arc<dyn Clock>,
    settings: &ServiceSettings,
) -> Result<(Hub, Arc<dyn CommitHook>), StoreError> {
    let limits = HubLimits::from(settings);
    if let Some(live) = store.live() {
        let shared = SharedSettings {
            limits,
            warm_up: settings.warm_up,
            deadline: settings.database_deadline,
            common: common_settings(settings),
        };
        let database = (store.clone(), live.clone());
        let hub = Arc::new(SharedHub::join(database, Arc::clone(clock), shared).await?);
        let notifier = Arc::new(SharedNotifier::new(Arc::clone(&hub)));
        return Ok((Hub::Shared(hub), notifier));
    }
    let warm_up = if store.had_devices_connected() { settings.warm_up } else { Duration::ZERO };
    let warm_up_ends_at = clock.steady() + warm_up;
    let hub = LocalHub::new(Arc::clone(clock), limits, store.epoch(), warm_up_ends_at);
    let hub = Arc::new(hub);
    let notifier = Arc::new(HubNotifier(Arc::clone(&hub)));
    Ok((Hub::Local(hub), notifier))
}

/// Returns the settings that all servers of a database must share, under their names in the
/// settings file.
fn common_settings(settings: &ServiceSettings) -> CommonSettings {
    let mut common = CommonSettings::default();
    let seconds = |time: Duration| time.as_secs_f64().to_string();
    common.insert("grace_seconds", &seconds(settings.grace));
    common.insert("receipt_hold_seconds", &seconds(settings.receipt_hold));
    common.insert("update_delay_seconds", &seconds(settings.update_delay));
    common.insert("dev", &settings.development.to_string());
    common.insert("public_url", &settings.common_public_url);
    for (name, value) in &settings.further_common {
        common.insert_changing(name, value);
    }
    common
}

async fn open_store(
    database: &str,
    settings: &ServiceSettings,
    now: UnixMillis,
) -> Result<Store, StoreError> {
    let store = StoreSettings {
        deadline: settings.database_deadline,
        cached_credentials: settings.cached_credentials,
    };
    let store = Store::open_with(database, now, store).await?;
    if settings.development {
        store.mark_as_development();
        return Ok(store);
    }
    let DiscardedDevelopment { sessions, apps } = store.discard_development().await?;
    if sessions + apps > 0 {
        log_discarded(sessions, apps);
    }
    Ok(store)
}

fn log_discarded(sessions: u64, apps: u64) {
    tracing::warn!(
        sessions,
        apps,
        "development.discarded: the database was used in development mode; its sessions ended, and \
         the domains of its applications must be verified again"
    );
}

impl From<&ServiceSettings> for HubLimits {
    fn from(settings: &ServiceSettings) -> Self {
        Self {
            grace: settings.grace,
            sockets_per_user: settings.sockets_per_user,
            retention: settings.retention,
            receipt_hold: settings.receipt_hold,
            stream_bytes: settings.stream_bytes,
            update_delay: settings.update_delay,
        }
    }
}
