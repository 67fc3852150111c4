//! Signing in.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::Error;

use super::call::Call;
use super::{PresenceApi, secret};

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Scope {
    /// The device channel, and reading: for phones.
    Device,
    /// Everything: grants, devices, Applications, and erasing the account.
    Account,
    /// Something newer than this crate. Nobody can sign in with it.
    #[serde(other, skip_serializing)]
    Unknown,
}

/// A session that was opened.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct CreatedSession {
    /// The bearer token, for [`PresenceApi::user`] and as [`Credential::Token`](crate::Credential::Token) of a channel.
    #[serde(deserialize_with = "secret")]
    pub token: SecretString,
    /// The verified e-mail.
    pub email: String,
    /// What the session may do.
    pub scope: Scope,
    /// When it ends: milliseconds since 1970 UTC.
    pub expires_at: u64,
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
    /// The verified e-mail.
    pub email: String,
    /// What the session may do.
    pub scope: Scope,
    /// When it ends: milliseconds since 1970 UTC.
    pub expires_at: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl PresenceApi {
    /// Opens a session with an identity assertion that was made for this server. An assertion opens one session only.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `invalid_assertion` (34), and with `identity_unavailable` (31) where waiting helps.
    pub async fn sign_in(
        &self,
        assertion: SecretString,
        scope: Scope,
    ) -> Result<CreatedSession, Error> {
        #[derive(Serialize)]
        struct SignIn<'a> {
            assertion: &'a str,
            scope: Scope,
        }
        if scope == Scope::Unknown {
            return Err(Error::InvalidArgument(
                "nobody can sign in for an unknown scope".to_owned(),
            ));
        }
        let body = SignIn { assertion: assertion.expose_secret(), scope };
        self.http.call(Call::post("/session").json(&body)).await
    }

    /// Makes an identity assertion for anybody `@dev.localhost`. Only servers in development mode do this.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with `not_found` (47) where the server is not in development mode, and with `invalid_field` (12) for
    /// any other e-mail.
    pub async fn dev_assertion(&self, email: &str) -> Result<SecretString, Error> {
        #[derive(Serialize)]
        struct Wish<'a> {
            email: &'a str,
        }
        #[derive(Deserialize)]
        struct Made {
            #[serde(deserialize_with = "secret")]
            assertion: SecretString,
        }
        let call = Call::post("/dev/assertion").json(&Wish { email }).may_be_made_twice();
        Ok(self.http.call::<Made>(call).await?.assertion)
    }
}
