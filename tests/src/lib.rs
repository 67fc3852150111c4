//! What whole-system tests are written with: the real binary on a free port with a database of its own, people and Applications
//! made through the real API, sockets that hear with a time limit, and a wire that can be cut.
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
mod cutter;
mod dice;
mod domain;
mod forgery;
mod issuer;
mod peer;
mod people;
mod rest;
mod server;
mod socket;

pub use authority::Authority;
pub use binary::{example_binary, server_binary};
pub use command::{Said, run};
pub use cutter::Cutter;
pub use dice::Dice;
pub use domain::Domain;
pub use forgery::forged;
pub use issuer::{Issuer, Key, now};
pub use peer::Peer;
pub use people::{Application, User, email};
pub use rest::{Answer, Call, Rest, refused_in_time};
pub use server::{Options, Server, Stopped};
pub use socket::{Ended, Refused, Socket, Way, uid_of};

use std::time::Duration;

/// How long a test waits for what must come. Long, since a busy machine is no failure; nothing waits for it in a passing test.
pub const PATIENCE: Duration = Duration::from_secs(10);
