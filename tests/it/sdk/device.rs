//! A device channel without faults.

use presence_client::{
    ConnectionState, Credential, CredentialReason, DeviceEvent, EndReason, Errno, Status,
    StatusText,
};
use presence_tests::{Server, ServerOptions, Socket};
use serde_json::json;

use super::fixtures::{BackEnd, CountingProvider, Phone, poll_until, url, within_limit};

#[tokio::test]
async fn a_status_with_its_text_reaches_the_application() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    let phone = Phone::of(&server, "alice").await;
    back_end.wait_for_status(uid, Status::Online).await;
    phone.channel.set_status(Status::Unavailable, Some(StatusText::try_from("at lunch").unwrap()));
    back_end.wait_for_status(uid, Status::Unavailable).await;
    let shown = back_end.map.get(&uid).unwrap();
    assert_eq!(shown.message.as_deref(), Some("at lunch"));
}

#[tokio::test]
async fn a_visibility_hides_the_device_from_the_others() {
    let server = Server::start_default().await;
    let (seeing, alice, uid) = server.application_with("alice").await;
    let other = server.application_named(&seeing.owner, "Other").await;
    let elsewhere = alice.grant(&other).await;
    let tokens = CountingProvider::of(&server, "alice");
    let phone = Phone::with(url(&server), |options| {
        options.credential_provider = Some(tokens);
        options.visibility = Some(vec![seeing.id()]);
    });
    phone.wait_until_confirmed().await;
    assert_eq!(seeing.presence_of(uid).await["status"], "online");
    assert_eq!(other.presence_of(elsewhere).await["status"], "offline");
    phone.channel.set_visibility(vec![other.id()]);
    phone.wait_until_confirmed().await;
    assert_eq!(seeing.presence_of(uid).await["status"], "offline");
    assert_eq!(other.presence_of(elsewhere).await["status"], "online");
}

#[tokio::test]
async fn only_an_acknowledged_notification_is_not_delivered_again() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut phone = Phone::of(&server, "alice").await;
    for message in ["taken", "left"] {
        application.notify(&json!([{"uid": uid, "message": message}])).await.ok();
    }
    let taken = phone.next_notification().await;
    assert_eq!((taken.message.as_str(), taken.source.as_str()), ("taken", "Chat"));
    phone.wait_until_confirmed().await;
    phone.acknowledges = false;
    let left = phone.next_notification().await;
    phone.wait_until_confirmed().await;
    phone.channel.close().await;
    let mut later = Phone::of(&server, "alice").await;
    assert_eq!(later.next_notification().await.id, left.id);
    later.wait_until_confirmed().await;
    assert!(later.pending().is_empty());
}

#[tokio::test]
async fn a_closed_channel_ends_the_presence_at_once_and_a_dropped_one_too() {
    let server = Server::start(ServerOptions::default().with("grace-seconds", 3600)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    let mut phone = Phone::of(&server, "alice").await;
    back_end.wait_for_status(uid, Status::Online).await;
    phone.channel.close().await;
    phone.wait_for_state(|state| *state == ConnectionState::Ended(EndReason::Closed)).await;
    assert!(phone.receive().await.is_none() && phone.receive().await.is_none());
    back_end.wait_for_status(uid, Status::Offline).await;
    let phone = Phone::of(&server, "alice").await;
    back_end.wait_for_status(uid, Status::Online).await;
    drop(phone);
    back_end.wait_for_status(uid, Status::Offline).await;
}

#[tokio::test]
async fn a_dropped_channel_leaves_no_task_or_socket() {
    let server = Server::start_default().await;
    let assertion = server.assertion("alice").await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let connected = Phone::with(url(&server), |options| {
        options.credential = Some(Credential::Assertion(assertion.into()));
    });
    connected.wait_until_confirmed().await;
    let nowhere = Phone::with("http://127.0.0.1:1".parse().unwrap(), |options| {
        options.credential = Some(Credential::Token("t".to_owned().into()));
    });
    let waiting = Phone::with(url(&server), |_| ());
    assert!(tasks() > before);
    drop((connected, nowhere, waiting));
    poll_until("the tasks are gone", async || tasks() <= before).await;
}

#[tokio::test]
async fn a_newer_connection_of_the_same_device_ends_the_older_one() {
    let server = Server::start_default().await;
    let mut older = Phone::of(&server, "alice").await;
    let newer = Phone::of(&server, "alice").await;
    older.wait_for_state(|state| *state == ConnectionState::Ended(EndReason::Replaced)).await;
    assert!(older.receive().await.is_none());
    newer.channel.set_status(Status::Unavailable, None);
    newer.wait_until_confirmed().await;
    assert_eq!(newer.channel.state(), ConnectionState::Connected);
}

#[tokio::test]
async fn a_device_ended_by_its_user_does_not_reconnect() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let mut phone = Phone::of(&server, "alice").await;
    alice.call("DELETE", "/devices/phone").await.ok();
    phone.wait_for_state(|state| *state == ConnectionState::Ended(EndReason::EndedByUser)).await;
    assert!(phone.receive().await.is_none());
}

