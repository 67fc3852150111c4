//! The channel of a back end without faults.

use std::time::Duration;

use presence_client::{
    AppServiceEvent, ConnectionState, EndReason, Errno, Error, NewNotification, OfflineCause,
    QueryResult, ReceiptState, Status,
};
use presence_tests::{Server, ServerOptions, Socket};
use serde_json::json;

use super::fixtures::{BackEnd, Phone, url, within_limit};

#[tokio::test]
async fn a_back_end_receives_a_snapshot_and_then_each_change() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let bob = server.sign_in("bob").await.grant(&application).await;
    let mut first = Socket::device_of(&server, "alice", "phone", "unavailable").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    assert_eq!(back_end.map.status(&alice), Status::Unavailable);
    assert_eq!(back_end.map.len(), 1);
    let _second = Socket::device_of(&server, "bob", "phone", "online").await;
    back_end.wait_for_status(bob, Status::Online).await;
    first.report("online").await;
    back_end.wait_for_status(alice, Status::Online).await;
    assert!(!back_end.received_gap());
}

#[tokio::test]
async fn the_cause_of_a_change_to_offline_is_received() {
    let server = Server::start(ServerOptions::default().with("grace-seconds", 0)).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    for cause in [OfflineCause::Left, OfflineCause::Lost] {
        let phone = Socket::device_of(&server, "alice", "phone", "online").await;
        back_end.wait_for_status(uid, Status::Online).await;
        if cause == OfflineCause::Left {
            phone.close(None).await;
        } else {
            drop(phone);
        }
        back_end.wait_for_status(uid, Status::Offline).await;
        let Some(AppServiceEvent::Updates(updates)) = back_end.received.last() else {
            panic!("{:?}", back_end.received)
        };
        assert_eq!(updates.presence[0].cause, Some(cause));
    }
}

#[tokio::test]
async fn a_revocation_is_received() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    alice.revoke(&application).await;
    loop {
        let Some(event) = back_end.receive().await else { panic!("the channel ended") };
        let AppServiceEvent::Updates(updates) = event else { continue };
        let revoked = updates.presence.iter().find(|presence| presence.uid == uid).unwrap();
        assert!(revoked.revoked && revoked.status == Status::Offline);
        break;
    }
}

#[tokio::test]
async fn notifications_are_answered_one_by_one_and_their_receipts_come() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut phone = Phone::of(&server, "alice").await;
    let mut back_end =
        BackEnd::with(url(&server), &application, |options| options.receipts = true).await;
    let unknown = presence_client::Puid::from_bits(7);
    let items = vec![
        NewNotification::new(uid, "first"),
        NewNotification::new(unknown, "nobody"),
        NewNotification {
            ttl: Some(Duration::from_mins(1)),
            ..NewNotification::new(uid, "second")
        },
        NewNotification {
            action: "javascript:alert(1)".to_owned(),
            ..NewNotification::new(uid, "x")
        },
    ];
    let results = back_end.channel.notify(items).await.unwrap();
    let errnos: Vec<_> =
        results.iter().map(|result| result.as_ref().err().and_then(Error::errno)).collect();
    assert_eq!(errnos, [None, Some(Errno::UnknownUid), None, Some(Errno::InvalidField)]);
    let taken = [phone.next_notification().await, phone.next_notification().await];
    let ids: Vec<_> = results.into_iter().flatten().map(|queued| queued.id).collect();
    assert_eq!(taken.map(|notification| notification.id).to_vec(), ids);
    let mut acked = Vec::new();
    while acked.len() < 2 {
        let Some(event) = back_end.receive().await else { panic!("the channel ended") };
        let AppServiceEvent::Receipts(receipts) = event else { continue };
        assert!(receipts.receipts.iter().all(|receipt| receipt.state == ReceiptState::Acked));
        acked.extend(receipts.receipts.into_iter().map(|receipt| receipt.id));
    }
    assert_eq!(acked, ids);
}

#[tokio::test]
async fn more_notifications_than_fit_into_a_frame_are_sent_in_several() {
    let options = ServerOptions::default().with("notify-burst", 10_000);
    let server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    let back_end = BackEnd::of(&server, &application).await;
    let long = "\u{1f35c}".repeat(512);
    let items = (0..1_201).map(|_| NewNotification::new(uid, long.clone())).collect();
    let results = within_limit("an answer", back_end.channel.notify(items)).await.unwrap();
    assert_eq!(results.len(), 1_201);
    assert!(results.iter().all(Result::is_ok));
}

