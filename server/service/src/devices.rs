//! The devices of users and their connections.

mod end;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use presence_core::phase::{AuthenticatedDevice, FirstFrame};
use presence_core::roster::DeviceInfo;
use presence_core::token_buckets::LookupKey;
use presence_core::{Clock, Email, Notification, Settlement, UserId, View};
use presence_protocol::device::{DeviceCommand, Proof, StatusReport};
use presence_protocol::{ApiError, DeviceName, Errno, NotificationId, Status};
use presence_store::{LoadedUser, Store, Writer};
pub use presence_store::{PENDING_PAGE, WriteReply};

use crate::attempts::{Attempt, CredentialKind};
use crate::errors::from_store;
use crate::hub::{ConnectError, DeviceConnection, Hub, PresenceChange};
use crate::mailbox::Mailbox;
use crate::presence_flag::PresenceFlag;
use crate::proofs::{CheckedProof, CountedProofs, DeviceCredentials, VerifiedProof};
use crate::rates::KeyedRateLimiter;
use crate::settings::ServiceSettings;
use crate::socket_waker::SocketWaker;
use crate::user_changes::{ChangeEffect, UserChanges};

/// An open connection of an authenticated device.
pub struct OpenedDevice {
    /// The device.
    pub device: AuthenticatedDevice,
    /// The connection, as the hub knows it.
    pub connection: DeviceConnection,
    /// The mailbox of what is to be written to the connection.
    pub mailbox: Arc<Mailbox>,
    /// The notifications that were pending when the connection was opened. Those in the mailbox
    /// follow them.
    pub pending: PendingNotifications,
}

/// The notifications that were pending when a connection was opened, in the order of acceptance.
pub struct PendingNotifications {
    /// The first ones.
    pub first: Vec<Notification>,
    /// The `seq` of each of the others, which [`Devices::load_pending`] reads in pages.
    pub later: Vec<i64>,
}

/// The outcome of a device's command.
pub enum CommandOutcome {
    /// The command is done.
    Done,
    /// The command is done once the writer has settled these notifications, which were too many to
    /// be noted.
    Settling(WriteReply<usize>),
    /// The command is done once presence is changed.
    Changing(BoxFuture<'static, Result<(), ApiError>>),
}

impl From<PresenceChange> for CommandOutcome {
    fn from(change: PresenceChange) -> Self {
        match change {
            PresenceChange::Done => Self::Done,
            PresenceChange::Pending(change) => Self::Changing(change),
        }
    }
}

/// A device that its user has ended.
pub struct EndedDevice {
    /// Set if the session of the caller had let the device in, and stays.
    pub keeps_session: bool,
}

/// A connection that is registered, with what the database holds of its user.
struct Registered {
    connection: DeviceConnection,
    mailbox: Arc<Mailbox>,
    loaded: LoadedUser,
}

/// The key of a device in a limiter, without a copy of its name.
#[derive(Hash)]
struct DeviceKey<'a>(UserId, &'a DeviceName);

impl LookupKey<(UserId, DeviceName)> for DeviceKey<'_> {
    fn is(&self, (user, device): &(UserId, DeviceName)) -> bool {
        self.0 == *user && self.1 == device
    }

    fn to_key(&self) -> (UserId, DeviceName) {
        (self.0, self.1.clone())
    }
}

/// The devices of users and their connections.
pub struct Devices {
    store: Store,
    writer: Writer,
    clock: Arc<dyn Clock>,
    hub: Arc<Hub>,
    proofs: CountedProofs,
    presence_flag: Arc<PresenceFlag>,
    rate: KeyedRateLimiter<(UserId, DeviceName)>,
    /// The rate of the frames that `rate` does not limit.
    frames: KeyedRateLimiter<UserId>,
    changes: Arc<UserChanges>,
}

