//! The use cases of a device's connection.

use std::net::IpAddr;
use std::sync::Arc;

use presence_core::View;
use presence_core::phase::{AuthenticatedDevice, FirstFrame};
use presence_core::{Email, Notification, Settlement, UserId};
use presence_protocol::device::{DeviceCommand, Proof, StatusReport};
use presence_protocol::{ApiError, DeviceName, Errno, NotificationId};
use presence_store::WriteReply;

use crate::hub::DeviceConnection;
use crate::mailbox::Mailbox;
use crate::refusal::of_store;
use crate::service::PresenceService;
use crate::sessions::VerifiedProof;
use crate::socket_waker::SocketWaker;

/// A device connection whose user is known.
pub struct OpenedDevice {
    /// What it may say.
    pub known: AuthenticatedDevice,
    /// Its seat in the hub.
    pub seat: DeviceConnection,
    /// What will be written to it.
    pub mailbox: Arc<Mailbox>,
    /// What waited for it.
    pub pending: Vec<Arc<Notification>>,
}

/// What a device's frame led to.
pub enum CommandOutcome {
    /// It is done.
    Done,
    /// It is done once these are settled.
    Settling(WriteReply<usize>),
}

impl PresenceService {
    /// Opens a device's connection: who it is, its seat, its grants, what waited for it, then the effect of its first frame.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::identify`], and `slow_down` or `too_many_connections`.
    pub async fn open_device(
        &self,
        claim: FirstFrame,
        bell: Arc<SocketWaker>,
        client: Option<IpAddr>,
    ) -> Result<OpenedDevice, ApiError> {
        let (proof, device) = (&claim.proof, &claim.device);
        let identified = self.identify(proof, claim.email.as_deref(), device, client).await?;
        let VerifiedProof { user, email, expires_at, digest, generation } = identified;
        // Before the seat is taken, so that who is refused replaces nobody.
        self.raise(user, generation.as_ref(), None).await?;
        self.spend(user, device, &claim.command)?;
        let mailbox = Arc::new(Mailbox::new(bell, digest));
        if let Some(generation) = &generation {
            mailbox.set_generation(generation);
        }
        let seat = self
            .hub
            .connect(user, device.clone(), Arc::clone(&mailbox))
            .map_err(|_| ApiError::from(Errno::TooManyConnections).after(1.0))?;
        self.note_arrival().await;
        let loaded = self.writer.load(user).await.map_err(of_store)?;
        // Who erased the account, or signed out, since the proof was checked did not find this device in the hub.
        if !loaded.is_there {
            return Err(Errno::SessionExpired.into());
        }
        if let Proof::Token(_) = proof {
            self.bearer_of(digest).await?;
        }
        self.is_current(user, generation.as_ref()).await?;
        self.hub.set_grants(user, loaded.grants, &loaded.apps);
        loaded.taken.into_iter().for_each(|(app, puid)| self.hub.note_taken(app, puid));
        let (known, command) = claim.authenticate(email, digest, expires_at);
        let newer = mailbox.take_unloaded(&loaded.pending, loaded.up_to);
        let pending = loaded.pending.into_iter().map(Arc::new).chain(newer).collect();
        if let CommandOutcome::Settling(answer) = self.apply(&seat, command) {
            answer.await.map_err(of_store)?;
        }
        Ok(OpenedDevice { known, seat, mailbox, pending })
    }

    /// Counts a frame against the device's rate; acknowledgements are free.
    ///
    /// # Errors
    ///
    /// `slow_down`.
    pub fn spend(
        &self,
        user: UserId,
        device: &DeviceName,
        command: &DeviceCommand,
    ) -> Result<(), ApiError> {
        match command {
            DeviceCommand::Ack(_) => Ok(()),
            DeviceCommand::Status(_) | DeviceCommand::Visibility(_) => {
                self.rates.status(user, device)
            }
        }
    }

    /// Applies a frame of a known device.
    pub fn apply(&self, seat: &DeviceConnection, command: DeviceCommand) -> CommandOutcome {
        match command {
            DeviceCommand::Status(StatusReport { status, message, application_ids }) => {
                seat.report(View::new(status, message), application_ids);
                CommandOutcome::Done
            }
            DeviceCommand::Visibility(apps) => {
                seat.set_visibility(apps);
                CommandOutcome::Done
            }
            DeviceCommand::Ack(ids) => {
                CommandOutcome::Settling(self.settle(seat.user(), ids, Settlement::Acked))
            }
        }
    }

    /// A device took notifications.
    pub fn settle(
        &self,
        user: UserId,
        ids: Vec<NotificationId>,
        how: Settlement,
    ) -> WriteReply<usize> {
        self.writer.settle(user, ids, how)
    }

    /// Checks a fresh proof of a known device; it must be for the same e-mail. From then on the connection ends with this proof
    /// too, where that is ended.
    ///
    /// # Errors
    ///
    /// As [`PresenceService::identify`].
    pub async fn renew(
        &self,
        proof: Proof,
        (email, device): (Email, DeviceName),
        mailbox: Arc<Mailbox>,
        client: Option<IpAddr>,
    ) -> Result<VerifiedProof, ApiError> {
        let identified = self.identify(&proof, Some(email.as_str()), &device, client).await?;
        let VerifiedProof { user, digest, generation, .. } = &identified;
        self.raise(*user, generation.as_ref(), Some(&mailbox)).await?;
        mailbox.renew(*digest);
        if let Some(generation) = generation {
            mailbox.set_generation(generation);
        }
        // Who signed out since the proof was checked did not find it at this connection.
        if let Proof::Token(token) = &proof {
            self.caller(token).await?;
        }
        self.is_current(*user, generation.as_ref()).await?;
        Ok(identified)
    }
}

/// The failure of a settlement, as the device hears it.
///
/// # Errors
///
/// `storage_unavailable`.
pub async fn settled(answer: WriteReply<usize>) -> Result<(), ApiError> {
    answer.await.map(drop).map_err(of_store)
}
