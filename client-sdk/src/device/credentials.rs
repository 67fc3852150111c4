//! The credentials of a device channel: the current one, and a fresh one that replaces it.

use presence_protocol::device::{DeviceAuth, Proof};
use presence_protocol::{ApiError, DeviceName, Errno};
use secrecy::ExposeSecret;

use crate::channel::Disconnect;
use crate::credential::Credential;

/// The credentials of a device channel.
pub(super) struct DeviceCredentials {
    current: Option<CurrentCredential>,
    /// A fresh credential. The current one stays until the server has accepted this one.
    fresh: Option<FreshCredential>,
    /// The error with which the server refused a fresh credential on the open socket.
    renewal_error: Option<ApiError>,
    /// Set if a replacement of a refused credential was requested, and none was accepted since.
    replacement_requested: bool,
    /// The last credential that the server refused, and the error.
    last_refused: Option<(Credential, ApiError)>,
}

struct CurrentCredential {
    credential: Credential,
    was_accepted: bool,
    /// See [`FreshCredential::has_aged`].
    has_aged: bool,
}

struct FreshCredential {
    credential: Credential,
    /// Set if an attempt to connect has failed since the credential was given, so that it may have
    /// become too old before the server saw it.
    has_aged: bool,
}

/// The step after a refused credential.
pub(super) enum RefusedCredential {
    /// A fresh credential is at hand, and was not tried yet.
    FreshAvailable,
    /// The credential was accepted before, so that a fresh one is likely to be accepted.
    Expired,
    /// The credential was not accepted. It may only have been too old.
    Aged(ApiError),
    /// The replacement of a refused credential was refused too, so that only the user can help.
    Invalid(ApiError),
}

impl DeviceCredentials {
    pub(super) fn new(credential: Option<Credential>) -> Self {
        let current = credential.map(CurrentCredential::new);
        Self {
            current,
            fresh: None,
            renewal_error: None,
            replacement_requested: false,
            last_refused: None,
        }
    }

    pub(super) fn is_available(&self) -> bool {
        self.current.is_some() || self.fresh.is_some()
    }

    /// Returns true if a fresh credential has to be sent.
    pub(super) fn has_fresh(&self) -> bool {
        self.fresh.is_some()
    }

    /// Sets a fresh credential.
    ///
    /// # Errors
    ///
    /// Returns the error of the server if it has refused this very credential, which is not tried
    /// again.
    pub(super) fn set_fresh(&mut self, credential: Credential) -> Result<(), ApiError> {
        match &self.last_refused {
            Some((refused, error)) if refused.is_same(&credential) => Err(error.clone()),
            Some(_) | None => {
                self.fresh = Some(FreshCredential { credential, has_aged: false });
                self.renewal_error = None;
                Ok(())
            }
        }
    }

    /// Replaces the current credential by the fresh one, if there is one.
    pub(super) fn use_fresh(&mut self) {
        if let Some(FreshCredential { credential, has_aged }) = self.fresh.take() {
            self.current =
                Some(CurrentCredential { has_aged, ..CurrentCredential::new(credential) });
        }
    }

    /// Records that a connection was lost, or was not made, for a reason that is not the
    /// credential.
    pub(super) fn age(&mut self) {
        if let Some(current) = &mut self.current {
            current.has_aged = true;
        }
        if let Some(fresh) = &mut self.fresh {
            fresh.has_aged = true;
        }
    }

    /// Records that the server has accepted the current credential.
    pub(super) fn accept(&mut self) {
        if let Some(current) = &mut self.current {
            (current.was_accepted, current.has_aged) = (true, false);
        }
        self.replacement_requested = false;
    }

    /// Records that the server has refused the fresh credential, and keeps the current one.
    pub(super) fn drop_fresh(&mut self, error: ApiError) {
        self.last_refused = self.fresh.take().map(|refused| (refused.credential, error.clone()));
        self.renewal_error = Some(error);
    }

    /// Records that there will be no fresh credential.
    pub(super) fn set_renewal_error(&mut self, error: ApiError) {
        self.renewal_error = Some(error);
    }

    /// Drops the current credential after a disconnect that it has caused. A replacement is
    /// requested once, and once more if that one may have become too old before the server saw it.
    pub(super) fn drop_refused(&mut self, disconnect: Disconnect) -> RefusedCredential {
        let error = match disconnect {
            Disconnect::Refused(error) => error,
            Disconnect::Closed(_)
            | Disconnect::Failed(_)
            | Disconnect::Postponed { .. }
            | Disconnect::ReconnectRequested => Errno::NotAuthenticated.into(),
        };
        let refused = self.current.take();
        let was_accepted = refused.as_ref().is_some_and(|refused| refused.was_accepted);
        let has_aged = refused.as_ref().is_some_and(|refused| refused.has_aged);
        if let Some(refused) = refused {
            self.last_refused = Some((refused.credential, error.clone()));
        }
        if self.has_fresh() {
            return RefusedCredential::FreshAvailable;
        }
        let was_requested = std::mem::replace(&mut self.replacement_requested, false);
        match self.renewal_error.take() {
            Some(error) => RefusedCredential::Invalid(error),
            None if was_requested && !has_aged => RefusedCredential::Invalid(error),
            None => {
                self.replacement_requested = true;
                if was_accepted {
                    RefusedCredential::Expired
                } else {
                    RefusedCredential::Aged(error)
                }
            }
        }
    }

    /// Returns the fields that authenticate a device with the newest credential.
    pub(super) fn auth(&self, device: &DeviceName) -> DeviceAuth {
        let current = self.current.as_ref().map(|current| &current.credential);
        let fresh = self.fresh.as_ref().map(|fresh| &fresh.credential);
        let proof = fresh.or(current).map(|credential| match credential {
            Credential::Assertion(text) => Proof::Assertion(text.expose_secret().to_owned()),
            Credential::Token(text) => Proof::Token(text.expose_secret().to_owned()),
        });
        DeviceAuth { email: None, proof, device: Some(device.clone()), acks: Some(true) }
    }
}

impl CurrentCredential {
    fn new(credential: Credential) -> Self {
        Self { credential, was_accepted: false, has_aged: false }
    }
}
