//! Turns what a device presents (its *slot*) into a verified e-mail address.
//!
//! The door is [`Verifier`]: a slot and the time go in, an [`Identity`] or an [`IdentityError`]
//! comes out. [`Dispatcher`] looks at the slot and picks the verifier of its kind. [`browserid`]
//! checks backed-identity assertions, [`oidc`] ID tokens, [`DevIssuer`] makes assertions for
//! development, and [`fetch`] is the one way in which this server asks addresses that strangers
//! chose.
//!
//! What it deliberately is not: it compares no claimed e-mail (rule 30), keeps no replay cache
//! ([`Identity::digest`] is the key for one), opens no session, reads no clock and logs nothing,
//! since everything it handles is secret or personal.
//!
//! Modules are in reading order: each uses only those below it.

mod dev_issuer;
mod dispatcher;

pub mod oidc;

pub mod browserid;

mod jws;
mod strict_json;

mod identity;

pub mod fetch;

pub use self::dev_issuer::{DevIssuer, DevIssuerError};
pub use self::dispatcher::Dispatcher;
pub use self::identity::{Identity, IdentityError, Reason, Verifier};
