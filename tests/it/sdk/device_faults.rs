//! A device channel when the network or the server fails: after each fault Applications see the
//! last status that was set, and no notification is lost or shown twice.

use std::time::Duration;

use presence_client::{AppVisibility, ConnectionState, DeviceEvent, Error, Status, StatusText};
use presence_tests::{Application, FaultProxy, Server, ServerOptions, StoppedServer};
use serde_json::json;

use super::fixtures::{BackEnd, CountingProvider, Phone, poll_until, short_timing, url_of};

/// Returns options with a grace period that never ends, in which a broken connection must not be
/// seen.
fn long_grace() -> ServerOptions {
    ServerOptions::default().with("grace-seconds", 3600).with("warm-up-seconds", 5)
}

/// A phone behind a fault proxy, and a back end that watches it.
struct DeviceScenario {
    server: Server,
    proxy: FaultProxy,
    application: Application,
    uid: presence_client::Puid,
    phone: Phone,
    back_end: BackEnd,
}

impl DeviceScenario {
    async fn start() -> Self {
        Self::start_with(long_grace()).await
    }

    async fn start_with(options: ServerOptions) -> Self {
        let server = Server::start(options).await;
        let (application, _, uid) = server.application_with("alice").await;
        let proxy = FaultProxy::to(&server).await;
        let phone = Phone::through(&proxy, &server, "alice").await;
        let mut back_end = BackEnd::of(&server, &application).await;
        back_end.wait_for_status(uid, Status::Online).await;
        Self { server, proxy, application, uid, phone, back_end }
    }

    fn set_status(&self, text: &str) {
        let text = StatusText::try_from(text).unwrap();
        self.phone.channel.set_status(Status::Unavailable, Some(text));
    }

    async fn notify(&self, messages: &[&str]) {
        let items: Vec<_> =
            messages.iter().map(|message| json!({"uid": self.uid, "message": message})).collect();
        self.application.notify(&json!(items)).await.ok();
    }

    /// Asserts that the Application sees the last status, and that the phone receives exactly these
    /// notifications, each once.
    async fn assert_recovered(&mut self, text: &str, notifications: &[&str]) {
        self.phone.wait_until_confirmed().await;
        self.back_end.wait_for_status(self.uid, Status::Unavailable).await;
        let seen = self.application.presence_of(self.uid).await;
        assert_eq!((&seen["status"], &seen["message"]), (&json!("unavailable"), &json!(text)));
        for _ in notifications {
            self.phone.next_notification().await;
        }
        self.phone.wait_until_confirmed().await;
        let more = self.phone.pending();
        assert!(more.iter().all(|event| matches!(event, DeviceEvent::State(_))), "{more:?}");
        let mut taken: Vec<_> = self.phone.notifications.iter().map(|n| &*n.message).collect();
        taken.sort_unstable();
        assert_eq!(taken, notifications);
    }

    fn assert_never_offline(&self) {
        let received = self.back_end.statuses_of(self.uid);
        assert!(!received.contains(&Status::Offline), "{received:?}");
    }
}

#[tokio::test]
async fn a_reset_connection_does_not_make_the_user_offline() {
    let mut scenario = DeviceScenario::start().await;
    for round in ["1", "2", "3"] {
        let before = scenario.proxy.connections();
        scenario.proxy.reset();
        scenario.set_status(round);
        scenario.notify(&[round]).await;
        poll_until("it reconnects", async || scenario.proxy.connections() > before).await;
        scenario.phone.wait_until_confirmed().await;
    }
    scenario.assert_recovered("3", &["1", "2", "3"]).await;
    scenario.assert_never_offline();
}

#[tokio::test]
async fn a_connection_that_ends_without_a_close_frame_does_not_make_the_user_offline() {
    let mut scenario = DeviceScenario::start().await;
    scenario.proxy.hang_up();
    scenario.set_status("after");
    scenario.notify(&["1"]).await;
    scenario.assert_recovered("after", &["1"]).await;
    scenario.assert_never_offline();
}

#[tokio::test]
async fn a_half_open_connection_is_replaced() {
    let mut scenario = DeviceScenario::start().await;
    scenario.proxy.half_close();
    scenario.set_status("after");
    scenario.notify(&["1"]).await;
    scenario.assert_recovered("after", &["1"]).await;
    scenario.assert_never_offline();
}

