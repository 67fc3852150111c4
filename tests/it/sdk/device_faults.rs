//! A device channel when the network or the server fails: after each fault Applications see the
//! last status that was set, and no notification is lost or shown twice.

use std::time::Duration;

use presence_client::{AppVisibility, ConnectionState, DeviceEvent, Error, Status, StatusText};
use presence_tests::{Application, FaultProxy, Server, ServerOptions, StoppedServer};
use serde_json::json;

use super::parts::{BackEnd, Phone, Tokens, quick, until, url_of};

/// Returns options with a grace period that never ends, in which a broken connection must not be
/// seen.
fn patient() -> ServerOptions {
    ServerOptions::default().with("grace-seconds", 3600).with("warm-up-seconds", 5)
}

/// A phone behind a fault proxy, and a back end that watches it.
struct Scene {
    server: Server,
    cutter: FaultProxy,
    application: Application,
    uid: presence_client::Puid,
    phone: Phone,
    back_end: BackEnd,
}

impl Scene {
    async fn set() -> Self {
        Self::set_with(patient()).await
    }

    async fn set_with(options: ServerOptions) -> Self {
        let server = Server::start(options).await;
        let (application, _, uid) = server.application_with("alice").await;
        let cutter = FaultProxy::to(&server).await;
        let phone = Phone::through(&cutter, &server, "alice").await;
        let mut back_end = BackEnd::of(&server, &application).await;
        back_end.sees(uid, Status::Online).await;
        Self { server, cutter, application, uid, phone, back_end }
    }

