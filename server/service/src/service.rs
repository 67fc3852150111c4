//! The service as a whole: creates its parts, one for each subject, and gives access to them.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use presence_core::{Clock, Steady, UnixMillis};
use presence_identity::Verifier;
use presence_identity::fetch::GuardedClient;
use presence_identity::oidc::SharedSignIns;
use presence_protocol::{ApiError, Errno};
use presence_store::{Backup, DatabaseCopy, Inspection, Store, StoreError, Writer, WriterTask};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::acme_records::AcmeRecords;
use crate::activation::ActivationLock;
use crate::api_keys::ApiKeys;
use crate::app_services::AppServices;
use crate::applications::Applications;
use crate::attempts::AttemptCounter;
use crate::clock::SystemClock;
use crate::devices::Devices;
use crate::domains::Domains;
use crate::grants::Grants;
use crate::hub::{Hub, HubFigures};
use crate::maintenance::Maintenance;
use crate::meters::{GaugeValues, ServiceMeters};
use crate::notifications::{GrantNotifyRate, Notifications};
use crate::opening::{OpenDatabase, open_hub};
use crate::operator::Operator;
use crate::operator_access::{OperatorAccess, OperatorTokenDigest};
use crate::presence_flag::PresenceFlag;
use crate::proofs::{CountedProofs, ProofVerifier};
use crate::rates::{KeyedRateLimiter, rate_limited_address};
use crate::sessions::Sessions;
use crate::settings::ServiceSettings;
use crate::shared_sign_ins;
use crate::used_assertions::MAX_REMEMBERED;
use crate::user_changes::UserChanges;
use crate::uses::UseLog;

/// The parts that the service is made of.
pub struct ServiceParts {
    /// The database.
    pub database: OpenDatabase,
    /// The verifier of assertions.
    pub verifier: Arc<dyn Verifier>,
    /// The HTTP client that fetches the domain keys of Applications.
    pub domain_client: GuardedClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The limits and the mode.
    pub settings: ServiceSettings,
}

/// The Presence service.
pub struct PresenceService {
    shared: SharedParts,
    connect_rate: KeyedRateLimiter<IpAddr>,
    attempts: Arc<AttemptCounter>,
    sessions: Sessions,
    devices: Devices,
    accounts: Accounts,
    grants: Grants,
    applications: Applications,
    api_keys: Arc<ApiKeys>,
    domains: Domains,
    app_services: AppServices,
    notifications: Notifications,
    operator: Operator,
    maintenance: Maintenance,
    meters: ServiceMeters,
}

/// The parts that most others use.
struct SharedParts {
    store: Store,
    writer: Writer,
    uses: Arc<UseLog>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    settings: Arc<ServiceSettings>,
    /// The rate of the notifications of each grant, which the writer checks.
    grant_rate: Arc<GrantNotifyRate>,
    /// The rate of the changes of each user.
    changes: Arc<UserChanges>,
}

impl SharedParts {
    fn database(&self) -> (Store, Writer) {
        (self.store.clone(), self.writer.clone())
    }

    fn records(&self) -> (Store, Arc<UseLog>) {
        (self.store.clone(), Arc::clone(&self.uses))
    }

    fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    fn settings(&self) -> Arc<ServiceSettings> {
        Arc::clone(&self.settings)
    }

    fn proofs(&self, verifier: Arc<dyn Verifier>) -> CountedProofs {
        let (hub, clock, settings) = (self.hub(), self.clock(), self.settings());
        let verifier = ProofVerifier::new(verifier, self.records(), hub, clock, settings);
        let attempts = Arc::new(AttemptCounter::new(&self.settings, &self.clock));
        CountedProofs { attempts, verifier: Arc::new(verifier) }
    }

    fn devices(&self, proofs: CountedProofs, presence_flag: Arc<PresenceFlag>) -> Devices {
        let database = (self.store.clone(), self.writer.clone(), self.clock());
        Devices::new(
            database,
            self.hub(),
            proofs,
            presence_flag,
            (&self.settings, Arc::clone(&self.changes)),
        )
    }

    fn grants(&self) -> Grants {
        let (database, changes) = (self.database(), Arc::clone(&self.changes));
        Grants::new(database, self.hub(), self.clock(), changes, &self.settings)
    }

    fn maintenance(&self, presence_flag: Arc<PresenceFlag>) -> Maintenance {
        let (clock, uses) = (self.clock(), Arc::clone(&self.uses));
        let interval = self.settings.settle_interval;
        Maintenance::new(self.database(), self.hub(), clock, (presence_flag, uses), interval)
    }
}

