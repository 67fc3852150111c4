//! The REST API: the calls that phones and back ends make outside of the channels.
//!
//! [`call`] describes a call, [`http_client`] and [`tracked_stream`] send it, and [`response`]
//! reads the reply. The other modules are the parts of the API.

mod app_service;
mod application;
mod call;
mod developer;
mod entries;
mod http_client;
mod presence_api;
mod response;
mod secret;
mod session;
mod tracked_stream;
mod user;

pub use self::app_service::{AppServiceApi, PresencePage};
pub use self::application::{
    ActivationResult, ApiKeyInfo, Application, ApplicationChange, ApplicationState, CreatedApiKey,
    NewApplication,
};
pub use self::presence_api::PresenceApi;
pub use self::session::{CreatedSession, OpenSession, Scope, Session};
pub use self::user::{Account, CreatedGrant, Device, Grant, PendingNotification, UserApi};