    fn wish(&self, text: &str) {
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
    async fn is_well_again(&mut self, text: &str, notifications: &[&str]) {
        self.phone.is_settled().await;
        self.back_end.sees(self.uid, Status::Unavailable).await;
        let seen = self.application.presence_of(self.uid).await;
        assert_eq!((&seen["status"], &seen["message"]), (&json!("unavailable"), &json!(text)));
        for _ in notifications {
            self.phone.takes().await;
        }
        self.phone.is_settled().await;
        let more = self.phone.pending();
        assert!(more.iter().all(|event| matches!(event, DeviceEvent::State(_))), "{more:?}");
        let mut taken: Vec<_> = self.phone.notifications.iter().map(|n| &*n.message).collect();
        taken.sort_unstable();
        assert_eq!(taken, notifications);
    }

    fn nobody_noticed(&self) {
        let heard = self.back_end.heard_of(self.uid);
        assert!(!heard.contains(&Status::Offline), "{heard:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_reset_is_not_noticed_by_anybody() {
    let mut scene = Scene::set().await;
    for turn in ["1", "2", "3"] {
        let before = scene.cutter.connections();
        scene.cutter.reset();
        scene.wish(turn);
        scene.notify(&[turn]).await;
        until("it comes back", async || scene.cutter.connections() > before).await;
        scene.phone.is_settled().await;
    }
    scene.is_well_again("3", &["1", "2", "3"]).await;
    scene.nobody_noticed();
}

#[tokio::test]
async fn a_connection_that_ends_without_a_good_bye_is_not_noticed_by_anybody() {
    let mut scene = Scene::set().await;
    scene.cutter.hang_up();
    scene.wish("after");
    scene.notify(&["1"]).await;
    scene.is_well_again("after", &["1"]).await;
    scene.nobody_noticed();
}

#[tokio::test]
async fn a_half_open_connection_is_left() {
    let mut scene = Scene::set().await;
    scene.cutter.half_close();
    scene.wish("after");
    scene.notify(&["1"]).await;
    scene.is_well_again("after", &["1"]).await;
    scene.nobody_noticed();
}

#[tokio::test]
async fn a_connection_that_carries_nothing_is_noticed_within_two_heartbeats() {
    let mut scene = Scene::set().await;
    scene.phone.is(|state| *state == ConnectionState::Connected).await;
    scene.cutter.stall();
    let begun = std::time::Instant::now();
    let waiting = |state: &ConnectionState| matches!(state, ConnectionState::Waiting { .. });
    let state = scene.phone.is(waiting).await;
    assert!(matches!(state, ConnectionState::Waiting { reason: Error::TimedOut, .. }), "{state:?}");
    // The timers of a busy machine may fire a little late.
    assert!(begun.elapsed() <= 2 * quick().heartbeat + Duration::from_secs(2));
    scene.wish("after");
    scene.notify(&["1"]).await;
    scene.cutter.carry();
    scene.is_well_again("after", &["1"]).await;
    scene.nobody_noticed();
}

#[tokio::test]
async fn a_slow_network_is_enough() {
    let mut scene = Scene::set().await;
    scene.cutter.throttle();
    scene.wish("through the slow one");
    scene.notify(&["1", "2"]).await;
    scene.is_well_again("through the slow one", &["1", "2"]).await;
    scene.nobody_noticed();
}

#[tokio::test]
async fn on_another_network_a_dead_connection_is_left_long_before_the_heartbeat() {
    let server = Server::start(patient()).await;
    let (application, _, uid) = server.application_with("alice").await;
    let cutter = FaultProxy::to(&server).await;
    let tokens = Tokens::of(&server, "alice");
    let mut phone = Phone::with(url_of(&cutter), |options| {
        options.credential_provider = Some(tokens);
        options.timing.heartbeat = Duration::from_hours(1);
    });
    phone.is_settled().await;
    cutter.stall();
    phone.channel.set_status(Status::Unavailable, None);
    phone.channel.network_changed();
    phone.is(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    cutter.carry();
    phone.is_settled().await;
    assert_eq!(application.presence_of(uid).await["status"], "unavailable");
    // A live connection is kept.
    let connections = cutter.connections();
    phone.channel.set_app_visibility(AppVisibility::Background);
    phone.channel.set_app_visibility(AppVisibility::Foreground);
    phone.channel.network_changed();
    phone.channel.set_status(Status::Online, None);
    phone.is_settled().await;
    // The pong arrived in time.
    tokio::time::sleep(2 * quick().probe_timeout).await;
    phone.channel.set_status(Status::Unavailable, None);
    phone.is_settled().await;
    assert_eq!(
        (cutter.connections(), phone.channel.state()),
        (connections, ConnectionState::Connected)
    );
}

#[tokio::test]
async fn a_server_that_is_killed_and_started_again_knows_the_last_wish() {
    let mut scene = Scene::set().await;
    scene.notify(&["1"]).await;
    scene.phone.is_settled().await;
    scene.server.kill().await;
    scene.wish("while it was gone");
    scene.phone.is(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    scene.server.restart_in_place().await;
    scene.notify(&["2"]).await;
    scene.is_well_again("while it was gone", &["1", "2"]).await;
    scene.nobody_noticed();
}

#[tokio::test]
async fn a_server_that_drains_is_come_back_to() {
    let mut scene = Scene::set().await;
    scene.notify(&["1"]).await;
    assert_eq!(scene.server.terminate().await, StoppedServer::With(0));
    scene.wish("while it was gone");
    scene.server.restart_in_place().await;
    scene.is_well_again("while it was gone", &["1"]).await;
    scene.nobody_noticed();
}

#[tokio::test]
async fn a_server_that_restarts_by_itself_is_come_back_to() {
    let mut scene = Scene::set().await;
    scene.server.signal("USR2").await;
    scene.server.stopped().await;
    scene.wish("while it was gone");
    scene.server.restart_in_place().await;
    scene.is_well_again("while it was gone", &[]).await;
}

#[tokio::test]
async fn a_status_refused_for_its_rate_is_said_when_the_time_has_come() {
    let options = patient().with("status-burst", 1).with("status-per-second", 2);
    let mut scene = Scene::set_with(options).await;
    for turn in 0..20 {
        scene.wish(&turn.to_string());
        tokio::task::yield_now().await;
    }
    scene.is_well_again("19", &[]).await;
    assert_eq!(scene.cutter.connections(), 1);
}

#[tokio::test]
async fn a_user_with_too_many_sockets_waits_for_room() {
    let scene = Scene::set_with(patient().with("sockets-per-user", 1)).await;
    let tokens = Tokens::of(&scene.server, "alice");
    let mut second = Phone::with(url_of(&scene.cutter), |options| {
        options.device = "tablet".parse().unwrap();
        options.credential_provider = Some(tokens);
    });
    second.is(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    scene.phone.channel.close().await;
    second.is_settled().await;
}
