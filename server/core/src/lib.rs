//! The rules of presence, without sockets, tables or tasks: time comes in as an argument, effects go out.
//!
//! The modules in reading order: the words ([`model`]), one user's devices and what each Application is shown of them
//! ([`roster`]), all users of one shard with their deadlines ([`shard`]), one Application's stream of updates and those who
//! read it ([`stream`], [`reader`]), what a device connection may say when ([`phase`]), and who has ignored `slow_down` for too
//! long ([`violation_window`]).

pub mod clock;
pub mod model;
pub mod phase;
pub mod reader;
pub mod roster;
pub mod shard;
pub mod stream;
pub mod violation_window;

#[cfg(any(test, feature = "test-util"))]
pub use clock::ManualClock;
pub use clock::{Clock, Steady};
pub use model::{
    ApiKey, App, ApplicationState, CredentialGeneration, Email, Grant, GrantSet, Notification,
    Scope, Session, Settlement, UserId,
};
pub use presence_protocol::UnixMillis;
