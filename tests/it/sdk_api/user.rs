//! The calls of a user: sign in and out, grants, devices, account.

use presence_client::{Errno, Error, Scope, SecretString, Status, UnixMillis};
use presence_protocol::CloseCode;
use presence_tests::{Server, ServerOptions, Socket};
use serde_json::json;

use super::{api_of, sign_in};

#[tokio::test]
async fn a_user_signs_in_sees_the_session_and_signs_out() {
    let server = Server::start_default().await;
    let api = api_of(&server);
    let assertion = api.dev_assertion("alice@dev.localhost").await.unwrap();
    let signed_in = api.sign_in(assertion.clone(), Scope::Account).await.unwrap();
    assert_eq!(
        (signed_in.email.as_str(), signed_in.scope),
        ("alice@dev.localhost", Scope::Account)
    );
    let again = api.sign_in(assertion, Scope::Account).await;
    assert_eq!(again.unwrap_err().errno(), Some(Errno::InvalidAssertion));
    let alice = api.user(signed_in.token);
    let session = alice.session().await.unwrap();
    assert_eq!((session.email.as_str(), session.scope), ("alice@dev.localhost", Scope::Account));
    assert_eq!(session.expires_at, signed_in.expires_at);
    alice.sign_out().await.unwrap();
    let gone = alice.session().await.unwrap_err();
    assert_eq!((gone.errno(), gone.retryable()), (Some(Errno::SessionExpired), false));
}

#[tokio::test]
async fn a_user_lists_the_sessions_and_ends_others() {
    let server = Server::start_default().await;
    let api = api_of(&server);
    let (alice, bob) =
        (sign_in(&api, "alice", Scope::Account).await, sign_in(&api, "bob", Scope::Account).await);
    let assertion = api.dev_assertion("alice@dev.localhost").await.unwrap();
    let phone = api.sign_in(assertion, Scope::Device).await.unwrap();
    let mut socket = Socket::device(&server).await;
    let token = secrecy::ExposeSecret::expose_secret(&phone.token).to_owned();
    socket.send(json!({"token": token, "device": "phone", "status": "online"})).await;
    socket.expect_ok().await;
    let sessions = alice.sessions().await.unwrap();
    let seen: Vec<_> = sessions.iter().map(|one| (one.scope, one.current)).collect();
    assert_eq!(seen.len(), 2);
    assert!(seen.contains(&(Scope::Account, true)) && seen.contains(&(Scope::Device, false)));
    let other = sessions.iter().find(|one| !one.current).unwrap();
    assert_eq!(other.devices, ["phone".parse().unwrap()]);
    assert_eq!(other.expires_at, phone.expires_at);
    assert!(other.created_at < other.expires_at && !token.contains(&other.id));

    let own = sessions.iter().find(|one| one.current).unwrap();
    for (user, id) in [(&alice, own.id.as_str()), (&alice, "../x"), (&bob, other.id.as_str())] {
        let refused = user.end_session(id).await.unwrap_err();
        assert_eq!(refused.errno(), Some(Errno::NotFound), "{id}");
    }
    alice.end_session(&other.id).await.unwrap();
    socket.expect_close(CloseCode::NotAuthorised).await;
    let ended = api.user(phone.token).session().await.unwrap_err();
    assert_eq!(ended.errno(), Some(Errno::SessionExpired));

    let (second, third) =
        (sign_in(&api, "alice", Scope::Account).await, sign_in(&api, "alice", Scope::Device).await);
    let refused = third.sessions().await.unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::Forbidden));
    alice.end_other_sessions().await.unwrap();
    for ended in [second, third] {
        assert_eq!(ended.session().await.unwrap_err().errno(), Some(Errno::SessionExpired));
    }
    assert_eq!(alice.sessions().await.unwrap().len(), 1);
    assert!(bob.session().await.is_ok());
}

#[tokio::test]
async fn an_invalid_assertion_is_refused() {
    let server = Server::start_default().await;
    let api = api_of(&server);
    let errno = |error: Error| error.errno();
    let signed_in = api.sign_in("no~assertion".into(), Scope::Device).await;
    assert_eq!(signed_in.map(|_| ()).map_err(errno), Err(Some(Errno::InvalidAssertion)));
    let other_user = api.user("no token".into());
    assert_eq!(other_user.session().await.map_err(errno), Err(Some(Errno::NotAuthenticated)));
    let made = api.dev_assertion("alice@elsewhere.example").await;
    assert_eq!(made.map(|_| ()).map_err(errno), Err(Some(Errno::InvalidField)));
    let unsendable = api.user("two\r\nlines".into()).session().await.unwrap_err();
    assert!(matches!(unsendable, Error::InvalidArgument(_)));
    let unknown = api.sign_in(SecretString::from("a"), Scope::Unknown).await.unwrap_err();
    assert!(matches!(unknown, Error::InvalidArgument(_)));
}

#[tokio::test]
async fn a_server_that_is_not_in_development_makes_no_assertions() {
    let server = Server::start(ServerOptions::default().production()).await;
    let made = api_of(&server).dev_assertion("alice@dev.localhost").await;
    assert_eq!(made.unwrap_err().errno(), Some(Errno::NotFound));
}

#[tokio::test]
async fn a_device_session_can_read_and_change_nothing() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    let phone = sign_in(&api_of(&server), "alice", Scope::Device).await;
    assert_eq!(phone.session().await.unwrap().scope, Scope::Device);
    assert_eq!(phone.grants().await.unwrap().len(), 1);
    for refused in [
        phone.grant(application.id()).await.map(|_| ()),
        phone.set_paused(application.id(), true).await.map(|_| ()),
        phone.revoke(application.id()).await,
        phone.end_device(&"phone".parse().unwrap()).await,
        phone.erase_account().await,
    ] {
        assert_eq!(refused.unwrap_err().errno(), Some(Errno::Forbidden));
    }
}

