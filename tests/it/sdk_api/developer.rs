//! The calls of a developer: Applications and their keys.

use presence_client::{
    AppId, ApplicationChange, ApplicationState, Errno, NewApplication, Scope, UnixMillis, UserApi,
};
use presence_tests::{DomainServer, Server};

use super::{api_of, sign_in};
use crate::operator::operator_session::OperatorSession;

fn chat(domain: &str) -> NewApplication {
    NewApplication {
        name: "Chat".to_owned(),
        domain: domain.to_owned(),
        description: "A room".to_owned(),
    }
}

/// Returns an active Application, and its first key.
async fn active_application(
    developer: &UserApi,
) -> (AppId, presence_client::SecretString, DomainServer) {
    let domain = DomainServer::start().await;
    let registered = developer.register(chat(&domain.name())).await.unwrap();
    domain.publish_key(&registered.domain_key);
    developer.verify(registered.appid).await.unwrap();
    let activated = developer.activate(registered.appid).await.unwrap();
    (registered.appid, activated.api_key.unwrap(), domain)
}

#[tokio::test]
async fn an_application_is_activated_and_deactivated() {
    let server = Server::start_default().await;
    let developer = sign_in(&api_of(&server), "developer", Scope::Account).await;
    let domain = DomainServer::start().await;
    let registered = developer.register(chat(&domain.name())).await.unwrap();
    let appid = registered.appid;
    assert_eq!((registered.name.as_str(), registered.description.as_str()), ("Chat", "A room"));
    assert_eq!(
        (&registered.domain, registered.created_at > UnixMillis::default()),
        (&domain.name(), true)
    );
    assert_eq!(registered.state, ApplicationState::Registered);
    let unproven = developer.verify(appid).await.unwrap_err();
    assert_eq!(unproven.errno(), Some(Errno::DomainNotVerified));
    let unproven = developer.activate(appid).await.unwrap_err();
    assert_eq!(unproven.errno(), Some(Errno::DomainNotVerified));
    domain.publish_key(&registered.domain_key);
    assert_eq!(developer.verify(appid).await.unwrap().state, ApplicationState::Verified);
    let activated = developer.activate(appid).await.unwrap();
    assert_eq!(activated.state, ApplicationState::Active);
    assert!(activated.api_key.is_some());
    let stopped = developer.deactivate(appid).await.unwrap();
    assert_eq!((stopped.state, stopped.api_key.is_none()), (ApplicationState::Inactive, true));
    let again = developer.activate(appid).await.unwrap();
    assert_eq!((again.state, again.api_key.is_none()), (ApplicationState::Active, true));
}

#[tokio::test]
async fn a_developer_sees_that_the_operator_has_blocked_an_application() {
    let (server, operator) = OperatorSession::start().await;
    let developer = sign_in(&api_of(&server), "developer", Scope::Account).await;
    let (appid, _, _domain) = active_application(&developer).await;
    assert_eq!(developer.application(appid).await.unwrap().blocked_at, None);
    operator.post_switch(&server, &appid.to_string(), "block").await;
    let blocked = developer.application(appid).await.unwrap();
    assert_eq!(blocked.state, ApplicationState::Inactive);
    assert!(blocked.blocked_at.is_some_and(|at| at > blocked.created_at), "{blocked:?}");
    let refused = developer.activate(appid).await.unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::ApplicationNotActive));
}

#[tokio::test]
async fn applications_are_listed_changed_and_removed_by_their_developer_only() {
    let server = Server::start_default().await;
    let api = api_of(&server);
    let developer = sign_in(&api, "developer", Scope::Account).await;
    let (appid, _, _domain) = active_application(&developer).await;
    let shown = developer.application(appid).await.unwrap();
    assert_eq!(developer.applications().await.unwrap(), std::slice::from_ref(&shown));
    let rename =
        ApplicationChange { name: Some("Talk".to_owned()), ..ApplicationChange::default() };
    let renamed = developer.change(appid, rename.clone()).await.unwrap();
    assert_eq!((renamed.name.as_str(), &renamed.domain), ("Talk", &shown.domain));
    assert_eq!((renamed.state, &renamed.description), (shown.state, &shown.description));
    let other_user = sign_in(&api, "stranger", Scope::Account).await;
    assert_eq!(other_user.applications().await.unwrap(), []);
    for refused in [
        other_user.application(appid).await.map(|_| ()),
        other_user.change(appid, rename).await.map(|_| ()),
        other_user.verify(appid).await.map(|_| ()),
        other_user.activate(appid).await.map(|_| ()),
        other_user.deactivate(appid).await.map(|_| ()),
        other_user.keys(appid).await.map(|_| ()),
        other_user.create_key(appid).await.map(|_| ()),
        other_user.delete_key(appid, 1).await,
        other_user.remove(appid).await,
    ] {
        assert_eq!(refused.unwrap_err().errno(), Some(Errno::UnknownApplication));
    }
    developer.remove(appid).await.unwrap();
    assert_eq!(developer.applications().await.unwrap(), []);
}

#[tokio::test]
async fn an_invalid_request_is_refused_with_its_error() {
    let server = Server::start_default().await;
    let developer = sign_in(&api_of(&server), "developer", Scope::Account).await;
    let refused = developer.register(chat("no domain")).await.unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::InvalidField));
    assert!(refused.to_string().contains("domain"), "{refused}");
}

#[tokio::test]
async fn a_key_is_made_listed_used_and_deleted() {
    let server = Server::start_default().await;
    let api = api_of(&server);
    let developer = sign_in(&api, "developer", Scope::Account).await;
    let (appid, first, _domain) = active_application(&developer).await;
    let second = developer.create_key(appid).await.unwrap();
    api.app_service(appid, second.api_key.clone()).presence_page(None, None).await.unwrap();
    let keys = developer.keys(appid).await.unwrap();
    let (used, other): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.id == second.id);
    assert_eq!((used.len(), other.len()), (1, 1));
    assert_eq!((&used[0].prefix, used[0].created_at), (&second.prefix, second.created_at));
    assert!(used[0].last_used_at.is_some());
    assert_eq!(other[0].last_used_at, None);
    developer.delete_key(appid, second.id).await.unwrap();
    let deleted = api.app_service(appid, second.api_key).presence_page(None, None).await;
    assert_eq!(deleted.unwrap_err().errno(), Some(Errno::InvalidApiKey));
    api.app_service(appid, first).presence_page(None, None).await.unwrap();
    let again = developer.delete_key(appid, second.id).await.unwrap_err();
    assert_eq!(again.errno(), Some(Errno::NotFound));
}
