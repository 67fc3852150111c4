//! The AppServices: their API keys, their streams, and queries of presence.

use std::net::IpAddr;
use std::sync::Arc;

use presence_core::Clock;
use presence_core::model::ApplicationState;
use presence_protocol::app::QueryResult;
use presence_protocol::{ApiError, AppId, Errno, PresenceUpdate as Update, Puid};
use presence_store::{FoundKey, Store, UsedThing, as_one_call};

use crate::attempts::{Attempt, AttemptCounter, CredentialKind};
use crate::errors::from_store;
use crate::hub::{Hub, NewReader, SubscribeError, Subscription};
use crate::rates::KeyedRateLimiter;
use crate::secret::{self, SecretKind};
use crate::settings::ServiceSettings;
use crate::socket_waker::SocketWaker;
use crate::uses::UseLog;

/// The number of PUIDs that one query reads, if all of an Application are needed.
const PUIDS_PER_PAGE: u64 = 5_000;
/// The maximum number of updates of one page of a poll.
pub const MAX_POLL_PAGE: usize = 500;

/// An AppService whose key was checked.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthenticatedAppService {
    /// The Application.
    pub app: AppId,
    key_id: i64,
    state: ApplicationState,
}

/// The Application that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestedApplication {
    /// The Application that the key belongs to.
    OfKey,
    /// The Application with this id.
    Id(AppId),
    /// A text that is not the id of an Application.
    Unknown,
}

/// The form in which an AppService reads its stream.
pub enum SubscribeMode {
    /// Single updates, as in the protocol of 2013.
    Plain,
    /// Batches with cursors, `presence.v1`.
    Paged {
        /// The cursor to resume at.
        cursor: Option<String>,
        /// Set if the AppService gets receipts.
        receipts: bool,
    },
}

/// A request to read the stream of an Application.
pub struct SubscribeRequest {
    /// The Application.
    pub app: RequestedApplication,
    /// The API key.
    pub key: Option<String>,
    /// The form of the stream.
    pub mode: SubscribeMode,
}

/// A page of presence.
#[derive(Debug)]
pub struct PresencePage {
    /// The updates.
    pub presence: Vec<Update>,
    /// The PUID after which the next page begins, if there is one.
    pub next: Option<Puid>,
}

/// Returns true if a credential has the prefix of an API key, valid or not.
pub fn looks_like_api_key(text: &str) -> bool {
    secret::has_prefix(SecretKind::LiveKey, text) || secret::has_prefix(SecretKind::TestKey, text)
}

/// The AppServices.
pub struct AppServices {
    store: Store,
    uses: Arc<UseLog>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    attempts: Arc<AttemptCounter>,
    /// The maximum number of sockets of an Application.
    max_sockets: usize,
    /// The rate of the frames that no other rate limits.
    frames: KeyedRateLimiter<AppId>,
    /// Set if keys of development mode are accepted.
    accepts_test_keys: bool,
}

impl AppServices {
    pub(crate) fn new(
        (store, uses): (Store, Arc<UseLog>),
        hub: Arc<Hub>,
        clock: Arc<dyn Clock>,
        attempts: Arc<AttemptCounter>,
        settings: &ServiceSettings,
    ) -> Self {
        let frames = KeyedRateLimiter::new(settings.frame_rate, Arc::clone(&clock));
        let (max_sockets, accepts_test_keys) = (settings.sockets_per_app, settings.development);
        Self { store, uses, hub, clock, attempts, max_sockets, frames, accepts_test_keys }
    }

    /// Counts a frame of an Application that no other rate limits.
    ///
    /// # Errors
    ///
    /// `slow_down`.
    pub fn check_frame(&self, app: AppId) -> Result<(), ApiError> {
        self.frames.check(&app)
    }

    /// Waits until such a frame may be handled.
    pub async fn wait_for_frame(&self, app: AppId) {
        self.frames.wait(&app).await;
    }

    /// Forgets the Applications that may send their full number of frames again.
    pub(crate) fn prune(&self) {
        self.frames.prune();
    }

    /// Checks the API key of an Application.
    ///
    /// # Errors
    ///
    /// `invalid_api_key` if the key or the Application is unknown, `application_not_active`,
    /// `slow_down`, `storage_unavailable`.
    pub async fn authenticate(
        &self,
        app: RequestedApplication,
        key: &str,
        client: IpAddr,
    ) -> Result<AuthenticatedAppService, ApiError> {
        let check = |attempt: Attempt| async move { self.check_key(&attempt, app, key).await };
        self.attempts.count(client, CredentialKind::Secret, check).await
    }