#[tokio::test]
async fn a_connection_that_carries_nothing_is_noticed_within_two_heartbeats() {
    let mut scenario = DeviceScenario::start().await;
    scenario.phone.wait_for_state(|state| *state == ConnectionState::Connected).await;
    scenario.proxy.stall();
    let begun = std::time::Instant::now();
    let waiting = |state: &ConnectionState| matches!(state, ConnectionState::Waiting { .. });
    let state = scenario.phone.wait_for_state(waiting).await;
    assert!(matches!(state, ConnectionState::Waiting { reason: Error::TimedOut, .. }), "{state:?}");
    // The timers of a busy machine may fire a little late.
    assert!(begun.elapsed() <= 2 * short_timing().heartbeat + Duration::from_secs(2));
    scenario.set_status("after");
    scenario.notify(&["1"]).await;
    scenario.proxy.resume_traffic();
    scenario.assert_recovered("after", &["1"]).await;
    scenario.assert_never_offline();
}

#[tokio::test]
async fn a_slow_network_is_sufficient() {
    let mut scenario = DeviceScenario::start().await;
    scenario.proxy.throttle();
    scenario.set_status("through the slow one");
    scenario.notify(&["1", "2"]).await;
    scenario.assert_recovered("through the slow one", &["1", "2"]).await;
    scenario.assert_never_offline();
}

#[tokio::test]
async fn after_a_network_change_a_dead_connection_is_replaced_before_the_heartbeat() {
    let server = Server::start(long_grace()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let proxy = FaultProxy::to(&server).await;
    let tokens = CountingProvider::of(&server, "alice");
    let mut phone = Phone::with(url_of(&proxy), |options| {
        options.credential_provider = Some(tokens);
        options.timing.heartbeat = Duration::from_hours(1);
    });
    phone.wait_until_confirmed().await;
    proxy.stall();
    phone.channel.set_status(Status::Unavailable, None);
    phone.channel.network_changed();
    phone.wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    proxy.resume_traffic();
    phone.wait_until_confirmed().await;
    assert_eq!(application.presence_of(uid).await["status"], "unavailable");
    // A live connection is kept.
    let connections = proxy.connections();
    phone.channel.set_app_visibility(AppVisibility::Background);
    phone.channel.set_app_visibility(AppVisibility::Foreground);
    phone.channel.network_changed();
    phone.channel.set_status(Status::Online, None);
    phone.wait_until_confirmed().await;
    // The pong arrived in time.
    tokio::time::sleep(2 * short_timing().probe_timeout).await;
    phone.channel.set_status(Status::Unavailable, None);
    phone.wait_until_confirmed().await;
    assert_eq!(
        (proxy.connections(), phone.channel.state()),
        (connections, ConnectionState::Connected)
    );
}

#[tokio::test]
async fn a_killed_and_restarted_server_gets_the_last_status() {
    let mut scenario = DeviceScenario::start().await;
    scenario.notify(&["1"]).await;
    scenario.phone.wait_until_confirmed().await;
    scenario.server.kill().await;
    scenario.set_status("while it was gone");
    scenario.phone.wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    scenario.server.restart_in_place().await;
    scenario.notify(&["2"]).await;
    scenario.assert_recovered("while it was gone", &["1", "2"]).await;
    scenario.assert_never_offline();
}

#[tokio::test]
async fn the_device_reconnects_after_a_drain() {
    let mut scenario = DeviceScenario::start().await;
    scenario.notify(&["1"]).await;
    assert_eq!(scenario.server.terminate().await, StoppedServer::With(0));
    scenario.set_status("while it was gone");
    scenario.server.restart_in_place().await;
    scenario.assert_recovered("while it was gone", &["1"]).await;
    scenario.assert_never_offline();
}

#[tokio::test]
async fn the_device_reconnects_after_a_server_restart() {
    let mut scenario = DeviceScenario::start().await;
    scenario.server.signal("USR2").await;
    scenario.server.stopped().await;
    scenario.set_status("while it was gone");
    scenario.server.restart_in_place().await;
    scenario.assert_recovered("while it was gone", &[]).await;
}

#[tokio::test]
async fn a_rate_limited_status_is_sent_when_the_limit_allows_it() {
    let options = long_grace().with("status-burst", 1).with("status-per-second", 2);
    let mut scenario = DeviceScenario::start_with(options).await;
    for round in 0..20 {
        scenario.set_status(&round.to_string());
        tokio::task::yield_now().await;
    }
    scenario.assert_recovered("19", &[]).await;
    assert_eq!(scenario.proxy.connections(), 1);
}

#[tokio::test]
async fn a_user_with_too_many_sockets_retries_until_one_is_free() {
    let scenario = DeviceScenario::start_with(long_grace().with("sockets-per-user", 1)).await;
    let tokens = CountingProvider::of(&scenario.server, "alice");
    let mut second = Phone::with(url_of(&scenario.proxy), |options| {
        options.device = "tablet".parse().unwrap();
        options.credential_provider = Some(tokens);
    });
    second.wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    scenario.phone.channel.close().await;
    second.wait_until_confirmed().await;
}
