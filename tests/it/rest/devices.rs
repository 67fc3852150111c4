//! The connected devices.

use presence_protocol::Errno;
use presence_tests::{Server, Socket, SocketRequest, User};
use serde_json::{Value, json};

#[tokio::test]
async fn devices_are_listed_with_their_reports() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    assert_eq!(alice.call("GET", "/devices").await.ok(), json!({"devices": []}));
    let first_frame = json!({"status": "unavailable", "message": "Busy", "device": "phone"});
    let _phone =
        Socket::open_authenticated(&server, SocketRequest::device(), "alice", first_frame).await;
    let listed = alice.call("GET", "/devices").await.ok();
    let device = &listed["devices"][0];
    assert_eq!((&device["device"], &device["status"]), (&json!("phone"), &json!("unavailable")));
    assert_eq!((&device["message"], &device["connected"]), (&json!("Busy"), &json!(true)));
    let bob = server.sign_in("bob").await;
    assert_eq!(bob.call("GET", "/devices").await.ok(), json!({"devices": []}));
}

#[tokio::test]
async fn only_the_user_can_end_a_device() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let bob = server.sign_in("bob").await;
    bob.call("DELETE", "/devices/phone").await.assert_error(Errno::NotFound);
    alice.call("DELETE", "/devices/tablet").await.assert_error(Errno::NotFound);
    phone.expect_no_frame().await;
    alice.call("DELETE", "/devices/phone").await.ok();
    assert_eq!(phone.closed().await, Some(4005));
    alice.call("DELETE", "/devices/phone").await.assert_error(Errno::NotFound);
    assert_eq!(alice.call("GET", "/devices").await.ok()["devices"], Value::Array(Vec::new()));
}

/// Opens a device with a credential. Returns its socket and the reply to the first frame.
async fn open_lost(server: &Server, (kind, text): (&str, &str)) -> (Socket, Value) {
    let mut socket = Socket::device(server).await;
    let reply = socket.ask(json!({kind: text, "device": "lost", "status": "online"})).await;
    (socket, reply)
}

async fn end_lost(user: &User) -> Value {
    user.call("DELETE", "/devices/lost").await.ok()
}

#[tokio::test]
async fn an_ended_device_opens_again_after_a_new_sign_in_only() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let (thief, older) =
        (server.sign_in_for("alice", "device").await, server.sign_in_for("alice", "device").await);
    let assertion = server.assertion("alice").await;
    for (proof, refused) in [
        (("token", thief.token.as_str()), Errno::SessionExpired),
        (("assertion", assertion.as_str()), Errno::InvalidAssertion),
    ] {
        let (mut lost, opened) = open_lost(&server, proof).await;
        assert_eq!(opened["result"], "OK", "{opened}");
        assert_eq!(end_lost(&alice).await["session_kept"], false);
        assert_eq!(lost.closed().await, Some(4005));
        let (_, again) = open_lost(&server, proof).await;
        assert_eq!(again["errno"], refused.number(), "{again}");
        // Another session that is older does not open the name either.
        for older in [&older, &alice] {
            let (_, other) = open_lost(&server, ("token", &older.token)).await;
            assert_eq!(other["errno"], Errno::SessionExpired.number(), "{other}");
        }
        let fresh = server.sign_in_for("alice", "device").await;
        let (lost, opened) = open_lost(&server, ("token", &fresh.token)).await;
        assert_eq!(opened["result"], "OK", "{opened}");
        lost.close(None).await;
    }
    thief.call("GET", "/account").await.assert_error(Errno::SessionExpired);
    older.call("GET", "/account").await.ok();
}

#[tokio::test]
async fn an_ended_device_does_not_come_back_after_a_restart() {
    let mut server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let older = server.sign_in_for("alice", "device").await;
    let assertion = server.assertion("alice").await;
    let proofs = [
        (("token", older.token.as_str()), Errno::SessionExpired),
        (("assertion", assertion.as_str()), Errno::InvalidAssertion),
    ];
    let (mut lost, opened) = open_lost(&server, proofs[1].0).await;
    assert_eq!(opened["result"], "OK", "{opened}");
    end_lost(&alice).await;
    assert_eq!(lost.closed().await, Some(4005));
    server.kill().await;
    server.restart_in_place().await;
    for (proof, refused) in proofs {
        let (_, again) = open_lost(&server, proof).await;
        assert_eq!(again["errno"], refused.number(), "{again}");
    }
    let fresh = server.sign_in_for("alice", "device").await;
    let (_lost, opened) = open_lost(&server, ("token", &fresh.token)).await;
    assert_eq!(opened["result"], "OK", "{opened}");
}

#[tokio::test]
async fn a_device_that_is_ended_in_its_grace_time_does_not_come_back() {
    let server = Server::start_default().await;
    let (alice, thief) =
        (server.sign_in("alice").await, server.sign_in_for("alice", "device").await);
    let (lost, _) = open_lost(&server, ("token", &thief.token)).await;
    drop(lost);
    alice.wait_until_lost("lost").await;
    end_lost(&alice).await;
    let (_, again) = open_lost(&server, ("token", &thief.token)).await;
    assert_eq!(again["errno"], Errno::SessionExpired.number(), "{again}");
}

#[tokio::test]
async fn an_earlier_session_of_an_ended_device_ends_too() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let earlier = server.sign_in_for("alice", "device").await;
    let later = server.sign_in_for("alice", "device").await;
    let (_replaced, _) = open_lost(&server, ("token", &earlier.token)).await;
    let (_lost, _) = open_lost(&server, ("token", &later.token)).await;
    end_lost(&alice).await;
    for session in [earlier, later] {
        session.call("GET", "/session").await.assert_error(Errno::SessionExpired);
    }
}

#[tokio::test]
async fn a_user_who_ends_the_own_device_stays_signed_in() {
    let server = Server::start_default().await;
    let alice = server.sign_in("alice").await;
    let (mut lost, _) = open_lost(&server, ("token", &alice.token)).await;
    let assertion = server.assertion("alice").await;
    assert_eq!(lost.ask(json!({"assertion": assertion, "status": "online"})).await["result"], "OK");
    assert_eq!(end_lost(&alice).await["session_kept"], true);
    assert_eq!(lost.closed().await, Some(4005));
    alice.call("GET", "/session").await.ok();
    let (_, by_assertion) = open_lost(&server, ("assertion", &assertion)).await;
    assert_eq!(by_assertion["errno"], Errno::InvalidAssertion.number(), "{by_assertion}");
    let (_, again) = open_lost(&server, ("token", &alice.token)).await;
    assert_eq!(again["result"], "OK", "{again}");
}
