//! Turns the proof that a device presents (an assertion or an ID token) into a verified e-mail
//! address.
//!
//! The entry point is [`Verifier`]: it takes a proof and the time, and returns an [`Identity`] or
//! an [`IdentityError`]. [`Dispatcher`] chooses the verifier by the kind of the proof.
//! [`browserid`] verifies backed-identity assertions, [`oidc`] verifies ID tokens, [`DevIssuer`]
//! makes assertions for development, and [`fetch`] sends all requests to addresses that others
//! chose.
//!
//! The crate does not compare claimed e-mails (rule 30), does not keep a replay cache
//! ([`Identity::digest`] is the key for one), does not open sessions and does not log, because all
//! its inputs are secret or personal. The rules are listed in `server/identity/RULES.md`, and the
//! threats in `SECURITY.md`.
//!
//! Modules are in reading order: each uses only those below it.

mod dispatcher;
mod domain_table;

mod dev_issuer;

pub mod oidc;

pub mod browserid;

mod jws;
mod strict_json;

mod identity;

pub mod fetch;

pub use self::dev_issuer::{DevIssuer, DevIssuerError};
pub use self::dispatcher::Dispatcher;
pub use self::domain_table::DomainTable;
pub use self::identity::{Identity, IdentityError, Reason, Verifier};
