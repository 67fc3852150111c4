//! What whole-system tests are written with: the real binary on a free port with a database of its own, fixtures and Applications
//! made through the real API, sockets that receive with a time limit, and a wire that can be cut.
//!
//! Nothing here knows the server's code: what a test learns, it learned from outside. What goes wrong is a panic with the story
//! so far, since only tests call this.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and ends"
)]

mod authority;
mod binary;
mod command;
mod fault_proxy;
mod seeded_rng;
mod domain;
mod forgery;
mod issuer;
mod fallible_socket;
mod fixtures;
mod rest;
mod server;
mod socket;

pub use authority::CertificateAuthority;
pub use binary::{example_binary, server_binary};
pub use command::{CommandOutput, run};
pub use fault_proxy::FaultProxy;
pub use seeded_rng::SeededRng;
pub use domain::DomainServer;
pub use forgery::forged;
pub use issuer::{Issuer, Key, now};
pub use fallible_socket::FallibleSocket;
pub use fixtures::{Application, User, email};
pub use rest::{RestResponse, RestCall, RestClient, wait_until_refused};
pub use server::{ServerOptions, Server, StoppedServer};
pub use socket::{SocketEnd, RejectedUpgrade, Socket, SocketRequest, uid_of};

use std::time::Duration;

/// How long a test waits for what must come. Long, since a busy machine is no failure; nothing waits for it in a passing test.
pub const TIMEOUT: Duration = Duration::from_secs(10);
