//! Every byte on both Presence channels.
//!
//! The modules in reading order: the registries ([`errno`], [`close`]), the words of the wire ([`id`], [`presence`], [`time`], [`limits`]),
//! and one module a channel ([`device`], [`app`]). How the bytes travel is not known here.

pub mod app;
pub mod close;
pub mod device;
pub mod errno;
pub mod error;
pub mod id;
pub mod limits;
pub mod presence;
pub mod request;
pub mod time;

mod field;

pub use close::CloseCode;
pub use errno::{Errno, RetryAdvice};
pub use error::ApiError;
pub use id::{AppId, DeviceName, NotificationId, Puid};
pub use presence::{PresenceUpdate, Status, StatusText};
pub use request::RequestId;
pub use time::UnixMillis;
