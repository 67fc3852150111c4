//! The channels over TLS, and what they log.

use presence_client::{ConnectionState, Credential, Error, NewNotification, Status, TlsErrorKind};
use presence_tests::Server;

use super::fixtures::{BackEnd, CountingProvider, Phone, url};
use crate::sdk_api::secrets::capture_log;
use crate::sdk_api::tls::TlsProxy;

fn secure_url(proxy: &TlsProxy) -> presence_client::ServerUrl {
    format!("https://{}", proxy.address).parse().unwrap()
}

#[tokio::test]
async fn both_channels_accept_tls_of_a_configured_authority() {
    let server = Server::start_default().await;
    let (application, _, uid) = server.application_with("alice").await;
    let proxy = TlsProxy::to(&server, "127.0.0.1").await;
    let tokens = CountingProvider::of(&server, "alice");
    let mut phone = Phone::with(secure_url(&proxy), |options| {
        options.credential_provider = Some(tokens);
        options.network.tls = proxy.tls_options();
    });
    phone.wait_until_confirmed().await;
    let tls = proxy.tls_options();
    let mut back_end =
        BackEnd::with(secure_url(&proxy), &application, |options| options.network.tls = tls).await;
    back_end.wait_for_status(uid, Status::Online).await;
    back_end.channel.notify_one(NewNotification::new(uid, "Hello")).await.unwrap();
    assert_eq!(phone.next_notification().await.message, "Hello");
}

#[tokio::test]
async fn an_untrusted_server_gets_no_credential() {
    let server = Server::start_default().await;
    let proxy = TlsProxy::to(&server, "127.0.0.1").await;
    let mut phone = Phone::with(secure_url(&proxy), |options| {
        options.credential = Some(Credential::Token("t".into()));
    });
    let state =
        phone.wait_for_state(|state| matches!(state, ConnectionState::Waiting { .. })).await;
    let ConnectionState::Waiting { reason, .. } = state else { unreachable!() };
    assert!(matches!(reason, Error::Tls { kind: TlsErrorKind::UnknownIssuer, .. }), "{reason:?}");
}

#[tokio::test]
async fn the_log_of_the_channels_holds_no_secret_and_no_message() {
    let server = Server::start_default().await;
    let (application, alice, uid) = server.application_with("alice").await;
    // A log callsite that another thread reaches first while the log is open would not be recorded,
    // so each is reached once before.
    Phone::of(&server, "bob").await.channel.close().await;
    BackEnd::of(&server, &application).await.channel.close().await;
    let (log, _logging) = capture_log();
    let mut phone = Phone::with(url(&server), |options| {
        options.credential = Some(Credential::Token(alice.token.clone().into()));
    });
    phone.wait_until_confirmed().await;
    let mut back_end = BackEnd::of(&server, &application).await;
    back_end.wait_for_status(uid, Status::Online).await;
    let whisper = NewNotification::new(uid, "a whisper");
    back_end.channel.notify_one(whisper).await.unwrap();
    phone.next_notification().await;
    let mut refused = Phone::with(url(&server), |options| {
        options.device = "tablet".parse().unwrap();
        options.credential = Some(Credential::Assertion("a made up assertion".into()));
    });
    refused.wait_for_state(|state| matches!(state, ConnectionState::SignedOut(_))).await;
    phone.channel.close().await;
    let log = log.text();
    for shown in ["presence.device", "device=\"tablet\"", "presence.app_service", "Connected"] {
        assert!(log.contains(shown), "{shown} in {log}");
    }
    for secret in
        [&*alice.token, &application.api_key, "a made up assertion", "a whisper", &alice.email()]
    {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
