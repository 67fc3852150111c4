//! The calls of an application's back end: poll and notify.

use std::time::Duration;

use presence_client::{AppServiceApi, Errno, NewNotification, Puid, QueryResult, Status};
use presence_tests::{Application, Server, ServerOptions, Socket};

use super::api_of;

fn service(server: &Server, application: &Application) -> AppServiceApi {
    api_of(server).app_service(application.id(), application.api_key.as_str().into())
}

/// An unknown PUID.
const UNKNOWN_PUID: Puid = Puid::from_bits(7);

#[tokio::test]
async fn presence_of_any_number_of_uids_is_returned_in_order() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    let service = service(&server, &application);
    let mut asked = vec![UNKNOWN_PUID; 700];
    asked[499] = alice;
    let entries = service.presence(&asked).await.unwrap();
    assert_eq!(entries.len(), asked.len());
    for (uid, entry) in asked.into_iter().zip(entries) {
        match entry {
            QueryResult::Known(presence) => {
                assert_eq!((presence.uid, uid, presence.status), (alice, alice, Status::Online));
            }
            QueryResult::Unknown(text) => {
                assert_eq!((text, uid), (UNKNOWN_PUID.to_string(), UNKNOWN_PUID));
            }
            QueryResult::Refused { uid, error } => panic!("{uid}: {error}"),
        }
    }
    // An empty list of uids would otherwise be a request for all users.
    assert_eq!(service.presence(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn all_present_users_are_read_page_by_page() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let mut expected = vec![alice];
    let mut devices = vec![Socket::device_of(&server, "alice", "phone", "online").await];
    for name in ["bob", "carol"] {
        expected.push(server.sign_in(name).await.grant(&application).await);
        devices.push(Socket::device_of(&server, name, "phone", "online").await);
    }
    expected.sort_unstable();
    let service = service(&server, &application);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = service.presence_page(after, Some(2)).await.unwrap();
        assert!(page.presence.len() <= 2 && !page.warming_up);
        seen.extend(page.presence.iter().map(|presence| presence.uid));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, expected);
    let refused = service.presence_page(None, Some(0)).await.unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::InvalidField));
}

#[tokio::test]
async fn a_page_says_that_the_server_is_warming_up() {
    let mut server = Server::start(ServerOptions::default().with("warm-up-seconds", 60)).await;
    let (application, _, _) = server.application_with("alice").await;
    let _device = Socket::device_of(&server, "alice", "phone", "online").await;
    server.kill().await;
    server.restart().await;
    assert!(service(&server, &application).presence_page(None, None).await.unwrap().warming_up);
}

#[tokio::test]
async fn each_notification_is_answered_by_itself() {
    let server = Server::start_default().await;
    let (application, _, alice) = server.application_with("alice").await;
    let mut device = Socket::device_of(&server, "alice", "phone", "online").await;
    let service = service(&server, &application);
    let hello = NewNotification {
        action: "https://chat.example/".to_owned(),
        ..NewNotification::new(alice, "Hello")
    };
    let long = NewNotification::new(alice, "x".repeat(513));
    let results = service
        .notify(vec![hello, NewNotification::new(UNKNOWN_PUID, "Hello"), long])
        .await
        .unwrap();
    let id = results[0].as_ref().unwrap().id;
    assert_eq!(results[0].as_ref().unwrap().queue_size, 1);
    assert_eq!(results[1].as_ref().unwrap_err().errno(), Some(Errno::UnknownUid));
    assert_eq!(results[2].as_ref().unwrap_err().errno(), Some(Errno::InvalidField));
    let heard = device.receive_until(|frame| frame["notifications"].is_array()).await;
    let heard = &heard["notifications"][0];
    assert_eq!((&heard["message"], &heard["id"]), (&"Hello".into(), &id.to_string().into()));
    assert_eq!(heard["action"], "https://chat.example/");
    assert_eq!(service.notify(Vec::new()).await.unwrap(), []);
    let many = vec![NewNotification::new(alice, "Hello"); 501];
    assert_eq!(service.notify(many).await.unwrap_err().errno(), Some(Errno::TooLarge));
}

#[tokio::test]
async fn a_notification_with_a_key_is_queued_once_and_one_for_now_does_not_wait() {
    let server = Server::start_default().await;
    let (application, alice_user, alice) = server.application_with("alice").await;
    let service = service(&server, &application);
    let keyed = NewNotification {
        idempotency_key: "move 12".to_owned(),
        ..NewNotification::new(alice, "Your move")
    };
    let first = service.notify_one(keyed.clone()).await.unwrap();
    assert_eq!(service.notify_one(keyed.clone()).await.unwrap(), first);
    let other = NewNotification { message: "Another".to_owned(), ..keyed };
    let refused = service.notify_one(other).await.unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::InvalidField));
    let for_now =
        NewNotification { ttl: Some(Duration::ZERO), ..NewNotification::new(alice, "Now") };
    service.notify_one(for_now).await.unwrap();
    let for_a_moment = NewNotification {
        ttl: Some(Duration::from_mins(1)),
        ..NewNotification::new(alice, "Soon")
    };
    service.notify_one(for_a_moment).await.unwrap();
    let account = api_of(&server).user(alice_user.token.as_str().into()).account().await.unwrap();
    let waiting: Vec<_> = account
        .notifications
        .iter()
        .map(|waiting| (waiting.message.as_str(), waiting.expires_at - waiting.sent_at))
        .collect();
    assert_eq!(
        waiting,
        [("Your move", Duration::from_hours(24 * 30)), ("Soon", Duration::from_mins(1))]
    );
}

#[tokio::test]
async fn a_wrong_key_and_an_inactive_application_are_different_errors() {
    let server = Server::start_default().await;
    let (application, alice, _) = server.application_with("alice").await;
    let api = api_of(&server);
    let errno = |key: &str| {
        let service = api.app_service(application.id(), key.into());
        async move { service.presence(&[UNKNOWN_PUID]).await.unwrap_err().errno() }
    };
    assert_eq!(errno("no key").await, Some(Errno::InvalidApiKey));
    assert_eq!(errno(&alice.token).await, Some(Errno::Forbidden));
    application.deactivate().await;
    assert_eq!(errno(&application.api_key).await, Some(Errno::ApplicationNotActive));
}

#[tokio::test]
async fn too_many_notifications_are_refused_with_how_long_to_wait() {
    let options = ServerOptions::default().with("notify-burst", 1).with("notify-per-second", 1);
    let server = Server::start(options).await;
    let (application, _, alice) = server.application_with("alice").await;
    let service = service(&server, &application);
    let mut sent = 0;
    let slowed = loop {
        if let Err(error) = service.notify_one(NewNotification::new(alice, "Hello")).await {
            break error;
        }
        sent += 1;
        assert!(sent < 50, "there is no limit");
    };
    assert_eq!((slowed.errno(), slowed.retryable()), (Some(Errno::SlowDown), true));
    assert!(slowed.retry_after().is_some_and(|wait| !wait.is_zero()), "{slowed:?}");
}
