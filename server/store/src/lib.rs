//! The tables of the Presence server: what must outlive a restart, and the writer that commits it in groups.
//!
//! Rows stay in here: every method takes and gives the types of `presence_core::model`. Time is an argument,
//! the caller spawns. Nothing in here knows HTTP, sockets or the hub; the hub is told of commits as an
//! [`CommitHook`].
//!
//! The modules in reading order; each uses only those below it.

mod writer;

mod account;
mod apps;
mod generations;
mod grants;
mod keys;
mod purge;
mod sessions;
mod users;

mod backup;
mod inspection;
mod store;

mod lookup;

mod connection;
mod migration;
mod rows;
mod tables;

mod error;

pub use account::Account;
pub use apps::{AppChanges, NewDomain};
pub use backup::Backup;
pub use error::{Cause, StoreError};
pub use generations::Raised;
pub use grants::GrantedApp;
pub use inspection::Inspection;
pub use store::Store;
pub use writer::Writer;
pub use writer::change::GrantOutcome;
pub use writer::commit_hook::{CommitHook, CommittedEvent};
pub use writer::load::LoadedUser;
pub use writer::notify::{NewNotification, NotifyError};
pub use writer::request::WriteReply;
pub use writer::task::WriterTask;

#[cfg(test)]
mod tests;
