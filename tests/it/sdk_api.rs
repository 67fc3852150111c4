//! The SDK's REST client against the real server, and against servers that are none.

mod back_end;
mod developer;
mod fake;
mod faults;
mod secrets;
mod strangers;
mod tls;
mod user;

use std::time::Duration;

use presence_client::{PresenceApi, Scope, Timing, UserApi};
use presence_tests::{Server, email};

/// The REST client of a server.
fn api_of(server: &Server) -> PresenceApi {
    PresenceApi::new(server.url().parse().unwrap()).unwrap()
}

/// The same for what listens at an address, in little time.
fn hasty(url: &str) -> PresenceApi {
    let (connect_timeout, request_timeout) =
        (Duration::from_millis(150), Duration::from_millis(400));
    let timing = Timing { connect_timeout, request_timeout, ..Timing::default() };
    PresenceApi::new(url.parse().unwrap()).unwrap().with_timing(&timing)
}

/// Somebody of `dev.localhost` with a session.
async fn sign_in(api: &PresenceApi, name: &str, scope: Scope) -> UserApi {
    let assertion = api.dev_assertion(&email(name)).await.unwrap();
    api.user(api.sign_in(assertion, scope).await.unwrap().token)
}
