//! The settings: defined once, loaded from flags, environment, file and defaults in this order of
//! precedence.
//!
//! The modules in reading order: the definitions ([`definition`]), how they are loaded ([`load`]),
//! checked ([`check`]), shown ([`redacted`]), documented ([`reference`], [`help`]), written as a
//! new file ([`template`]), compared with those of other servers ([`common`]), and turned into the
//! settings of each part of the server ([`derived`]). The credentials of clients are read here too
//! ([`client_secret`]).

mod client_secret;
mod common;
mod derived;
mod help;
mod load;
mod redacted;
mod reference;
mod shared_secret;
mod template;
mod traces_headers;
mod warnings;

mod acme;
mod browserid;
mod check;

mod definition;
mod error;
pub(crate) mod oidc;
mod similar;
pub(crate) mod values;

pub(crate) use self::client_secret::client_secret;
pub use self::definition::{BrowserIdDiscovery, Flags, LogFormat, Settings};
pub use self::error::SettingsError;
pub(crate) use self::help::show_defaults;
pub(crate) use self::load::ADDRESS;
pub use self::reference::reference;
pub(crate) use self::template::template;
