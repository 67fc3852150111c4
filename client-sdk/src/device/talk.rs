//! What a device says and hears, without a socket.

use std::time::Duration;

use presence_protocol::device::client::{ServerToDevice, parse_frame};
use presence_protocol::device::{DeviceAuth, DeviceRequest, LiveNotification, Proof};
use presence_protocol::{ApiError, DeviceName, Errno, NotificationId, RequestId};
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::inbox::{Arrival, Inbox};
use super::wish::{Said, Wishes};
use super::{DeviceEvent, DeviceOptions};
use crate::credential::{Credential, CredentialReason};
use crate::error::{Error, retry_after};
use crate::link::{Loss, Pulled, Talk, Verdict};
use crate::state::ConnectionState;

/// How long to wait with a frame that the server could not take, where it does not say.
const A_WHILE: Duration = Duration::from_secs(1);

pub(super) struct DeviceTalk {
    device: DeviceName,
    wishes: Wishes,
    inbox: Inbox,
    state: ConnectionState,
    credential: Option<Credential>,
    /// The credential was accepted at least once.
    is_proved: bool,
    /// A fresh one, to be sent on the open socket; the old one stays until this one is accepted.
    fresh: Option<Credential>,
    /// A fresh credential was refused on the open socket.
    renewal_refused: Option<ApiError>,
    wanted: Option<CredentialReason>,
    is_accepted: bool,
    in_flight: Option<Flight>,
    held_until: Option<Instant>,
    /// What the server will never take, for who waits for it to settle.
    refused: Option<ApiError>,
    next_id: u64,
}

/// A frame whose reply has not come. One at a time: the newest wish waits for the reply to the one before.
#[derive(Debug)]
struct Flight {
    id: u64,
    said: Said,
    /// It carries a credential.
    greets: bool,
    /// The credential is the fresh one.
    renews: bool,
}

impl DeviceTalk {
    pub(super) fn new(options: &mut DeviceOptions) -> Self {
        let credential = options.credential.take();
        let (state, wanted) = match credential {
            Some(_) => (ConnectionState::Connecting { attempt: 1 }, None),
            None => (
                ConnectionState::CredentialWanted(CredentialReason::First),
                Some(CredentialReason::First),
            ),
        };
        let mut inbox = Inbox::new(state.clone());
        inbox.wanted(wanted);
        let visibility = options.visibility.take();
        Self {
            device: options.device.clone(),
            wishes: Wishes::new(options.status, options.message.take(), visibility),
            inbox,
            state,
            credential,
            is_proved: false,
            fresh: None,
            renewal_refused: None,
            wanted,
            is_accepted: false,
            in_flight: None,
            held_until: None,
            refused: None,
            next_id: 1,
        }
    }

    pub(super) fn wishes(&mut self) -> &mut Wishes {
        self.refused = None;
        &mut self.wishes
    }

    pub(super) fn acknowledge(&mut self, id: NotificationId) {
        self.inbox.acknowledge(id);
        self.wishes.acknowledge(id);
    }

    pub(super) fn pull(&mut self) -> Option<Pulled<DeviceEvent>> {
        self.inbox.pull()
    }

    pub(super) fn pull_notification(&mut self) -> Option<Pulled<LiveNotification>> {
        self.inbox.pull_notification()
    }

    pub(super) fn pull_credential_request(&mut self) -> Option<Pulled<CredentialReason>> {
        self.inbox.pull_credential_request()
    }

    /// Whether the task should look if there is room for what was left with the server.
    pub(super) fn has_left_some(&self) -> bool {
        self.inbox.has_left_some()
    }

    /// Whether the server has confirmed all wishes; a refusal is told once.
    pub(super) fn confirmed(&mut self) -> Option<Result<(), Error>> {
        if let ConnectionState::Ended(end) = &self.state {
            return Some(Err(Error::Ended(end.clone())));
        }
        if let Some(ko) = self.refused.take() {
            return Some(Err(Error::Refused(ko)));
        }
        let confirmed = self.is_accepted && self.in_flight.is_none() && self.wishes.are_said();
        confirmed.then_some(Ok(()))
    }

    pub(super) fn set_credential(&mut self, credential: Credential) {
        self.fresh = Some(credential);
        self.want(None);
        self.renewal_refused = None;
    }

    /// There is none any more: the user has to sign in.
    pub(super) fn sign_out(&mut self) {
        self.want(None);
        let ko = ApiError::from(Errno::NotAuthenticated);
        if matches!(self.state, ConnectionState::CredentialWanted(_)) {
            self.set_state(ConnectionState::SignedOut(ko));
        } else {
            self.renewal_refused = Some(ko);
        }
    }

    /// Why a credential is wanted, if one is.
    pub(super) fn wanted(&self) -> Option<CredentialReason> {
        self.wanted
    }

    fn want(&mut self, wanted: Option<CredentialReason>) {
        self.wanted = wanted;
        self.inbox.wanted(wanted);
    }

    fn on_ok(&mut self, id: Option<u64>) {
        let Some(flight) = self.in_flight.take_if(|flight| Some(flight.id) == id) else { return };
        self.wishes.settle(&flight.said);
        self.is_accepted = true;
        if flight.renews {
            self.take_up_the_fresh_one();
        }
        self.is_proved |= flight.greets;
    }

