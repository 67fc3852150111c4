//! The client SDK of Presence for Kotlin and Swift: objects and flat records over `presence-client`, exported by uniffi.
//!
//! No rule of the product lives here. The app pulls events and gives every call that waits a way to be cancelled; nothing
//! calls back into the app but the log. The generated halves are wrapped by hand-written ones: [Kotlin](../kotlin) with `Flow`,
//! [Swift](../swift) with `AsyncSequence`.
#![expect(clippy::needless_pass_by_value, reason = "what comes from another language is owned")]

mod api;
mod app_service;
mod cancel;
mod device;
mod error;
mod inbox;
mod live;
mod log;
mod notify;
mod presence;
mod presence_map;
mod runtime;
mod secret;
mod state;

pub use api::{
    AccountInfo, Activated, AppServiceApi, ApplicationChange, ApplicationInfo, ApplicationState,
    DeviceInfo, GrantInfo, Granted, KeyInfo, NewApplication, NewKey, PresenceApi, PresencePage,
    SessionInfo, SessionScope, SignedIn, UserApi, WaitingNotification,
};
pub use app_service::{
    AppServiceChannel, AppServiceEvent, AppServiceOptions, NotificationFate, NotificationReceipt,
    NumberedAppServiceEvent,
};
pub use cancel::CancelToken;
pub use device::{
    DeviceChannel, DeviceEvent, DeviceOptions, LiveNotification, NumberedDeviceEvent,
};
pub use error::{ChannelEnd, PresenceErrno, PresenceError};
pub use live::debug_live_objects;
pub use log::{LogLevel, LogLine, LogSink, set_log_sink};
pub use notify::{NewNotification, NotifyOutcome, QueryOutcome, QueuedNotification};
pub use presence::{PresenceStatus, UserPresence};
pub use presence_map::{PresenceChange, PresenceMap};
pub use secret::{Credential, Secret};
pub use state::{AppState, ChannelTiming, ConnectionState, CredentialReason};

uniffi::setup_scaffolding!();
