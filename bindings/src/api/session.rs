//! The records of sessions.

use std::sync::Arc;

use presence_client::Scope;

use crate::presence::signed_millis;
use crate::secret::Secret;

/// The scope of a session: what it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum SessionScope {
    /// The device channel and reading calls. For phones.
    Device,
    /// Everything: grants, devices, Applications, and deleting the account.
    Account,
    /// A scope that is newer than this library. A sign-in with it is refused.
    Unknown,
}

impl From<Scope> for SessionScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Device => Self::Device,
            Scope::Account => Self::Account,
            Scope::Unknown | _ => Self::Unknown,
        }
    }
}

impl From<SessionScope> for Scope {
    fn from(scope: SessionScope) -> Self {
        match scope {
            SessionScope::Device => Self::Device,
            SessionScope::Account => Self::Account,
            SessionScope::Unknown => Self::Unknown,
        }
    }
}

/// A session that was created by a sign-in.
#[derive(Clone, uniffi::Record)]
pub struct CreatedSession {
    /// The bearer token, for `PresenceApi.user` and as the credential of a channel.
    pub token: Arc<Secret>,
    /// The verified e-mail address.
    pub email: String,
    /// The scope.
    pub scope: SessionScope,
    /// The time when it ends: milliseconds since 1970 UTC.
    pub expires_at_ms: i64,
}

impl From<presence_client::CreatedSession> for CreatedSession {
    fn from(session: presence_client::CreatedSession) -> Self {
        Self {
            token: Secret::from_secret(session.token),
            email: session.email,
            scope: session.scope.into(),
            expires_at_ms: signed_millis(session.expires_at),
        }
    }
}

/// A session.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
pub struct SessionInfo {
    /// The verified e-mail address.
    pub email: String,
    /// The scope.
    pub scope: SessionScope,
    /// The time when it ends: milliseconds since 1970 UTC.
    pub expires_at_ms: i64,
}

impl From<presence_client::Session> for SessionInfo {
    fn from(session: presence_client::Session) -> Self {
        Self {
            email: session.email,
            scope: session.scope.into(),
            expires_at_ms: signed_millis(session.expires_at),
        }
    }
}

/// A session in the list of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OpenSession {
    /// The id, by which `UserApi.end_session` ends the session. It is not the token.
    pub id: String,
    /// The scope.
    pub scope: SessionScope,
    /// The time of the sign-in: milliseconds since 1970 UTC.
    pub created_at_ms: i64,
    /// The time when it ends: milliseconds since 1970 UTC.
    pub expires_at_ms: i64,
    /// Is true if it is the session of the call.
    pub current: bool,
    /// The names of the devices that it has let in, and that are connected or in their grace time.
    pub devices: Vec<String>,
}

impl From<presence_client::OpenSession> for OpenSession {
    fn from(session: presence_client::OpenSession) -> Self {
        Self {
            id: session.id,
            scope: session.scope.into(),
            created_at_ms: signed_millis(session.created_at),
            expires_at_ms: signed_millis(session.expires_at),
            current: session.current,
            devices: session.devices.iter().map(ToString::to_string).collect(),
        }
    }
}