#[tokio::test]
async fn a_grant_is_made_listed_paused_resumed_and_revoked() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let alice = sign_in(&api_of(&server), "alice", Scope::Account).await;
    assert_eq!(alice.grants().await.unwrap(), []);
    let granted = alice.grant(application.id()).await.unwrap();
    assert_eq!((granted.appid, &granted.redirect), (application.id(), &None));
    assert_eq!(alice.grant(application.id()).await.unwrap().uid, granted.uid);
    let seen = alice.grants().await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].appid, seen[0].uid), (application.id(), granted.uid));
    assert_eq!((seen[0].name.as_str(), &seen[0].domain), ("Chat", &application.domain.name()));
    assert!(!seen[0].paused && seen[0].granted_at > UnixMillis::default());
    assert_eq!(seen[0].last_accessed_at, None);
    assert!(alice.set_paused(application.id(), true).await.unwrap().paused);
    assert!(alice.grants().await.unwrap()[0].paused);
    assert!(!alice.set_paused(application.id(), false).await.unwrap().paused);
    alice.revoke(application.id()).await.unwrap();
    assert_eq!(alice.grants().await.unwrap(), []);
    let unknown = Some(Errno::UnknownApplication);
    assert_eq!(alice.revoke(application.id()).await.unwrap_err().errno(), unknown);
    assert_eq!(alice.set_paused(application.id(), true).await.unwrap_err().errno(), unknown);
    assert_ne!(alice.grant(application.id()).await.unwrap().uid, granted.uid);
}

#[tokio::test]
async fn a_grant_redirects_only_to_the_applications_domain() {
    let server = Server::start_default().await;
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let alice = sign_in(&api_of(&server), "alice", Scope::Account).await;
    let page = format!("http://{}/back", application.domain.name());
    let given = alice.grant_with_redirect(application.id(), &page, Some("a b&c")).await.unwrap();
    let (uid, redirect) = (given.uid, given.redirect.unwrap());
    let query = redirect.strip_prefix(&format!("{page}?")).unwrap();
    assert!(query.contains(&format!("Presence-UID={uid}")), "{redirect}");
    assert!(query.contains("state=a+b%26c") || query.contains("state=a%20b%26c"), "{redirect}");
    let refused = alice.grant_with_redirect(application.id(), "https://evil.example/", None).await;
    assert_eq!(refused.unwrap_err().errno(), Some(Errno::RedirectNotAllowed));
    let unknown = alice.grant("0123456789abcdef0123456789abcdef".parse().unwrap()).await;
    assert_eq!(unknown.unwrap_err().errno(), Some(Errno::UnknownApplication));
    application.deactivate().await;
    let bob = sign_in(&api_of(&server), "bob", Scope::Account).await;
    let stopped = bob.grant(application.id()).await.unwrap_err();
    assert_eq!((stopped.errno(), stopped.retryable()), (Some(Errno::ApplicationNotActive), true));
}

#[tokio::test]
async fn devices_are_listed_and_ended_whatever_their_names() {
    let server = Server::start_default().await;
    let alice = sign_in(&api_of(&server), "alice", Scope::Account).await;
    assert_eq!(alice.devices().await.unwrap(), []);
    for name in ["Pixel_9.work-1", ".."] {
        let mut socket = Socket::device_of(&server, "alice", name, "unavailable").await;
        let report = json!({"status": "unavailable", "message": "at lunch"});
        assert_eq!(socket.ask(report).await["result"], "OK");
        let devices = alice.devices().await.unwrap();
        assert_eq!(devices.len(), 1);
        assert_eq!((devices[0].name.as_str(), &devices[0].status), (name, &Status::Unavailable));
        assert_eq!(devices[0].message.as_deref(), Some("at lunch"));
        assert!(devices[0].connected && devices[0].since > UnixMillis::default());
        alice.end_device(&devices[0].name).await.unwrap();
        socket.expect_close(CloseCode::EndedByUser).await;
        let again = alice.end_device(&devices[0].name).await.unwrap_err();
        assert_eq!(again.errno(), Some(Errno::NotFound));
    }
}

#[tokio::test]
async fn an_account_shows_all_stored_data_and_is_deleted() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let items = json!([{"uid": uid, "message": "Your move", "action": "https://chat.example/"}]);
    application.notify(&items).await.ok();
    let alice = sign_in(&api_of(&server), "alice", Scope::Account).await;
    let account = alice.account().await.unwrap();
    assert_eq!((account.email.as_str(), account.sessions), ("alice@dev.localhost", 2));
    assert_eq!((account.grants.len(), account.grants[0].uid), (1, uid));
    assert!(account.created_at > UnixMillis::default() && account.devices.is_empty());
    assert!(account.applications.is_empty());
    let waiting = &account.notifications[0];
    assert_eq!((waiting.source.as_str(), waiting.message.as_str()), ("Chat", "Your move"));
    assert_eq!(
        (waiting.action.as_str(), waiting.appid),
        ("https://chat.example/", application.id())
    );
    assert!(waiting.sent_at > UnixMillis::default() && waiting.expires_at > waiting.sent_at);
    alice.erase_account().await.unwrap();
    assert_eq!(alice.account().await.unwrap_err().errno(), Some(Errno::SessionExpired));
    let other = sign_in(&api_of(&server), "alice", Scope::Account).await;
    assert_eq!(other.grants().await.unwrap(), []);
}
