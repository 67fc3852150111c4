//! The rate of all changes that a user makes to what Applications see.

use std::time::Duration;

use presence_protocol::Errno;
use presence_tests::{Application, RestCall, Server, ServerOptions, Socket, User};
use serde_json::{Value, json};

/// Starts a server on which a user may make six changes at once, and then one a second.
async fn start() -> Server {
    let options =
        ServerOptions::default().with("user-changes-burst", 6).with("user-changes-per-second", 1);
    Server::start(options).await
}

fn pause(user: &User, application: &Application, paused: bool) -> RestCall {
    let path = format!("/grants/{}", application.appid);
    user.call("PATCH", &path).json(&json!({ "paused": paused }))
}

/// Uses up the user's changes by pausing and resuming. Pausing is never refused.
async fn use_up(user: &User, application: &Application) -> Value {
    for _ in 0..200 {
        pause(user, application, true).await.ok();
        let resumed = pause(user, application, false).await;
        if resumed.status != 200 {
            resumed.assert_error(Errno::SlowDown);
            return resumed.json();
        }
    }
    panic!("there is no limit")
}

#[tokio::test]
async fn pausing_is_never_refused_and_resuming_waits_for_both() {
    let server = start().await;
    let (application, alice, _) = server.application_with("alice").await;
    let refusal = use_up(&alice, &application).await;
    let wait = refusal["retry_after"].as_f64().unwrap();
    assert!(0.0 < wait && wait <= 2.0, "{refusal}");
    let resume = async || {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if pause(&alice, &application, false).await.status == 200 {
                return;
            }
        }
        panic!("the user cannot resume")
    };
    resume().await;
}

#[tokio::test]
async fn grants_and_new_devices_share_the_rate_and_hiding_is_always_accepted() {
    let server = start().await;
    let (application, alice, _) = server.application_with("alice").await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    use_up(&alice, &application).await;
    let grant = format!("/grant/{}", application.appid);
    alice.call("POST", &grant).json(&json!({})).await.assert_error(Errno::SlowDown);
    let mut tablet = Socket::device(&server).await;
    tablet.send(json!({"token": alice.token, "status": "online", "device": "tablet"})).await;
    tablet.expect_error(Errno::SlowDown).await;
    phone.send(json!({"status": "online", "message": "Hi"})).await;
    phone.expect_error(Errno::SlowDown).await;
    for frame in [
        json!({"type": "visibility", "application_ids": [application.appid]}),
        json!({"type": "visibility", "application_ids": []}),
        json!({"status": "offline"}),
        json!({"status": "offline"}),
    ] {
        phone.send(frame).await;
        phone.expect_ok().await;
    }
    // The list is wider again, which shows the device.
    phone.send(json!({"type": "visibility", "application_ids": [application.appid]})).await;
    phone.expect_error(Errno::SlowDown).await;
    pause(&alice, &application, true).await.ok();
    alice.call("DELETE", "/devices/phone").await.ok();
    alice.revoke(&application).await;
    // Another user is not affected.
    server.sign_in("bob").await.grant(&application).await;
}

#[tokio::test]
async fn device_names_in_rotation_share_the_rate_of_their_user() {
    let server = start().await;
    let (_, alice, _) = server.application_with("alice").await;
    for n in 0..200 {
        let mut device = Socket::device(&server).await;
        let name = format!("device-{n}");
        let reply =
            device.ask(json!({"token": alice.token, "status": "online", "device": name})).await;
        if reply["result"] != "OK" {
            assert_eq!(reply["errno"], Errno::SlowDown.number(), "{reply}");
            return;
        }
        device.close(Some(1000)).await;
    }
    panic!("there is no limit");
}