    fn on_ko(&mut self, ko: ApiError, id: Option<u64>, now: Instant) -> Result<(), Loss> {
        // A refusal without an id is about the frame as such; the one in flight is the only one it can mean.
        let Some(flight) = self.in_flight.take_if(|flight| id.is_none() || Some(flight.id) == id)
        else {
            return Ok(());
        };
        if !self.is_accepted {
            return Err(Loss::Refused(ko));
        }
        let waits = ko.errno.retry_advice() == presence_protocol::RetryAdvice::AfterWaiting;
        if waits {
            self.held_until = Some(now + retry_after(&ko).unwrap_or(A_WHILE));
            self.wishes.unsay(flight.said);
        } else if flight.renews {
            self.fresh = None;
            self.renewal_refused = Some(ko);
        } else if ko.errno == Errno::SessionExpired {
            self.want(Some(CredentialReason::Expired));
            self.held_until = Some(now + A_WHILE);
            self.wishes.unsay(flight.said);
        } else {
            self.wishes.settle(&flight.said);
            self.refused = Some(ko);
        }
        Ok(())
    }

    fn on_notifications(&mut self, notifications: Vec<LiveNotification>) {
        for notification in notifications {
            let id = notification.id;
            match self.inbox.arrive(notification) {
                Arrival::Acknowledged => self.wishes.acknowledge(id),
                Arrival::New | Arrival::InHands | Arrival::LeftWithTheServer => {}
            }
        }
    }

    fn take_up_the_fresh_one(&mut self) {
        if let Some(fresh) = self.fresh.take() {
            self.credential = Some(fresh);
            self.is_proved = false;
        }
    }

    fn auth(&self) -> DeviceAuth {
        let credential = self.fresh.as_ref().or(self.credential.as_ref());
        let proof = credential.map(|credential| match credential {
            Credential::Assertion(text) => Proof::Assertion(text.expose_secret().to_owned()),
            Credential::Token(text) => Proof::Token(text.expose_secret().to_owned()),
        });
        DeviceAuth { email: None, proof, device: Some(self.device.clone()), acks: Some(true) }
    }
}

impl Talk for DeviceTalk {
    const SUBPROTOCOL: Option<&'static str> = None;

    fn path(&self) -> String {
        "/presence".to_owned()
    }

    fn is_ready(&self) -> bool {
        self.credential.is_some() || self.fresh.is_some()
    }

    fn on_open(&mut self) {
        self.is_accepted = false;
        self.take_up_the_fresh_one();
        self.held_until = None;
        self.wishes.forget_what_was_said();
        if let Some(flight) = self.in_flight.take() {
            self.wishes.unsay(flight.said);
        }
    }

    fn is_accepted(&self) -> bool {
        self.is_accepted
    }

    fn next_frame(&mut self, now: Instant) -> Option<String> {
        if self.in_flight.is_some() || self.held_until.is_some_and(|until| now < until) {
            return None;
        }
        self.held_until = None;
        let renews = self.fresh.is_some();
        let greets = !self.is_accepted || renews;
        let (command, said) =
            if renews { self.wishes.present_status() } else { self.wishes.next()? };
        let id = self.next_id;
        self.next_id += 1;
        let auth = if greets { self.auth() } else { DeviceAuth::default() };
        self.in_flight = Some(Flight { id, said, greets, renews });
        Some(DeviceRequest { id: Some(RequestId::number(id)), auth, command }.to_json())
    }

    fn wakes_at(&self) -> Option<Instant> {
        self.held_until
    }

    fn wants_another_socket(&mut self) -> bool {
        self.is_accepted && self.inbox.take_room()
    }

    fn on_frame(&mut self, text: &str, now: Instant) -> Result<(), Loss> {
        let frame = parse_frame(text)
            .map_err(|error| Loss::Nonsense(format!("a frame cannot be read: {error}")))?;
        match frame {
            ServerToDevice::Ok(id) => self.on_ok(id),
            ServerToDevice::Error(ko, id) => self.on_ko(ko, id, now)?,
            ServerToDevice::Notifications(notifications) => self.on_notifications(notifications),
            ServerToDevice::ExpiresIn(seconds) => {
                self.want(Some(CredentialReason::Expiring {
                    within: Duration::from_secs(seconds),
                }));
            }
            ServerToDevice::Unknown => {}
        }
        Ok(())
    }

    fn on_loss(&mut self, loss: Loss) -> Verdict {
        self.is_accepted = false;
        if !loss.blames_the_credential() {
            return loss.verdict();
        }
        if self.fresh.is_some() {
            // Given meanwhile, and not tried yet.
            return Verdict::AtOnce;
        }
        self.credential = None;
        let was_good = std::mem::take(&mut self.is_proved);
        let signed_out = match (self.renewal_refused.take(), loss) {
            (None, _) if was_good => {
                self.want(Some(CredentialReason::Expired));
                return Verdict::Await(ConnectionState::CredentialWanted(
                    CredentialReason::Expired,
                ));
            }
            (Some(ko), _) | (None, Loss::Refused(ko)) => ko,
            (None, _) => Errno::NotAuthenticated.into(),
        };
        self.want(None);
        Verdict::Await(ConnectionState::SignedOut(signed_out))
    }

    fn state(&self) -> &ConnectionState {
        &self.state
    }

    fn set_state(&mut self, state: ConnectionState) {
        if self.state == state {
            return;
        }
        tracing::debug!(?state, "the channel's state");
        self.state = state.clone();
        self.inbox.state(state);
    }
}

#[cfg(test)]
mod tests;
