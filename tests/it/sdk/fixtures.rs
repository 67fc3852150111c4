//! Helpers of the SDK's tests: a phone and a back end that collect the events they receive.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use presence_client::{
    AppServiceChannel, AppServiceEvent, AppServiceEvents, AppServiceOptions, ConnectionState,
    Credential, CredentialError, CredentialProvider, CredentialReason, DeviceChannel, DeviceEvent,
    DeviceEvents, DeviceOptions, LiveNotification, PresenceMap, Puid, ServerUrl, Status, Timing,
};
use presence_tests::{Application, FaultProxy, RestClient, Server, TIMEOUT, email};
use serde_json::json;
use tokio::time::{sleep, timeout};

/// Returns short delays for what has to wait, and long limits for what must not time out on a busy
/// machine.
pub(crate) fn short_timing() -> Timing {
    Timing {
        backoff_floor: Duration::from_millis(20),
        backoff_ceiling: Duration::from_millis(200),
        stable_after: Duration::from_millis(500),
        heartbeat: Duration::from_millis(700),
        connect_timeout: Duration::from_secs(5),
        request_timeout: TIMEOUT,
        probe_timeout: Duration::from_millis(700),
    }
}

/// A credential provider with assertions of the development issuer, which counts its calls.
pub(crate) struct CountingProvider {
    rest: RestClient,
    name: String,
    calls: AtomicUsize,
}

impl CountingProvider {
    pub(crate) fn of(server: &Server, name: &str) -> Arc<Self> {
        let (rest, name) = (server.rest().clone(), name.to_owned());
        Arc::new(Self { rest, name, calls: AtomicUsize::new(0) })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl CredentialProvider for CountingProvider {
    fn credential(
        &self,
        _: CredentialReason,
    ) -> BoxFuture<'_, Result<Credential, CredentialError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let body = json!({"email": email(&self.name)});
        async move {
            let answer = self.rest.call("POST", "/dev/assertion").json(&body).await;
            let assertion = answer.ok()["assertion"].as_str().unwrap().to_owned();
            Ok(Credential::Assertion(assertion.into()))
        }
        .boxed()
    }
}

pub(crate) fn url(server: &Server) -> ServerUrl {
    server.url().parse().unwrap()
}

pub(crate) fn url_of(proxy: &FaultProxy) -> ServerUrl {
    format!("http://{}", proxy.address()).parse().unwrap()
}

/// A device channel, and the events that it received.
pub(crate) struct Phone {
    pub(crate) channel: DeviceChannel,
    pub(crate) events: DeviceEvents,
    pub(crate) states: Vec<ConnectionState>,
    pub(crate) notifications: Vec<LiveNotification>,
    /// A flag: each notification is acknowledged as it arrives.
    pub(crate) acknowledges: bool,
    taken: usize,
}

impl Phone {
    /// Opens a channel, and waits until the server knows its status.
    pub(crate) async fn of(server: &Server, name: &str) -> Self {
        let tokens = CountingProvider::of(server, name);
        let phone = Self::with(url(server), |options| options.credential_provider = Some(tokens));
        phone.wait_until_confirmed().await;
        phone
    }

    /// Opens a channel through a fault proxy.
    pub(crate) async fn through(proxy: &FaultProxy, server: &Server, name: &str) -> Self {
        let tokens = CountingProvider::of(server, name);
        let phone = Self::with(url_of(proxy), |options| options.credential_provider = Some(tokens));
        phone.wait_until_confirmed().await;
        phone
    }

    pub(crate) fn with(server: ServerUrl, change: impl FnOnce(&mut DeviceOptions)) -> Self {
        let mut options = DeviceOptions::new(server, "phone".parse().unwrap());
        options.timing = short_timing();
        change(&mut options);
        let (channel, events) = DeviceChannel::open(options).unwrap();
        let (states, notifications) = (Vec::new(), Vec::new());
        Self { channel, events, states, notifications, acknowledges: true, taken: 0 }
    }

    /// Waits until the server has confirmed everything.
    pub(crate) async fn wait_until_confirmed(&self) {
        within_limit("the confirmation", self.channel.confirmed()).await.unwrap();
    }

    /// Receives the next event, and records it.
    pub(crate) async fn receive(&mut self) -> Option<DeviceEvent> {
        let event = within_limit("an event", self.events.next()).await?;
        match &event {
            DeviceEvent::State(state) => self.states.push(state.clone()),
            DeviceEvent::Notification(notification) => {
                if self.acknowledges {
                    self.channel.acknowledge(notification.id);
                }
                self.notifications.push(notification.clone());
            }
            DeviceEvent::CredentialWanted(_) | _ => {}
        }
        Some(event)
    }