impl Devices {
    pub(crate) fn new(
        (store, writer, clock): (Store, Writer, Arc<dyn Clock>),
        hub: Arc<Hub>,
        proofs: CountedProofs,
        presence_flag: Arc<PresenceFlag>,
        (settings, changes): (&ServiceSettings, Arc<UserChanges>),
    ) -> Self {
        let rate = KeyedRateLimiter::new(settings.status_rate, Arc::clone(&clock));
        let frames = KeyedRateLimiter::new(settings.frame_rate, Arc::clone(&clock));
        Self { store, writer, clock, hub, proofs, presence_flag, rate, frames, changes }
    }

    /// Opens a device connection: checks the proof, registers the connection, loads the grants and
    /// pending notifications of the user, and applies the command of the first frame.
    ///
    /// # Errors
    ///
    /// `invalid_assertion`, `email_mismatch`, `session_expired`, `identity_unavailable`,
    /// `slow_down`, `too_many_connections`, `storage_unavailable`.
    pub async fn open(
        &self,
        first: FirstFrame,
        waker: Arc<SocketWaker>,
        client: IpAddr,
    ) -> Result<OpenedDevice, ApiError> {
        let FirstFrame { email, proof, device, acks, command } = first;
        let credentials =
            DeviceCredentials { proof: &proof, email: email.as_deref(), device: &device };
        let (kind, credentials) = (credentials.kind(), &credentials);
        let open = |attempt: Attempt| async move {
            let checked = self.proofs.verifier.check_device(&attempt, credentials, None).await?;
            // The rate is checked before the registration, so that a refused connection replaces no
            // other.
            self.check_first_rate(checked.user(), credentials, &command)?;
            let registered = self.register(&checked, credentials.device, waker).await?;
            let Registered { connection, mailbox, mut loaded } = registered;
            let proof = self.proofs.verifier.confirm(checked).await?;
            let user = connection.user();
            let first = loaded.pending.iter().map(|notification| notification.seq);
            let seqs: Vec<i64> = first.chain(loaded.later.iter().copied()).collect();
            self.hub.apply_load(user, &mut loaded, seqs, &mailbox);
            match self.apply(&connection, command) {
                CommandOutcome::Done => {}
                CommandOutcome::Settling(reply) => settlement_result(reply).await?,
                CommandOutcome::Changing(change) => change.await?,
            }
            let (first, later) = (loaded.pending, loaded.later);
            let device = proof.into_device(credentials.device.clone(), acks);
            let pending = PendingNotifications { first, later };
            Ok(OpenedDevice { device, connection, mailbox, pending })
        };
        self.proofs.attempts.count(client, kind, open).await
    }

