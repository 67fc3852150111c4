//! The SDK's REST client against the real server, and against other servers.

mod back_end;
mod developer;
mod faults;
mod other_servers;
mod scripted_server;
pub(crate) mod secrets;
pub(crate) mod tls;
mod user;

use std::time::Duration;

use presence_client::{PresenceApi, Scope, Timing, UserApi};
use presence_tests::{Server, email};

/// Returns the REST client of a server.
fn api_of(server: &Server) -> PresenceApi {
    api_at(&server.url())
}

/// Returns the REST client for a URL.
fn api_at(url: &str) -> PresenceApi {
    PresenceApi::new(url.parse().unwrap()).unwrap()
}

/// Returns a REST client with a short timeout for responses.
fn api_with_short_timeout(url: &str) -> PresenceApi {
    let request_timeout = Duration::from_millis(400);
    api_at(url).with_timing(&Timing { request_timeout, ..Timing::default() })
}

/// Signs in a user of `dev.localhost`.
pub(crate) async fn sign_in(api: &PresenceApi, name: &str, scope: Scope) -> UserApi {
    let assertion = api.dev_assertion(&email(name)).await.unwrap();
    api.user(api.sign_in(assertion, scope).await.unwrap().token)
}
