#![doc = include_str!("../README.md")]

mod api;
mod app_service;
mod channel;
mod counters;
mod credential;
mod credential_cache;
mod device;
mod end_reason;
mod error;
mod net;
mod network_options;
mod notification;
mod proxy;
mod retry_header;
mod server_url;
mod state;
mod storage;
mod timing;
mod tls;
mod wall_clock;

#[cfg(test)]
mod fault_tests;

pub use api::{
    Account, ActivationResult, ApiKeyInfo, AppServiceApi, Application, ApplicationChange,
    ApplicationState, CreatedApiKey, CreatedGrant, CreatedSession, Device, Grant, NewApplication,
    OpenSession, PendingNotification, PresenceApi, PresencePage, Scope, Session, UserApi,
};
pub use app_service::{
    AppServiceChannel, AppServiceEvent, AppServiceEvents, AppServiceOptions, PresenceChange,
    PresenceMap, Receipts, Snapshot, StoredPresenceMap, Updates,
};
pub use channel::StateWatch;
pub use counters::ChannelCounters;
pub use credential::{
    Credential, CredentialError, CredentialProvider, CredentialReason, CredentialRequest,
};
pub use credential_cache::{
    CachedCredential, CachedCredentials, CachedProvider, CredentialCache, CredentialFetch,
    CredentialLookup, CredentialSource, ExpiringCredential,
};
pub use device::{
    CredentialRequests, DeviceChannel, DeviceEvent, DeviceEvents, DeviceOptions, Notifications,
};
pub use end_reason::EndReason;
pub use error::{Error, ProxyErrorKind, TlsErrorKind};
pub use network_options::NetworkOptions;
pub use notification::NewNotification;
pub use proxy::{Proxy, ProxyServer};
pub use server_url::ServerUrl;
pub use state::{AppVisibility, ConnectionState, StateChange};
pub use storage::{FileStorage, Storage, StorageCounters};
pub use timing::Timing;
pub use tls::Tls;

pub use presence_protocol::app::QueuedNotification;
pub use presence_protocol::device::LiveNotification;
pub use presence_protocol::open::{
    OpenOfflineCause as OfflineCause, OpenPresence as PresenceUpdate,
    OpenQueryResult as QueryResult, OpenReceipt as Receipt, OpenReceiptState as ReceiptState,
    OpenStatus as Status,
};
pub use presence_protocol::{
    ApiError, AppId, CloseCode, DeviceName, Errno, NotificationId, Puid, RetryAdvice, StatusText,
    UnixMillis,
};
pub use secrecy::SecretString;
