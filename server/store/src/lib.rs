//! The tables of the Presence server, and the writer that commits changes in groups.
//!
//! Rows stay inside: every method takes and returns the types of `presence_core::model`. Time is an
//! argument, and the caller spawns the tasks. Nothing here depends on HTTP, sockets or the hub: the
//! hub learns of commits through a [`CommitHook`].
//!
//! The modules in reading order; each uses only those below it.

mod writer;

mod account;
mod acme;
mod apps;
mod credentials;
mod development;
mod ended_devices;
mod generations;
mod grants;
mod keys;
mod pending;
mod purge;
mod sessions;
mod users;
mod uses;

mod commands;
mod copy;
mod store;

mod credential_cache;

mod live;

mod lookup;

mod bounded;
mod row_lock;

mod database_url;
mod postgres;
mod sqlite;

mod commit_hook;
mod deadline;
mod inspection;

mod migration;
mod rows;
mod statement_texts;
mod tables;

mod error;

pub use account::Account;
pub use acme::{AcmeRecord, AcmeRecordKind};
pub use apps::{AppChanges, NewDomain};
pub use commit_hook::{CommitHook, CommittedEvent, NotifyLimit};
pub use copy::DatabaseCopy;
pub use credential_cache::{CredentialFigures, ForgetMark, FoundKey, FoundSession};
pub use deadline::as_one_call;
pub use development::DiscardedDevelopment;
pub use ended_devices::DeviceEnd;
pub use error::{Cause, StoreError};
pub use generations::GenerationOutcome;
pub use grants::GrantedApp;
pub use inspection::Inspection;
pub use live::Live;
pub use live::apply::{Applied, LiveError, RosterChange};
pub use live::checks::{KnownChecks, NewChecks};
pub use live::common_settings::CommonSettings;
pub use live::listen::{Announced, Announcements};
pub use live::nodes::{Epoch, Joined, NewNode, Node, NodeConnections};
pub use live::notes::{Notes, NotesReader};
pub use live::one_time::{NewOneTimeValue, OneTimeKind, OneTimeOutcome};
pub use live::roster::{SharedHandle, SharedRoster};
pub use live::streams::ENTRY_PAGE;
pub use pending::PENDING_PAGE;
pub use sessions::SessionLimit;
pub use sqlite::backup::Backup;
pub use sqlite::size::DatabaseSize;
pub use store::{Store, StoreSettings};
pub use uses::UsedThing;
pub use writer::Writer;
pub use writer::change::{GrantError, GrantOutcome};
pub use writer::load::LoadedUser;
pub use writer::notify::{NewNotification, NotifyError};
pub use writer::request::WriteReply;
pub use writer::task::WriterTask;

#[cfg(test)]
mod tests;
