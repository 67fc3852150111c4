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
    fresh: Option<Credential>,
    /// The error with which the server refused a fresh credential on the open socket.
    renewal_error: Option<ApiError>,
}

struct CurrentCredential {
    credential: Credential,
    was_accepted: bool,
}

/// The step after a refused credential.
pub(super) enum RefusedCredential {
    /// A fresh credential is at hand, and was not tried yet.
    FreshAvailable,
    /// The credential was accepted before, so that a fresh one is likely to be accepted.
    Expired,
    /// The credential was never accepted, so that only the user can help.
    Invalid(ApiError),
}

impl DeviceCredentials {
    pub(super) fn new(credential: Option<Credential>) -> Self {
        let current = credential.map(CurrentCredential::new);
        Self { current, fresh: None, renewal_error: None }
    }

    pub(super) fn is_available(&self) -> bool {
        self.current.is_some() || self.fresh.is_some()
    }

    /// Returns true if a fresh credential has to be sent.
    pub(super) fn has_fresh(&self) -> bool {
        self.fresh.is_some()
    }

    pub(super) fn set_fresh(&mut self, credential: Credential) {
        self.fresh = Some(credential);
        self.renewal_error = None;
    }

    /// Replaces the current credential by the fresh one, if there is one.
    pub(super) fn use_fresh(&mut self) {
        if let Some(fresh) = self.fresh.take() {
            self.current = Some(CurrentCredential::new(fresh));
        }
    }

    /// Records that the server has accepted the current credential.
    pub(super) fn accept(&mut self) {
        if let Some(current) = &mut self.current {
            current.was_accepted = true;
        }
    }

    /// Records that the server has refused the fresh credential, and keeps the current one.
    pub(super) fn drop_fresh(&mut self, error: ApiError) {
        self.fresh = None;
        self.renewal_error = Some(error);
    }

    /// Records that there will be no fresh credential.
    pub(super) fn set_renewal_error(&mut self, error: ApiError) {
        self.renewal_error = Some(error);
    }

    /// Drops the current credential after a disconnect that it has caused.
    pub(super) fn drop_refused(&mut self, disconnect: Disconnect) -> RefusedCredential {
        if self.has_fresh() {
            return RefusedCredential::FreshAvailable;
        }
        let was_accepted = self.current.take().is_some_and(|current| current.was_accepted);
        match (self.renewal_error.take(), disconnect) {
            (None, _) if was_accepted => RefusedCredential::Expired,
            (Some(error), _) | (None, Disconnect::Refused(error)) => {
                RefusedCredential::Invalid(error)
            }
            (None, _) => RefusedCredential::Invalid(Errno::NotAuthenticated.into()),
        }
    }

    /// Returns the fields that authenticate a device with the newest credential.
    pub(super) fn auth(&self, device: &DeviceName) -> DeviceAuth {
        let current = self.current.as_ref().map(|current| &current.credential);
        let proof = self.fresh.as_ref().or(current).map(|credential| match credential {
            Credential::Assertion(text) => Proof::Assertion(text.expose_secret().to_owned()),
            Credential::Token(text) => Proof::Token(text.expose_secret().to_owned()),
        });
        DeviceAuth { email: None, proof, device: Some(device.clone()), acks: Some(true) }
    }
}

impl CurrentCredential {
    fn new(credential: Credential) -> Self {
        Self { credential, was_accepted: false }
    }
}
