//! The calls of the application, its events and its credentials.

use presence_protocol::device::LiveNotification;
use presence_protocol::{ApiError, Errno, NotificationId};
use tokio::time::Instant;

use super::{DesiredState, DeviceProtocol, RequestState, SentContent};
use crate::channel::{ProtocolState, Pulled};
use crate::credential::{Credential, CredentialError, CredentialRequest};
use crate::device::event::DeviceEvent;
use crate::error::Error;
use crate::state::ConnectionState;
use crate::storage::StoredDevice;

impl DeviceProtocol {
    /// Returns the desired state, to change it. An earlier refusal is not reported any more.
    pub(in crate::device) fn desired(&mut self) -> &mut DesiredState {
        self.refused = None;
        &mut self.desired
    }

    pub(in crate::device) fn acknowledge(&mut self, id: NotificationId) {
        self.events.acknowledge(id);
        self.desired.acknowledge(id);
        self.kept.remove_shown(id);
    }

    /// Records that the user has seen a notification, which is not acknowledged yet.
    pub(in crate::device) fn mark_shown(&mut self, id: NotificationId) {
        self.events.mark_shown(id);
        self.kept.add_shown(id);
    }

    /// Takes over what an earlier channel has kept.
    pub(in crate::device) fn restore(&mut self, stored: StoredDevice) {
        stored.acknowledged.into_iter().for_each(|id| self.acknowledge(id));
        stored.shown.into_iter().for_each(|id| self.mark_shown(id));
    }

    /// Returns what a later channel has to know.
    pub(in crate::device) fn to_stored(&self) -> StoredDevice {
        let sent = self.in_flight.as_ref().map(|frame| match &frame.content {
            SentContent::Acks(ids) => ids.as_slice(),
            SentContent::Status(_) | SentContent::Visibility(_) => &[],
        });
        self.kept.to_stored([sent.unwrap_or_default(), self.desired.acks()].concat())
    }

    /// Returns the number of changes of what is kept.
    pub(in crate::device) fn kept_revision(&self) -> u64 {
        self.kept.revision()
    }

    /// Takes the next event. A request for a credential is one if it is newer than `after`.
    pub(in crate::device) fn pull(
        &mut self,
        after: u64,
        hints: u64,
    ) -> Option<Pulled<DeviceEvent>> {
        self.events.pull(self.credential_requests.take(after, hints))
    }

    pub(in crate::device) fn pull_notification(&mut self) -> Option<Pulled<LiveNotification>> {
        self.events.pull_notification()
    }

    /// Returns the request for a credential if it is newer than `after`. The application that asks
    /// for it answers it.
    pub(in crate::device) fn pull_credential_request(
        &mut self,
        after: u64,
        hints: u64,
    ) -> Option<Pulled<CredentialRequest>> {
        self.has_source = true;
        if self.events.is_at_end() {
            return Some(Pulled::End);
        }
        self.credential_requests.take(after, hints).map(Pulled::Event)
    }

    pub(in crate::device) fn credential_requests(&mut self) -> &mut RequestState {
        &mut self.credential_requests
    }

    /// Returns true if the request was answered or replaced, or if the channel has ended.
    pub(in crate::device) fn has_closed_request(&self, number: u64) -> bool {
        self.events.is_at_end() || !self.credential_requests.is_open(number)
    }

    /// Records that there is no credential for the request of this number.
    pub(in crate::device) fn fail_credential_request(
        &mut self,
        number: u64,
        error: &CredentialError,
        hints: u64,
    ) {
        match error {
            CredentialError::SignedOut if self.credential_requests.is_open(number) => {
                self.sign_out();
            }
            CredentialError::SignedOut => {}
            CredentialError::Unavailable(_) => {
                self.credential_requests.fail(number, hints, Instant::now());
            }
        }
    }

    pub(in crate::device) fn skipped(&self) -> u64 {
        self.unreadable.skipped()
    }

    /// Returns true if notifications were left on the server because the queue was full.
    pub(in crate::device) fn has_deferred(&self) -> bool {
        self.events.has_deferred()
    }

    /// Returns `Ok` if the server has confirmed the desired state. A refusal is returned once.
    pub(in crate::device) fn take_confirmation(&mut self) -> Option<Result<(), Error>> {
        if let ConnectionState::Ended(end) = &self.state {
            return Some(Err(Error::Ended(end.clone())));
        }
        if let Some(error) = self.refused.take() {
            return Some(Err(Error::Refused(error)));
        }
        let is_confirmed =
            self.is_authenticated() && self.in_flight.is_none() && self.desired.is_resolved();
        is_confirmed.then_some(Ok(()))
    }

    /// Sets a fresh credential. One that the server has refused is not tried again.
    pub(in crate::device) fn set_credential(&mut self, credential: Credential) {
        self.set_credential_request(None);
        if let Err(error) = self.credentials.set_fresh(credential) {
            self.give_up_credential(error);
        }
    }

    /// Records that the user has to sign in before there is a credential again.
    fn sign_out(&mut self) {
        self.set_credential_request(None);
        self.give_up_credential(Errno::NotAuthenticated.into());
    }

    fn give_up_credential(&mut self, error: ApiError) {
        if matches!(self.state, ConnectionState::CredentialWanted(_)) {
            self.set_state(ConnectionState::SignedOut(error));
        } else {
            self.credentials.set_renewal_error(error);
        }
    }
}