impl PresenceService {
    /// Returns the service of an open database, and the task of its writer. The caller spawns
    /// the task, and waits for it after the service is dropped.
    ///
    /// # Errors
    ///
    /// The reason why the database cannot be used.
    pub async fn open(parts: ServiceParts) -> Result<(Arc<Self>, WriterTask), StoreError> {
        let ServiceParts { database, verifier, domain_client, clock, settings } = parts;
        let store = database.into_store();
        // This large future must not be part of the caller's.
        let (hub, notifier) = Box::pin(open_hub(&store, &clock, &settings)).await?;
        let hub = Arc::new(hub);
        let (writer, task) = Writer::new(&store, notifier, Arc::clone(&clock));
        let grant_rate = Arc::new(GrantNotifyRate::new(&settings, Arc::clone(&clock)));
        let limit = Arc::<GrantNotifyRate>::clone(&grant_rate);
        let task = task.in_groups_of(settings.commit_group).with_notify_limit(limit);
        let writer = writer.with_max_grants(settings.grants_per_user);
        let changes = Arc::new(UserChanges::new(&settings, Arc::clone(&clock)));
        let ended = store.ended_assertions(clock.now(), MAX_REMEMBERED as u64).await?;
        let (uses, settings) = (Arc::default(), Arc::new(settings));
        let shared = SharedParts { store, writer, uses, hub, clock, settings, grant_rate, changes };
        let proofs = shared.proofs(verifier);
        proofs.verifier.used().restore(ended).await?;
        Ok((Arc::new(Self::new(shared, proofs, domain_client)), task))
    }

    fn new(shared: SharedParts, proofs: CountedProofs, domain_client: GuardedClient) -> Self {
        let (store, settings) = (|| shared.store.clone(), &shared.settings);
        let attempts = Arc::clone(&proofs.attempts);
        let presence_flag = Arc::new(PresenceFlag::new(store()));
        let activation = Arc::new(ActivationLock::new(store(), shared.hub()));
        let keys = Arc::new(ApiKeys::new(shared.records(), shared.hub(), shared.clock(), settings));
        Self {
            connect_rate: KeyedRateLimiter::new(settings.connect_rate, shared.clock()),
            sessions: Sessions::new(
                shared.records(),
                shared.hub(),
                shared.clock(),
                proofs.clone(),
                shared.settings(),
            ),
            devices: shared.devices(proofs, Arc::clone(&presence_flag)),
            accounts: Accounts::new(shared.database(), shared.hub(), shared.clock()),
            grants: shared.grants(),
            applications: Applications::new(
                shared.database(),
                shared.clock(),
                Arc::clone(&activation),
                Arc::clone(&keys),
                shared.settings(),
            ),
            api_keys: keys,
            domains: Domains::new(store(), domain_client, shared.clock(), settings),
            app_services: AppServices::new(
                shared.records(),
                shared.hub(),
                shared.clock(),
                Arc::clone(&attempts),
                settings,
            ),
            notifications: Notifications::new(
                shared.writer.clone(),
                shared.clock(),
                shared.settings(),
            ),
            operator: Operator::new(store(), shared.hub(), shared.clock(), activation),
            maintenance: shared.maintenance(presence_flag),
            meters: ServiceMeters::default(),
            attempts,
            shared,
        }
    }

    /// Returns the sessions of users.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the devices of users.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// Returns the accounts of users.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Returns the grants of users.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Returns the Applications of developers.
    pub fn applications(&self) -> &Applications {
        &self.applications
    }

    /// Returns the API keys of Applications.
    pub fn api_keys(&self) -> &ApiKeys {
        &self.api_keys
    }

    /// Returns the verification of domains.
    pub fn domains(&self) -> &Domains {
        &self.domains
    }

    /// Returns the AppServices.
    pub fn app_services(&self) -> &AppServices {
        &self.app_services
    }

