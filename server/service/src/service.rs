//! The door: what all use cases share.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use presence_core::stream::Stream;
use presence_core::{Clock, Steady, UnixMillis};
use presence_identity::Verifier;
use presence_identity::fetch::GuardedClient;
use presence_protocol::ApiError;
use presence_store::{Backup, Inspection, Store, StoreError, Writer, WriterTask};
use tokio::sync::Mutex;

use crate::attempts::Barred;
use crate::hub::{Hub, HubLimits};
use crate::hub_notifier::HubNotifier;
use crate::meters::{Levels, ServiceMeters};
use crate::rates::Rates;
use crate::sessions::Claimed;
use crate::settings::ServiceSettings;
use crate::tickets::Tickets;

/// How many assertions are remembered against replay.
const REMEMBERED_ASSERTIONS: u64 = 200_000;

/// What the service is made of.
pub struct ServiceParts<'a> {
    /// The database, as a URL.
    pub database: &'a str,
    /// Who turns assertions into e-mails.
    pub verifier: Arc<dyn Verifier>,
    /// The guarded way to addresses that others chose.
    pub fetch: GuardedClient,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Limits and mode.
    pub settings: ServiceSettings,
}

/// The Presence service: one method for each thing that a caller can want.
pub struct PresenceService {
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pub(crate) hub: Arc<Hub>,
    pub(crate) verifier: Arc<dyn Verifier>,
    pub(crate) fetch: GuardedClient,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: ServiceSettings,
    pub(crate) rates: Rates,
    pub(crate) claimed: Cache<[u8; 32], Claimed>,
    pub(crate) barred: Barred,
    pub(crate) tickets: Tickets,
    /// What the tables hold of whether devices are connected, where this run has written it.
    pub(crate) noted: Mutex<Option<bool>>,
    pub(crate) meters: ServiceMeters,
    /// Held while an Application is started or stopped, so that the tables and the hub agree.
    pub(crate) switching: Mutex<()>,
}

impl PresenceService {
    /// The service, and the task of its writer, which the caller spawns and, after the service is gone, waits for.
    ///
    /// # Errors
    ///
    /// Why the database cannot be used, in one line.
    pub async fn open(parts: ServiceParts<'_>) -> Result<(Arc<Self>, WriterTask), StoreError> {
        let ServiceParts { database, verifier, fetch, clock, settings } = parts;
        let store = Store::open(database, clock.now()).await?;
        let warm_up = if store.had_devices_connected() { settings.warm_up } else { Duration::ZERO };
        let limits = HubLimits {
            grace: settings.grace,
            sockets_per_user: settings.sockets_per_user,
            kept: settings.kept,
        };
        let warm_at = clock.steady() + warm_up;
        let hub = Arc::new(Hub::new(Arc::clone(&clock), limits, store.epoch(), warm_at));
        let courier = Arc::new(HubNotifier(Arc::clone(&hub)));
        let (writer, task) = Writer::new(&store, courier, Arc::clone(&clock));
        let task = task.in_groups_of(settings.commit_group);
        let rates = Rates::new(&settings, &clock);
        let claimed = Cache::builder()
            .max_capacity(REMEMBERED_ASSERTIONS)
            .expire_after(crate::sessions::UntilExpiry(Arc::clone(&clock)))
            .build();
        let switching = Mutex::default();
        let presence = Self {
            store,
            writer,
            hub,
            verifier,
            fetch,
            settings,
            rates,
            claimed,
            barred: Barred::new(Arc::clone(&clock)),
            tickets: Tickets::default(),
            noted: Mutex::default(),
            switching,
            meters: ServiceMeters::default(),
            clock,
        };
        Ok((Arc::new(presence), task))
    }

    /// The limits and the mode.
    pub fn settings(&self) -> &ServiceSettings {
        &self.settings
    }

    /// Returns the injected clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Returns the wall-clock time.
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Returns the monotonic time.
    pub fn steady(&self) -> Steady {
        self.clock.steady()
    }

    /// A new socket from an address.
    ///
    /// # Errors
    ///
    /// `too_many_connections` where there were too many of late.
    pub fn admit(&self, address: IpAddr) -> Result<(), ApiError> {
        self.rates.connect(address).map_err(|slow_down| {
            let ko = ApiError::from(presence_protocol::Errno::TooManyConnections);
            slow_down.retry_after.map_or(ko.clone(), |seconds| ko.after(seconds))
        })
    }

    /// Whether devices of an earlier run may still be on their way back.
    pub fn is_warming_up(&self) -> bool {
        self.hub.is_warming_up()
    }

    /// How many device connections are open.
    pub fn connected_devices(&self) -> usize {
        self.hub.connected_devices()
    }

    /// Looks whether a database can be used, and whether a running server does. Changes nothing in it.
    ///
    /// # Errors
    ///
    /// Why not, in one line.
    pub async fn inspect_database(url: &str) -> Result<Inspection, StoreError> {
        Store::inspect(url).await
    }

    /// Copies a database to a new file, while a server uses it or not.
    ///
    /// # Errors
    ///
    /// Why not, in one line.
    pub async fn back_up_database(url: &str, to: &Path) -> Result<Backup, StoreError> {
        Store::back_up(url, to).await
    }

    /// Brings the metrics up to date that are looked up only when somebody reads them.
    pub fn measure(&self) {
        let rooms = self.hub.topics();
        let (users, mailboxes) = self.hub.users_and_mailboxes();
        self.meters.set(&Levels {
            devices: self.hub.connected_devices(),
            app_sockets: rooms.iter().map(|(_, room)| room.sockets()).sum(),
            users,
            writer: self.writer.waiting(),
            mailboxes,
            streams: rooms.iter().map(|(_, room)| room.read(Stream::log_len)).sum(),
        });
    }

    /// Ends the database's connections, so that all is in its one file. To be awaited at the very end, once the service is dropped and
    /// its writer has ended.
    pub fn closing(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let store = self.store.clone();
        async move { store.close().await }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}