    /// Reads pending notifications of a user by their `seq`, at most [`PENDING_PAGE`]. Those that
    /// are settled, expired or paused meanwhile are left out.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn load_pending(
        &self,
        user: UserId,
        seqs: &[i64],
    ) -> Result<Vec<Notification>, ApiError> {
        // Read before the page: a settlement that is written meanwhile is in the page's rows.
        let settled = self.writer.noted(user);
        let page = self.store.pending_page(user, seqs, self.clock.now()).await;
        let mut page = page.map_err(from_store)?;
        page.retain(|notification| !settled.contains(&notification.id.to_string()));
        Ok(page)
    }

    /// Renews the proof that holds a connection open; it must be for the same e-mail. From then on
    /// the connection also ends with the new proof.
    ///
    /// # Errors
    ///
    /// `invalid_assertion`, `email_mismatch`, `session_expired`, `identity_unavailable`,
    /// `slow_down`, `storage_unavailable`.
    pub async fn renew(
        &self,
        proof: Proof,
        (email, device): (Email, DeviceName),
        mailbox: Arc<Mailbox>,
        client: IpAddr,
    ) -> Result<VerifiedProof, ApiError> {
        let credentials =
            DeviceCredentials { proof: &proof, email: Some(email.as_str()), device: &device };
        let (kind, credentials, mailbox) = (credentials.kind(), &credentials, &mailbox);
        let renew = |attempt: Attempt| async move {
            let verifier = &self.proofs.verifier;
            let checked = verifier.check_device(&attempt, credentials, Some(mailbox)).await?;
            mailbox.renew(checked.digest());
            admit(mailbox, &checked);
            set_generation(mailbox, &checked);
            self.hub.note_renewal(checked.user(), mailbox).await.map_err(from_store)?;
            verifier.confirm(checked).await
        };
        self.proofs.attempts.count(client, kind, renew).await
    }

    /// Counts a frame of a user's devices that no other rate limits.
    ///
    /// # Errors
    ///
    /// `slow_down`.
    pub fn check_frame(&self, user: UserId) -> Result<(), ApiError> {
        self.frames.check(&user)
    }

    /// Waits until such a frame may be handled. An acknowledgement waits instead of being refused,
    /// since the device would then get the notification again.
    pub async fn wait_for_frame(&self, user: UserId) {
        self.frames.wait(&user).await;
    }

    /// Counts a command against the rates of the device and of its user. Acknowledgements are free,
    /// and what takes sight away is never refused.
    ///
    /// # Errors
    ///
    /// `slow_down`.
    pub fn check_rate(
        &self,
        user: UserId,
        device: &DeviceName,
        command: &DeviceCommand,
    ) -> Result<(), ApiError> {
        match self.effect(user, device, command) {
            ChangeEffect::Nothing => Ok(()),
            ChangeEffect::Hides => {
                self.rate.charge(&DeviceKey(user, device));
                self.changes.hide(user);
                Ok(())
            }
            ChangeEffect::Shows => {
                self.changes.show(user)?;
                let counted = self.rate.check(&DeviceKey(user, device));
                counted.inspect_err(|_| self.changes.uncount_show(user))
            }
        }
    }

    /// Counts a command whose frame has a proof to verify. The verification counts against the rate
    /// of the device, whatever the command is.
    ///
    /// # Errors
    ///
    /// `slow_down`.
    pub fn check_renewal_rate(
        &self,
        user: UserId,
        device: &DeviceName,
        command: &DeviceCommand,
    ) -> Result<(), ApiError> {
        match self.effect(user, device, command) {
            ChangeEffect::Nothing => self.rate.check(&DeviceKey(user, device)),
            ChangeEffect::Hides => {
                self.rate.check(&DeviceKey(user, device))?;
                self.changes.hide(user);
                Ok(())
            }
            ChangeEffect::Shows => self.check_rate(user, device, command),
        }
    }

    /// Counts the command of a first frame, of which an assertion was verified.
    fn check_first_rate(
        &self,
        user: UserId,
        credentials: &DeviceCredentials<'_>,
        command: &DeviceCommand,
    ) -> Result<(), ApiError> {
        match (credentials.kind(), self.effect(user, credentials.device, command)) {
            (CredentialKind::Assertion, ChangeEffect::Nothing) => {
                self.rate.check(&DeviceKey(user, credentials.device))
            }
            _ => self.check_rate(user, credentials.device, command),
        }
    }

    fn effect(&self, user: UserId, device: &DeviceName, command: &DeviceCommand) -> ChangeEffect {
        match command {
            DeviceCommand::Ack(_) => ChangeEffect::Nothing,
            DeviceCommand::Status(report) if report.status == Status::Offline => {
                ChangeEffect::Hides
            }
            DeviceCommand::Visibility(apps) if self.hub.narrows_visibility(user, device, apps) => {
                ChangeEffect::Hides
            }
            DeviceCommand::Status(_) | DeviceCommand::Visibility(_) => ChangeEffect::Shows,
        }
    }

    /// Applies a command of a device.
    pub fn apply(&self, connection: &DeviceConnection, command: DeviceCommand) -> CommandOutcome {
        match command {
            DeviceCommand::Status(StatusReport { status, message, application_ids }) => {
                connection.report(View::new(status, message), application_ids).into()
            }
            DeviceCommand::Visibility(apps) => connection.set_visibility(apps).into(),
            DeviceCommand::Ack(ids) => {
                match self.settle(connection.user(), ids, Settlement::Acked) {
                    Some(reply) => CommandOutcome::Settling(reply),
                    None => CommandOutcome::Done,
                }
            }
        }
    }

    /// Settles notifications that a device has received or acknowledged. They are noted, and
    /// written with those of all other users, so that the time of the write shows nothing about one
    /// user. If too many are noted, they are written at once, and the reply is returned.
    pub fn settle(
        &self,
        user: UserId,
        ids: Vec<NotificationId>,
        how: Settlement,
    ) -> Option<WriteReply<usize>> {
        let is_noted = self.writer.note_settled(user, &ids, how);
        (!is_noted).then(|| self.writer.settle(user, ids, how))
    }

    /// Ends a connection, by a clean close or otherwise. If settlements of the user are noted, they
    /// are written before, and the work for it is returned.
    pub fn close(
        &self,
        connection: DeviceConnection,
        clean: bool,
    ) -> Option<BoxFuture<'static, ()>> {
        if clean {
            self.changes.hide(connection.user());
        }
        let Some(writing) = self.writer.write_noted(connection.user()) else {
            return connection.disconnect(clean);
        };
        Some(Box::pin(async move {
            // After an error they are still noted, and the next load knows them.
            writing.await.ok();
            if let Some(rest) = connection.disconnect(clean) {
                rest.await;
            }
        }))
    }

    /// Returns the devices of a user that are connected or in their grace time.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub async fn list(&self, user: UserId) -> Result<Vec<DeviceInfo>, ApiError> {
        self.hub.devices_of(user).await.map_err(from_store)
    }

    /// Forgets the devices that may send their full number of commands again.
    pub(crate) fn prune(&self) {
        self.rate.prune();
        self.frames.prune();
    }

    /// Registers a connection in the hub, and loads what the database holds of its user.
    async fn register(
        &self,
        checked: &CheckedProof,
        device: &DeviceName,
        waker: Arc<SocketWaker>,
    ) -> Result<Registered, ApiError> {
        let mailbox = Arc::new(Mailbox::new(waker, checked.digest()));
        admit(&mailbox, checked);
        set_generation(&mailbox, checked);
        let connection =
            self.hub.connect(checked.user(), device.clone(), &mailbox).await.map_err(|error| {
                match error {
                    ConnectError::TooManyDevices(_) => {
                        ApiError::from(Errno::TooManyConnections).with_retry_after(1.0)
                    }
                    ConnectError::NoUser => Errno::SessionExpired.into(),
                    ConnectError::Store(error) => from_store(error),
                }
            })?;
        self.presence_flag.persist_first_connection().await;
        let loaded = self.writer.load(checked.user()).await.map_err(from_store)?;
        // An erasure between the check and the registration did not find this connection.
        if !loaded.user_exists {
            return Err(Errno::SessionExpired.into());
        }
        Ok(Registered { connection, mailbox, loaded })
    }
}

fn admit(mailbox: &Mailbox, checked: &CheckedProof) {
    let admissions = checked.admissions();
    mailbox.admit(&admissions);
    let until = checked.expires_at();
    admissions.0.iter().for_each(|digest| mailbox.mark_session(digest, until));
}

fn set_generation(mailbox: &Mailbox, checked: &CheckedProof) {
    if let Some(generation) = checked.generation() {
        mailbox.set_generation(generation);
    }
}

/// Returns the result of a settlement, as the device sees it.
///
/// # Errors
///
/// `storage_unavailable`.
pub async fn settlement_result(reply: WriteReply<usize>) -> Result<(), ApiError> {
    reply.await.map(drop).map_err(from_store)
}