    /// Returns the notifications of AppServices.
    pub fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// Returns the operator's actions.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Returns what the sign-ins of browsers at providers have in common with those at other
    /// servers, `None` if this server is alone. The key is derived from `secret`. Without one it is
    /// in the database.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn shared_sign_ins(
        &self,
        secret: Option<&SecretString>,
    ) -> Result<Option<SharedSignIns>, StoreError> {
        shared_sign_ins::of(&self.shared.store, self.clock(), secret).await
    }

    /// Returns the records of ACME.
    pub fn acme_records(&self) -> AcmeRecords {
        AcmeRecords::new(self.shared.store.clone(), self.clock())
    }

    /// Returns the access of the operator whose token has this digest.
    pub fn operator_access(
        &self,
        token: OperatorTokenDigest,
        session_lifetime: Duration,
    ) -> OperatorAccess {
        OperatorAccess::new(token, session_lifetime, (&self.shared.store, self.clock()))
    }

    /// Returns the limits and the mode.
    pub fn settings(&self) -> &ServiceSettings {
        &self.shared.settings
    }

    /// Returns the injected clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.shared.clock)
    }

    /// Returns the wall-clock time.
    pub fn now(&self) -> UnixMillis {
        self.shared.clock.now()
    }

    /// Returns the monotonic time.
    pub fn steady(&self) -> Steady {
        self.shared.clock.steady()
    }

    /// Counts a new socket of an address.
    ///
    /// # Errors
    ///
    /// `too_many_connections` if the address has opened too many.
    pub fn check_connect_rate(&self, address: IpAddr) -> Result<(), ApiError> {
        self.connect_rate.check(&rate_limited_address(address)).map_err(|slow_down| {
            let error = ApiError::from(Errno::TooManyConnections);
            slow_down.retry_after.map_or(error.clone(), |seconds| error.with_retry_after(seconds))
        })
    }

    /// Returns true while devices of an earlier run may still reconnect.
    pub fn is_warming_up(&self) -> bool {
        self.shared.hub.is_warming_up()
    }

    /// Returns the number of open device connections.
    pub fn connected_devices(&self) -> usize {
        self.shared.hub.connected_devices()
    }

    /// Runs the maintenance of the hub, such as the end of grace times, until it is stopped.
    pub async fn run_hub_maintenance(&self, stop: CancellationToken) {
        self.maintenance.maintain_hub(&stop).await;
    }

    /// Writes the noted settlements from time to time until it is stopped.
    pub async fn run_settlement_writes(&self, stop: CancellationToken) {
        self.maintenance.write_settlements(&stop).await;
    }

    /// Runs the maintenance of the database until it is stopped.
    pub async fn run_database_maintenance(&self, stop: CancellationToken) {
        self.maintenance.maintain_database(&stop, || self.prune()).await;
    }

    /// Updates the metrics that are only computed when they are read.
    pub fn update_gauges(&self) {
        let HubFigures { app_sockets, users, mailboxes, streams } = self.shared.hub.figures();
        self.meters.set_server_name(self.shared.hub.server_name());
        self.meters.set(&GaugeValues {
            devices: self.shared.hub.connected_devices(),
            app_sockets,
            users,
            writer: self.shared.writer.waiting(),
            mailboxes,
            streams,
            credentials: self.shared.store.credential_figures(),
        });
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    ///
    /// The error of the database.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.shared.store.ping().await
    }

    /// Returns the future that closes the connections of the database, so that its file is
    /// complete. It is awaited last, after the service is dropped and its writer has ended.
    pub fn close_database(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let store = self.shared.store.clone();
        async move { store.close().await }
    }

    /// Checks whether a database can be used, and whether a running server uses it. Changes nothing
    /// in it.
    ///
    /// # Errors
    ///
    /// The reason why the database cannot be used.
    pub async fn inspect_database(url: &str) -> Result<Inspection, StoreError> {
        Store::inspect(url).await
    }

    /// Copies a database to a new file. A server may use the database meanwhile.
    ///
    /// # Errors
    ///
    /// The reason why the copy failed.
    pub async fn back_up_database(url: &str, to: &Path) -> Result<Backup, StoreError> {
        Store::back_up(url, to).await
    }

    /// Copies a SQLite database to a PostgreSQL database without users. No server may use either.
    ///
    /// # Errors
    ///
    /// The reason why the copy failed: then it has left no row.
    pub async fn copy_database(url: &str, to: &str) -> Result<DatabaseCopy, StoreError> {
        Store::copy(url, to, SystemClock::default().now()).await
    }

    fn prune(&self) {
        self.connect_rate.prune();
        self.attempts.prune();
        self.devices.prune();
        self.shared.uses.prune(self.now());
        self.app_services.prune();
        self.domains.prune();
        self.notifications.prune();
        self.shared.grant_rate.prune();
        self.shared.changes.prune();
    }
}