    /// Receives until the channel is in a state.
    pub(crate) async fn wait_for_state(
        &mut self,
        condition: impl Fn(&ConnectionState) -> bool,
    ) -> ConnectionState {
        loop {
            match self.receive().await {
                Some(DeviceEvent::State(state)) if condition(&state) => return state,
                Some(_) => {}
                None => panic!("the channel ended; its states were {:?}", self.states),
            }
        }
    }

    /// Receives until the next notification.
    pub(crate) async fn next_notification(&mut self) -> LiveNotification {
        while self.notifications.len() == self.taken {
            let received = self.receive().await;
            assert!(received.is_some(), "the channel ended; its states were {:?}", self.states);
        }
        self.taken += 1;
        self.notifications[self.taken - 1].clone()
    }

    /// Returns the events that have arrived already.
    pub(crate) fn pending(&mut self) -> Vec<DeviceEvent> {
        std::iter::from_fn(|| self.events.next().now_or_never().flatten()).collect()
    }
}

/// A back end's channel, and its map of presences.
pub(crate) struct BackEnd {
    pub(crate) channel: AppServiceChannel,
    pub(crate) events: AppServiceEvents,
    pub(crate) map: PresenceMap,
    /// The received events, except for the connection states.
    pub(crate) received: Vec<AppServiceEvent>,
}

impl BackEnd {
    /// Opens a channel, and waits for its snapshot.
    pub(crate) async fn of(server: &Server, application: &Application) -> Self {
        Self::with(url(server), application, |_| ()).await
    }

    /// Opens a channel through a fault proxy.
    pub(crate) async fn through(proxy: &FaultProxy, application: &Application) -> Self {
        Self::with(url_of(proxy), application, |_| ()).await
    }

    pub(crate) async fn with(
        server: ServerUrl,
        application: &Application,
        change: impl FnOnce(&mut AppServiceOptions),
    ) -> Self {
        let mut back_end = Self::open(server, application, change);
        while !back_end.map.is_live() {
            back_end.receive().await;
        }
        back_end
    }

    pub(crate) fn open(
        server: ServerUrl,
        application: &Application,
        change: impl FnOnce(&mut AppServiceOptions),
    ) -> Self {
        let key = application.api_key.clone().into();
        let mut options = AppServiceOptions::new(server, application.id(), key);
        options.timing = short_timing();
        change(&mut options);
        let (channel, events) = AppServiceChannel::open(options).unwrap();
        Self { channel, events, map: PresenceMap::new(), received: Vec::new() }
    }

    /// Receives the next event, records it, and applies it to the map.
    pub(crate) async fn receive(&mut self) -> Option<AppServiceEvent> {
        let event = within_limit("an event", self.events.next()).await?;
        self.record(&event);
        Some(event)
    }

    fn record(&mut self, event: &AppServiceEvent) {
        self.map.apply(event);
        if !matches!(event, AppServiceEvent::State(_)) {
            self.received.push(event.clone());
        }
    }

    /// Receives until the map shows a status.
    pub(crate) async fn wait_for_status(&mut self, uid: Puid, status: Status) {
        while self.map.status(&uid) != status {
            assert!(self.receive().await.is_some(), "the channel ended");
        }
    }

    /// Receives until the channel is in a state.
    pub(crate) async fn wait_for_state(
        &mut self,
        condition: impl Fn(&ConnectionState) -> bool,
    ) -> ConnectionState {
        loop {
            match self.receive().await {
                Some(AppServiceEvent::State(state)) if condition(&state) => return state,
                Some(_) => {}
                None => panic!("the channel ended"),
            }
        }
    }

    /// Returns the statuses of a user received so far, including those of snapshots.
    pub(crate) fn statuses_of(&self, uid: Puid) -> Vec<Status> {
        let presence = self.received.iter().flat_map(|event| match event {
            AppServiceEvent::Snapshot(snapshot) => snapshot.presence.clone(),
            AppServiceEvent::Updates(updates) => updates.presence.clone(),
            AppServiceEvent::State(_) | AppServiceEvent::Receipts(_) | _ => Vec::new(),
        });
        presence.filter(|presence| presence.uid == uid).map(|presence| presence.status).collect()
    }

    /// Returns true if a gap was received.
    pub(crate) fn received_gap(&self) -> bool {
        let gap = |event: &_| matches!(event, AppServiceEvent::Snapshot(snapshot) if snapshot.gap);
        self.received.iter().any(gap)
    }
}

/// Waits for a result that must come within the time limit.
pub(crate) async fn within_limit<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("{what} did not arrive in time"))
}

/// Polls a condition for which there is no event.
pub(crate) async fn poll_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !holds().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    within_limit(what, polling).await;
}