    /// Checks an API key and subscribes a socket to the stream of its Application.
    ///
    /// # Errors
    ///
    /// As [`AppServices::authenticate`], and `too_many_connections`.
    pub async fn subscribe(
        &self,
        request: SubscribeRequest,
        waker: Arc<SocketWaker>,
        client: IpAddr,
    ) -> Result<(AuthenticatedAppService, Subscription), ApiError> {
        let SubscribeRequest { app, key, mode } = request;
        let open = |attempt: Attempt| async move {
            let key = key.ok_or(Errno::InvalidApiKey)?;
            let before = self.store.forget_mark();
            let service = self.check_key(&attempt, app, &key).await?;
            let subscription = self.open_stream(&service, mode, waker).await?;
            // A revocation of the key or a deactivation between the check and the subscription did
            // not find this socket.
            if self.store.may_have_changed(service.app, before, self.clock.steady()) {
                self.check_key(&attempt, app, &key).await?;
            }
            Ok((service, subscription))
        };
        self.attempts.count(client, CredentialKind::Secret, open).await
    }

    /// Returns the presence of users, in the order of `uids`.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn query(
        &self,
        service: &AuthenticatedAppService,
        uids: Vec<Result<Puid, String>>,
    ) -> Result<Vec<QueryResult>, ApiError> {
        let known: Vec<Puid> = uids.iter().flatten().copied().collect();
        let live = as_one_call(self.store.live_puids(service.app, &known)).await;
        let live = live.map_err(from_store)?;
        let stream = (service.app, service.state);
        let updates = self.hub.query(stream, &live).await.map_err(from_store)?;
        let result = |uid: Result<Puid, String>| match uid {
            Ok(uid) => match updates.get(&uid) {
                Some(update) => QueryResult::Known(update.clone()),
                None => QueryResult::Unknown(uid.to_string()),
            },
            Err(text) => QueryResult::Unknown(text),
        };
        Ok(uids.into_iter().map(result).collect())
    }

    /// Returns a page of the users whom an Application may see and who are not offline. A page has
    /// at most [`MAX_POLL_PAGE`] users.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn poll(
        &self,
        service: &AuthenticatedAppService,
        after: Option<Puid>,
        limit: usize,
    ) -> Result<PresencePage, ApiError> {
        let limit = limit.clamp(1, MAX_POLL_PAGE);
        let stream = (service.app, service.state);
        let presence = self.hub.poll(stream, after, limit + 1).await;
        let mut presence: Vec<Update> = presence.map_err(from_store)?;
        self.note_check(service.app);
        let has_more = presence.len() > limit;
        presence.truncate(limit);
        let next = presence.last().filter(|_| has_more).map(|last| last.uid);
        Ok(PresencePage { presence, next })
    }

    /// Returns false for a key that a server in development mode made, unless this one is in
    /// development mode too.
    fn accepts_kind_of(&self, key: &str) -> bool {
        self.accepts_test_keys || !secret::has_prefix(SecretKind::TestKey, key)
    }

    async fn check_key(
        &self,
        _attempt: &Attempt,
        app: RequestedApplication,
        key: &str,
    ) -> Result<AuthenticatedAppService, ApiError> {
        let prefix = secret::key_prefix(key).filter(|_| self.accepts_kind_of(key));
        let prefix = prefix.ok_or(Errno::InvalidApiKey)?;
        let digest = secret::sha256(key);
        let found = self.store.find_key((prefix, digest), self.clock.steady()).await;
        let is_requested = |id: AppId| match app {
            RequestedApplication::OfKey => true,
            RequestedApplication::Id(requested) => requested == id,
            RequestedApplication::Unknown => false,
        };
        let key = found.map_err(from_store)?.filter(|key| is_requested(key.app));
        let FoundKey { id: key_id, app, state } = key.ok_or(Errno::InvalidApiKey)?;
        if state != ApplicationState::Active {
            return Err(Errno::ApplicationNotActive.into());
        }
        self.uses.note(UsedThing::Key(key_id), self.clock.now());
        Ok(AuthenticatedAppService { app, key_id, state })
    }

    async fn open_stream(
        &self,
        service: &AuthenticatedAppService,
        mode: SubscribeMode,
        waker: Arc<SocketWaker>,
    ) -> Result<Subscription, ApiError> {
        let reader = match mode {
            SubscribeMode::Plain => NewReader::Plain(self.all_puids(service.app).await?),
            SubscribeMode::Paged { cursor, receipts } => NewReader::Paged { cursor, receipts },
        };
        let stream = (service.app, service.state);
        let socket = (service.key_id, waker);
        let subscribed = self.hub.subscribe(stream, socket, self.max_sockets, reader).await;
        self.note_check(service.app);
        subscribed.map_err(|error| match error {
            SubscribeError::TooManySockets(_) => {
                ApiError::from(Errno::TooManyConnections).with_retry_after(1.0)
            }
            SubscribeError::Store(error) => from_store(error),
        })
    }

    /// Records that an Application has checked all its users. A server that is alone knows it from
    /// the stream.
    fn note_check(&self, app: AppId) {
        if matches!(&*self.hub, Hub::Shared(_)) {
            self.uses.note(UsedThing::App(app), self.clock.now());
        }
    }

    async fn all_puids(&self, app: AppId) -> Result<Vec<Puid>, ApiError> {
        let mut all: Vec<Puid> = Vec::new();
        loop {
            let after = all.last().copied();
            let page = self.store.page_of_puids(app, after, PUIDS_PER_PAGE).await;
            let page = page.map_err(from_store)?;
            let is_last = (page.len() as u64) < PUIDS_PER_PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}
