//! The client SDK of Presence for Kotlin, Swift and Python: objects and flat records over
//! `presence-client`, exported by uniffi.
//!
//! The crate has no logic of its own. The app pulls events, and can cancel every call that
//! waits. The log is the only thing that calls into the app. Hand-written code wraps the generated
//! code: [Kotlin](../kotlin) with `Flow`, [Swift](../swift) with `AsyncSequence`,
//! [Python](../python) with asynchronous iterators.
#![expect(clippy::needless_pass_by_value, reason = "arguments from another language are owned")]

mod api;
mod app_service;
mod cancel;
mod confirmed_source;
mod counters;
mod credential_cache;
mod device;
mod error;
mod error_kinds;
mod log;
mod network;
mod notify;
mod object_count;
mod presence;
mod presence_map;
mod runtime;
mod secret;
mod state;

pub use api::{
    AccountInfo, ActivationResult, ApiKeyInfo, AppServiceApi, ApplicationChange, ApplicationInfo,
    ApplicationState, CreatedApiKey, CreatedGrant, CreatedSession, DeviceInfo, GrantInfo,
    NewApplication, PendingNotification, PresenceApi, PresencePage, SessionInfo, SessionScope,
    UserApi,
};
pub use app_service::{
    AppServiceChannel, AppServiceEvent, AppServiceOptions, NotificationReceipt,
    NumberedAppServiceEvent, ReceiptState,
};
pub use cancel::CancelToken;
pub use counters::{ChannelCounters, StorageCounters};
pub use credential_cache::{CachedCredential, CredentialCache, CredentialFetch, CredentialLookup};
pub use device::{
    DeviceChannel, DeviceOptions, LiveNotification, NumberedCredentialRequest, NumberedNotification,
};
pub use error::{EndReason, PresenceErrno, PresenceError};
pub use error_kinds::{ProxyErrorKind, TlsErrorKind};
pub use log::{LogLevel, LogLine, LogSink, set_log_sink};
pub use network::{NetworkOptions, PresenceProxy, ProxyServer, UserAgentProduct};
pub use notify::{NewNotification, NotifyResult, QueryResult, QueuedNotification};
pub use object_count::debug_live_objects;
pub use presence::{PresenceStatus, PresenceUpdate};
pub use presence_map::{PresenceChange, PresenceMap};
pub use secret::{Credential, Secret};
pub use state::{AppVisibility, ChannelTiming, ConnectionState, CredentialReason, StateChange};

uniffi::setup_scaffolding!();
