//! The sessions of users.

use std::fmt;

use presence_protocol::{DeviceName, UnixMillis};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::entries::entries;
use super::secret::secret;

/// The rights of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// The device channel, and reading: for phones.
    Device,
    /// All calls: grants, devices, Applications, and the deletion of the account.
    Account,
    /// A scope that this version does not know. No session can be opened with it.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// A session that was opened.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct CreatedSession {
    /// The bearer token, for [`PresenceApi::user`](crate::PresenceApi::user) and as
    /// [`Credential::Token`](crate::Credential::Token) of a channel.
    #[serde(deserialize_with = "secret")]
    pub token: SecretString,
    /// The verified e-mail address.
    pub email: String,
    /// The rights of the session.
    pub scope: Scope,
    /// The end of the session.
    pub expires_at: UnixMillis,
}

impl fmt::Debug for CreatedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedSession")
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A session.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Session {
    /// The verified e-mail address.
    pub email: String,
    /// The rights of the session.
    pub scope: Scope,
    /// The end of the session.
    pub expires_at: UnixMillis,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A session in the list of a user's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct OpenSession {
    /// The id, by which the session can be ended. It is not the token.
    pub id: String,
    /// The rights of the session.
    pub scope: Scope,
    /// The time of the sign-in.
    pub created_at: UnixMillis,
    /// The end of the session.
    pub expires_at: UnixMillis,
    /// Set if it is the session of the call.
    pub current: bool,
    /// The devices that it has let in, and that are connected or in their grace time.
    #[serde(deserialize_with = "entries")]
    pub devices: Vec<DeviceName>,
}
