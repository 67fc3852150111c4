//! The REST API: the calls that phones and back ends need besides the channels.

mod account;
mod app_service;
mod application;
mod developer;
mod server;
mod session;
mod user;

pub use account::{AccountInfo, CreatedGrant, DeviceInfo, GrantInfo, PendingNotification};
pub use app_service::{AppServiceApi, PresencePage};
pub use application::{
    ActivationResult, ApiKeyInfo, ApplicationChange, ApplicationInfo, ApplicationState,
    CreatedApiKey, NewApplication,
};
pub use server::PresenceApi;
pub use session::{CreatedSession, SessionInfo, SessionScope};
pub use user::UserApi;