#[tokio::test]
async fn a_session_is_renewed_again_and_again_without_a_reconnect() {
    let server = Server::start(ServerOptions::default().with("session-seconds", 2)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let tokens = CountingProvider::of(&server, "alice");
    let source = std::sync::Arc::clone(&tokens);
    let mut phone = Phone::with(url(&server), |options| options.credential_provider = Some(source));
    phone.wait_for_state(|state| *state == ConnectionState::Connected).await;
    let begun = std::time::Instant::now();
    poll_until("it was renewed three times", async || tokens.calls() >= 4).await;
    assert!(begun.elapsed().as_secs() >= 2, "it was renewed all the time");
    phone.wait_until_confirmed().await;
    let lost = phone.pending();
    assert!(lost.is_empty(), "{lost:?}");
    assert_eq!(application.presence_of(uid).await["status"], "online");
}

#[tokio::test]
async fn a_session_that_expires_requests_a_credential_and_continues_with_it() {
    let server = Server::start(ServerOptions::default().with("session-seconds", 1)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut phone = Phone::with(url(&server), |_| ());
    phone
        .wait_for_state(|state| {
            *state == ConnectionState::CredentialWanted(CredentialReason::First)
        })
        .await;
    let assertion = server.assertion("alice").await;
    phone.channel.set_credential(Credential::Assertion(assertion.into()));
    phone
        .wait_for_state(|state| {
            *state == ConnectionState::CredentialWanted(CredentialReason::Expired)
        })
        .await;
    phone.channel.set_status(Status::Unavailable, None);
    let assertion = server.assertion("alice").await;
    phone.channel.set_credential(Credential::Assertion(assertion.into()));
    phone.wait_for_state(|state| *state == ConnectionState::Connected).await;
    poll_until("the last status is known", async || {
        application.presence_of(uid).await["status"] == "unavailable"
    })
    .await;
}

#[tokio::test]
async fn a_bearer_token_opens_a_channel_and_signing_out_ends_it() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let mut phone = Phone::with(url(&server), |options| {
        options.credential = Some(Credential::Token(alice.token.clone().into()));
    });
    phone.wait_for_state(|state| *state == ConnectionState::Connected).await;
    alice.call("DELETE", "/session").await.ok();
    phone
        .wait_for_state(|state| {
            *state == ConnectionState::CredentialWanted(CredentialReason::Expired)
        })
        .await;
    phone.channel.set_credential(Credential::Token(alice.token.clone().into()));
    let state = phone.wait_for_state(|state| matches!(state, ConnectionState::SignedOut(_))).await;
    let ConnectionState::SignedOut(error) = state else { unreachable!() };
    assert!([Errno::SessionExpired, Errno::NotAuthenticated].contains(&error.errno), "{error:?}");
}

#[tokio::test]
async fn the_last_of_many_rate_limited_statuses_is_sent() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let phone = Phone::of(&server, "alice").await;
    for turn in 0..12 {
        let text = StatusText::try_from(turn.to_string()).unwrap();
        phone.channel.set_status(Status::Online, Some(text));
        // Each status is sent before the next is set, until the server asks the client to slow
        // down.
        let settling = within_limit("a confirmation", phone.channel.confirmed());
        drop(tokio::time::timeout(std::time::Duration::from_millis(50), settling).await);
    }
    phone.wait_until_confirmed().await;
    assert_eq!(application.presence_of(uid).await["message"], "11");
    assert_eq!(phone.channel.state(), ConnectionState::Connected);
}

#[tokio::test]
async fn a_phone_that_does_not_pull_for_a_while_loses_no_notification() {
    // No ping wakes the channel meanwhile.
    let options = ServerOptions::default()
        .with("notify-burst", 1000)
        .with("verifications-burst", 100)
        .with("ping-seconds", 3600);
    let server = Server::start(options).await;
    let owner = server.sign_in("developer").await;
    let alice = server.sign_in("alice").await;
    let mut sent = Vec::new();
    let tokens = CountingProvider::of(&server, "alice");
    let mut phone = Phone::with(url(&server), |options| {
        options.credential_provider = Some(tokens);
        options.timing.heartbeat = std::time::Duration::from_hours(1);
    });
    phone.wait_until_confirmed().await;
    // More than fit into the event queue of the SDK at once: the rest stays on the server.
    for number in 0..13 {
        let application = server.application_named(&owner, &format!("App {number}")).await;
        let uid = alice.grant(&application).await;
        let items: Vec<_> = (0..100)
            .map(|item| json!({"uid": uid, "message": format!("{number} {item}")}))
            .collect();
        application.notify(&json!(items)).await.ok();
        sent.extend((0..100).map(|item| format!("{number} {item}")));
    }
    // None is acknowledged before all have arrived: there is room because the application pulls,
    // and nothing else wakes the channel.
    phone.acknowledges = false;
    let mut taken: Vec<String> = Vec::new();
    while taken.len() < sent.len() {
        taken.push(phone.next_notification().await.message);
    }
    for notification in &phone.notifications {
        phone.channel.acknowledge(notification.id);
    }
    phone.wait_until_confirmed().await;
    assert!(phone.pending().iter().all(|event| matches!(event, DeviceEvent::State(_))));
    sent.sort();
    taken.sort();
    assert_eq!(taken, sent);
    let mut socket = Socket::device_of(&server, "alice", "other", "online").await;
    socket.expect_no_frame().await;
}
