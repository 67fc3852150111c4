//! The rules of presence, without sockets, tables or tasks: time is an argument, and effects are
//! results.
//!
//! The modules in reading order: time ([`clock`]), the domain types ([`model`]), the view that an
//! Application has of a user ([`view`]), names that look alike ([`lookalike`]), the devices of one
//! user ([`roster`]), those that a user has ended ([`EndedDevices`]), a part of the users with
//! their deadlines ([`shard`]), the updates of one Application with its holds of receipts
//! ([`stream`]) and their readers ([`reader`]), the phases of a device connection ([`phase`]), the
//! limit on ignored `slow_down` ([`violation_window`]), the last check of a user ([`checks`]),
//! rates by key ([`token_buckets`]), the memory of what was used ([`expiring_map`]), the limit on
//! repeated log lines ([`log_limit`]), and the target of spans that are exported
//! ([`TRACE_TARGET`]).

pub mod checks;
mod chunked_queue;
pub mod clock;
mod ended_devices;
pub mod expiring_map;
pub mod log_limit;
pub mod lookalike;
pub mod model;
pub mod phase;
pub mod reader;
mod receipt_hold;
pub mod roster;
pub mod shard;
pub mod stream;
pub mod token_buckets;
mod trace_target;
pub mod view;
pub mod violation_window;

#[cfg(any(test, feature = "test-util"))]
pub use clock::ManualClock;
pub use clock::{Clock, Steady};
pub use ended_devices::EndedDevices;
pub use log_limit::LogLimit;
pub use model::{
    ApiKey, App, ApplicationState, CredentialGeneration, Email, Grant, GrantSet, Notification,
    PreviousName, Scope, Session, Settlement, UserId,
};
pub use presence_protocol::UnixMillis;
pub use trace_target::TRACE_TARGET;
pub use view::View;
