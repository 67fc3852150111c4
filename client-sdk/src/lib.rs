#![doc = include_str!("../README.md")]

mod api;
mod app_service;
mod credential;
mod device;
mod error;
mod link;
mod net;
mod notification;
mod server_url;
mod state;
mod timing;
mod tls;

pub use api::{
    Account, Activated, AppServiceApi, Application, ApplicationChange, ApplicationState, Device,
    Grant, Granted, Key, NewApplication, NewKey, PresenceApi, PresencePage, Scope, Session,
    SignedIn, UserApi, WaitingNotification,
};
pub use app_service::{
    AppServiceChannel, AppServiceEvent, AppServiceEvents, AppServiceOptions, Change, PresenceMap,
    Receipts, Snapshot, Updates,
};
pub use credential::{Credential, TokenError, TokenSource, Wanted};
pub use device::{
    CredentialRequests, DeviceChannel, DeviceEvent, DeviceEvents, DeviceOptions, Notifications,
};
pub use error::Error;
pub use notification::NewNotification;
pub use server_url::ServerUrl;
pub use state::{AppState, ConnectionState, End};
pub use timing::Timing;
pub use tls::Tls;

pub use presence_protocol::app::{Queried, Queued, Receipt, ReceiptState};
pub use presence_protocol::device::Notification;
pub use presence_protocol::{
    AppId, CloseCode, DeviceName, Errno, Ko, NotificationId, Presence, Puid, Retry, Status,
    StatusText, UnixMillis,
};
pub use secrecy::SecretString;