#[tokio::test]
async fn an_idempotency_key_is_kept() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let back_end = BackEnd::of(&server, &application).await;
    let item = NewNotification {
        idempotency_key: "order 7".to_owned(),
        ..NewNotification::new(uid, "Your order is ready")
    };
    let first = back_end.channel.notify_one(item.clone()).await.unwrap();
    assert_eq!(back_end.channel.notify_one(item.clone()).await.unwrap(), first);
    let other = NewNotification { message: "Another".to_owned(), ..item };
    let refused = back_end.channel.notify_one(other).await.unwrap_err();
    assert_eq!((refused.errno(), refused.retryable()), (Some(Errno::InvalidField), false));
}

#[tokio::test]
async fn a_query_answers_in_order() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let back_end = BackEnd::of(&server, &application).await;
    let unknown = presence_client::Puid::from_bits(7);
    let answers = back_end.channel.query(vec![unknown, uid]).await.unwrap();
    assert_eq!(answers[0], QueryResult::Unknown(unknown.to_string()));
    assert!(
        matches!(&answers[1], QueryResult::Known(presence) if presence.status == Status::Online)
    );
}

#[tokio::test]
async fn a_back_end_that_was_stopped_resumes_at_its_cursor() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    device.report("unavailable").await;
    let cursor = loop {
        if let Some(AppServiceEvent::Updates(updates)) = back_end.receive().await {
            break updates.cursor;
        }
    };
    back_end.channel.close().await;
    device.report("online").await;
    let mut later =
        BackEnd::with(url(&server), &application, |options| options.cursor = cursor).await;
    later.wait_for_status(uid, Status::Online).await;
    let snapshots = later.received.iter().filter(|e| matches!(e, AppServiceEvent::Snapshot(_)));
    assert_eq!(snapshots.count(), 0, "{:?}", later.received);
}

#[tokio::test]
async fn a_wrong_key_is_not_retried_and_a_right_one_set_later_is_used() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut back_end = BackEnd::open(url(&server), &application, |options| {
        options.api_key = "prs_test_nothing".to_owned().into();
    });
    let asked = back_end.channel.notify_one(NewNotification::new(uid, "Hello"));
    let refused = within_limit("an answer", asked).await.unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::InvalidApiKey));
    back_end.wait_for_state(|state| matches!(state, ConnectionState::SignedOut(_))).await;
    back_end.channel.set_api_key(application.api_key.clone().into());
    back_end.wait_for_state(|state| *state == ConnectionState::Connected).await;
    assert!(back_end.channel.notify_one(NewNotification::new(uid, "Hello")).await.is_ok());
}

#[tokio::test]
async fn a_deactivated_application_ends_its_channels() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    application.deactivate().await;
    back_end
        .wait_for_state(|state| *state == ConnectionState::Ended(EndReason::ApplicationClosed))
        .await;
    assert!(back_end.receive().await.is_none());
    let ended = back_end.channel.notify_one(NewNotification::new(uid, "Hello")).await;
    assert_eq!(ended.unwrap_err(), Error::Ended(EndReason::ApplicationClosed));
}

#[tokio::test]
async fn a_back_end_that_does_not_pull_still_gets_replies_and_later_the_newest_state() {
    let options = ServerOptions::default().with("status-burst", 100_000);
    let server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let mut back_end = BackEnd::of(&server, &application).await;
    back_end.received.clear();
    for turn in 0..2_000 {
        device.ask(json!({"status": "online", "message": turn.to_string()})).await;
    }
    assert!(back_end.channel.query(vec![uid]).await.is_ok());
    let message =
        |back_end: &BackEnd| back_end.map.get(&uid).and_then(|presence| presence.message.clone());
    while message(&back_end).as_deref() != Some("1999") {
        back_end.receive().await;
    }
    assert!(back_end.received.len() <= 10, "{} events", back_end.received.len());
}

#[tokio::test]
async fn a_dropped_call_does_not_affect_other_calls() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let back_end = BackEnd::of(&server, &application).await;
    for _ in 0..200 {
        let call = back_end.channel.notify_one(NewNotification::new(uid, "Hello"));
        tokio::select! {
            biased;
            _ = call => {}
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(back_end.channel.query(vec![uid]).await.is_ok());
}
