//! What answers are made of, shared by several calls.

mod device;
pub(super) mod example;
mod id;

use poem_openapi::payload::{Json, Response};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use presence_core::{ApplicationState, Scope};
use presence_protocol::{ApiError, Status};

pub(super) use self::device::Device;
pub(super) use self::id::Id;

/// An answer that holds a secret, or sets a header.
pub(super) type WithHeaders<T> = Response<Json<T>>;

/// It was done.
#[derive(Object)]
#[oai(rename = "Done", example)]
pub(super) struct Done {
    /// `OK`.
    result: String,
}

impl Done {
    /// The answer.
    pub(super) fn new() -> Json<Self> {
        Json(Self::example())
    }
}

impl Example for Done {
    fn example() -> Self {
        Self { result: "OK".to_owned() }
    }
}

/// A refusal.
#[derive(Object)]
#[oai(rename = "ApiError", skip_serializing_if_is_none)]
pub(super) struct ErrorView {
    /// `KO`.
    result: String,
    /// Which entry of the registry of errors.
    errno: u16,
    /// For people.
    error: String,
    /// Seconds to wait, where waiting helps.
    retry_after: Option<f64>,
}

impl From<&ApiError> for ErrorView {
    fn from(ko: &ApiError) -> Self {
        Self {
            result: "KO".to_owned(),
            errno: ko.errno.number(),
            error: ko.text.clone().into_owned(),
            retry_after: ko.retry_after,
        }
    }
}

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Scope", rename_all = "snake_case")]
pub(super) enum ScopeName {
    /// The device channel, and reading.
    Device,
    /// Also grants, devices, Applications and erasing.
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

/// How far an Application has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "AppState", rename_all = "snake_case")]
pub(super) enum ApplicationStateName {
    /// Its domain has yet to be verified.
    Registered,
    /// Its domain is verified, and it was never activated since.
    Verified,
    /// It gets presence.
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

/// Whether somebody can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Status", rename_all = "snake_case")]
pub(super) enum StatusName {
    /// Can be reached.
    Online,
    /// Can be reached, and would rather not be.
    Unavailable,
    /// Cannot be reached, or does not want to be seen.
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
