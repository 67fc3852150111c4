//! The harness of the whole-system tests: the real binary on a free port with its own database,
//! users and Applications made through the real API, sockets that receive with a time limit, and a
//! proxy that breaks connections.
//!
//! The harness uses only the public interfaces of the server. A failure is a panic with the frames
//! and logs so far, because only tests call this crate.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "a test panics if it cannot continue"
)]

mod authority;
mod binary;
mod child_command;
mod command;
mod domain;
mod fallible_socket;
mod fault_proxy;
mod fixtures;
mod forgery;
mod free_address;
mod issuer;
mod json;
mod rest;
mod seeded_rng;
mod server;
mod server_options;
mod socket;
mod socket_request;

pub use authority::CertificateAuthority;
pub use binary::{example_binary, server_binary};
pub use child_command::child_command;
pub use command::{CommandOutput, run, run_with_output};
pub use domain::DomainServer;
pub use fallible_socket::FallibleSocket;
pub use fault_proxy::FaultProxy;
pub use fixtures::{Application, User, email};
pub use forgery::forged;
pub use free_address::free_address;
pub use issuer::{Issuer, Key, now};
pub use rest::{RestCall, RestClient, RestResponse, wait_until_refused};
pub use seeded_rng::SeededRng;
pub use server::{Server, StoppedServer};
pub use server_options::ServerOptions;
pub use socket::{Socket, SocketEnd, uid_of};
pub use socket_request::{RejectedUpgrade, SocketRequest};

use std::time::Duration;

/// The time limit for every expected event. It is long because a slow machine is no failure, and a
/// passing test does not wait for it.
pub const TIMEOUT: Duration = Duration::from_mins(1);
