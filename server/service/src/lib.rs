//! What a caller can want of the Presence server, and the hub that owns shared presence. Knows nothing of HTTP or sockets.
//!
//! The modules in reading order, each using only those below it: the door ([`PresenceService`]) and its use cases by subject, the
//! hub notifier between the writer and the hub, the hub, and the small things that all of them use.

mod service;

pub mod accounts;
pub mod app_services;
pub mod applications;
pub mod attempts;
pub mod devices;
pub mod domains;
pub mod grants;
mod maintenance;
pub mod operator;
pub mod sessions;
pub mod tickets;

pub mod hub;
mod hub_notifier;

pub mod clock;
mod mailbox;
mod meters;
mod rates;
mod refusal;
pub mod rules;
mod secret;
pub mod settings;
mod socket_waker;

pub use mailbox::Mailbox;
pub use presence_store::{Account, Backup, GrantedApp, Inspection, StoreError};
pub use service::{PresenceService, ServiceParts};
pub use settings::ServiceSettings;
pub use socket_waker::SocketWaker;
