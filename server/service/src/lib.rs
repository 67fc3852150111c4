//! The use cases of the Presence server, by subject, and the hub that owns shared presence.
//! Independent of HTTP and of sockets.
//!
//! The modules in reading order, each of which uses only those below it:
//!
//! - [`PresenceService`], which makes all subjects and hands them out, and the opening of the
//!   database and the hub;
//! - the subjects: [`sessions`], [`devices`], [`accounts`], [`grants`], [`applications`],
//!   [`api_keys`], [`domains`], [`app_services`], [`notifications`], [`operator`], and the
//!   maintenance that runs in the background;
//! - the checks of credentials: [`proofs`], with the counter that each of them goes through;
//! - the [`hub`], and the notifier that brings the writer's commits to it;
//! - small things that all of these use.

mod opening;
mod service;

pub mod accounts;
pub mod api_keys;
pub mod app_services;
pub mod applications;
pub mod devices;
pub mod domains;
pub mod grants;
mod maintenance;
pub mod notifications;
pub mod operator;
pub mod sessions;

pub mod acme_records;
mod activation;
mod attempts;
pub mod operator_access;
mod ownership;
mod presence_flag;
pub mod proofs;
mod shared_sign_ins;
pub mod tickets;
mod used_assertions;
mod user_changes;
mod uses;

pub mod hub;
mod mailbox;
mod socket_waker;

pub mod clock;
mod errors;
mod meters;
mod rates;
pub mod rules;
mod secret;
pub mod settings;
#[cfg(test)]
mod testing;
mod to_end;

pub use mailbox::Mailbox;
pub use opening::OpenDatabase;
pub use presence_store::{
    Account, AcmeRecord, AcmeRecordKind, Backup, DatabaseCopy, DatabaseSize, GrantedApp,
    Inspection, StoreError, as_one_call,
};
pub use rates::rate_limited_address;
pub use service::{PresenceService, ServiceParts};
pub use settings::ServiceSettings;
pub use socket_waker::SocketWaker;
