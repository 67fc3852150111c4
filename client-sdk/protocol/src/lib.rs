//! The frames of both Presence channels, and the registries of errors and close codes.
//!
//! The modules in reading order: the registries ([`errno`], [`error`], [`close`]), the values that
//! frames carry ([`id`], [`text`], [`presence`], [`time`], [`limits`]), one module for each channel
//! ([`device`], [`app`]), and the values as a client reads them ([`open`]). The crate does no input
//! or output.

pub mod app;
pub mod close;
pub mod device;
pub mod errno;
pub mod error;
pub mod id;
pub mod limits;
pub mod open;
pub mod presence;
pub mod request;
pub mod text;
pub mod time;

mod field;
mod lenient;

pub use close::CloseCode;
pub use errno::{Errno, RetryAdvice};
pub use error::ApiError;
pub use id::{AppId, DeviceName, NotificationId, Puid};
pub use presence::{OfflineCause, PresenceUpdate, Status, StatusText};
pub use request::RequestId;
pub use time::UnixMillis;
