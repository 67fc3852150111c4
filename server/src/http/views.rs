//! The parts of responses that several operations share.

mod device;
pub(super) mod example;
mod id;

use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use presence_core::{ApplicationState, Scope};
use presence_protocol::{ApiError, Status};

pub(super) use self::device::DeviceParam;
pub(super) use self::id::Id;

/// A response that has headers of its own.
pub(super) type WithHeaders<T> = Response<Json<T>>;

/// The response of an operation that succeeded.
#[derive(Object)]
#[oai(rename = "Done", example)]
pub(super) struct Done {
    /// `OK`.
    result: String,
}

impl Done {
    /// Returns the response.
    pub(super) fn new() -> Json<Self> {
        Json(Self::example())
    }
}

impl Example for Done {
    fn example() -> Self {
        Self { result: "OK".to_owned() }
    }
}

/// An error.
#[derive(Object)]
#[oai(rename = "Ko", skip_serializing_if_is_none)]
pub(super) struct ErrorView {
    /// `KO`.
    result: String,
    /// The number of the error in the registry.
    errno: u16,
    /// The error as a text for people.
    error: String,
    /// The number of seconds to wait, if waiting helps.
    retry_after: Option<f64>,
}

impl From<&ApiError> for ErrorView {
    fn from(error: &ApiError) -> Self {
        Self {
            result: "KO".to_owned(),
            errno: error.errno.number(),
            error: error.text.clone().into_owned(),
            retry_after: error.retry_after,
        }
    }
}

/// The scope of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Scope", rename_all = "snake_case")]
pub(super) enum ScopeName {
    /// The Device Presence Channel, and reading.
    Device,
    /// All calls of a user: also grants, devices, Applications and erasing.
    Account,
}

impl From<Scope> for ScopeName {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Device => Self::Device,
            Scope::Account => Self::Account,
        }
    }
}

/// The state of an Application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AppState", rename_all = "snake_case")]
pub(super) enum ApplicationStateName {
    /// Its domain has not been verified.
    Registered,
    /// Its domain is verified, and it has not been activated since.
    Verified,
    /// It can read presence.
    Active,
    /// Its domain is verified, and it was deactivated.
    Inactive,
}

impl From<ApplicationState> for ApplicationStateName {
    fn from(state: ApplicationState) -> Self {
        match state {
            ApplicationState::Registered => Self::Registered,
            ApplicationState::Verified => Self::Verified,
            ApplicationState::Active => Self::Active,
            ApplicationState::Inactive => Self::Inactive,
        }
    }
}

/// The status of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Status", rename_all = "snake_case")]
pub(super) enum StatusName {
    /// The user can be reached.
    Online,
    /// The user can be reached, but prefers not to be.
    Unavailable,
    /// The user cannot be reached, or is hidden.
    Offline,
}

impl From<Status> for StatusName {
    fn from(status: Status) -> Self {
        match status {
            Status::Online => Self::Online,
            Status::Unavailable => Self::Unavailable,
            Status::Offline => Self::Offline,
        }
    }
}
