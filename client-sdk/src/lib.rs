#![doc = include_str!("../README.md")]

mod credential;
mod error;
mod net;
mod server_url;
mod state;
mod timing;
mod tls;

pub use credential::{Credential, TokenError, TokenSource, Wanted};
pub use error::Error;
pub use server_url::ServerUrl;
pub use state::{AppState, ConnectionState, End};
pub use timing::Timing;
pub use tls::Tls;

pub use presence_protocol::app::{Queried, Queued, Receipt, ReceiptState};
pub use presence_protocol::device::Notification;
pub use presence_protocol::{
    AppId, CloseCode, DeviceName, Errno, Ko, NotificationId, Presence, Puid, Retry, Status,
    StatusText,
};
pub use secrecy::SecretString;
