//! The phase of a device's socket after it is authenticated.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use presence_core::Settlement;
use presence_core::phase::{AuthenticatedDevice, FrameAction, SessionDeadline};
use presence_protocol::device::{self, DeviceCommand, DeviceRequest, Proof};
use presence_protocol::{ApiError, CloseCode, NotificationId};
use presence_service::devices::{CommandOutcome, OpenedDevice, WriteReply, settlement_result};
use presence_service::hub::DeviceConnection;
use presence_service::proofs::{self, VerifiedProof};

use super::deliveries::Deliveries;
use super::replies::{DeviceChannel, DeviceReplies};
use crate::socket::protocol_state::{EndWork, Outgoing};

/// The delay before the deadlines are checked again after a session has ended.
const AFTER_SESSION_END: Duration = Duration::from_secs(1);

/// The work on a frame that needs the database or an issuer.
type DeviceWork = Pin<Box<dyn Future<Output = DeviceWorkResult> + Send>>;

/// The result of the work on a frame.
enum DeviceWorkResult {
    Renewed(Result<VerifiedProof, ApiError>, DeviceCommand),
    Settled(Result<(), ApiError>),
}

/// A socket whose user is known.
pub(super) struct DeviceAuthenticated {
    device: AuthenticatedDevice,
    connection: DeviceConnection,
    deliveries: Deliveries,
    /// The work on the last frame; no other frame is read meanwhile.
    work: Option<DeviceWork>,
    /// The notifications that are written, and are settled once they are flushed.
    written: Vec<NotificationId>,
}

impl DeviceAuthenticated {
    /// Begins the phase.
    pub(super) fn new(opened: OpenedDevice) -> Self {
        let OpenedDevice { device, connection, mailbox, pending } = opened;
        tracing::debug!(user = connection.user().0, "device.open");
        let deliveries = Deliveries::new(connection.user(), mailbox, pending);
        Self { device, connection, deliveries, work: None, written: Vec::new() }
    }

    /// Returns true if no frame is being worked on.
    pub(super) fn is_idle(&self) -> bool {
        self.work.is_none()
    }

    /// Handles a frame.
    ///
    /// # Errors
    ///
    /// `slow_down`, and as [`AuthenticatedDevice::handle_frame`].
    pub(super) fn handle_request(
        &mut self,
        request: DeviceRequest,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) -> Result<(), ApiError> {
        let action =
            self.device.handle_frame(request, channel.service.now(), proofs::proof_digest)?;
        let (devices, user) = (channel.service.devices(), self.connection.user());
        match action {
            FrameAction::Apply(command) => {
                devices.check_rate(user, &self.device.device, &command)?;
                self.apply(command, channel, replies);
            }
            FrameAction::Renew(proof, command) => {
                devices.check_renewal_rate(user, &self.device.device, &command)?;
                self.renew(proof, command, channel);
            }
        }
        Ok(())
    }

    /// Counts a frame that no other rate limits: a ping, or one that is refused for another reason.
    ///
    /// # Errors
    ///
    /// `slow_down`.
    pub(super) fn check_free_frame(&self, channel: &DeviceChannel) -> Result<(), ApiError> {
        channel.service.devices().check_frame(self.connection.user())
    }

    fn apply(
        &mut self,
        command: DeviceCommand,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) {
        if let DeviceCommand::Ack(ids) = command {
            self.acknowledge(ids, channel, replies);
            return;
        }
        match channel.service.devices().apply(&self.connection, command) {
            CommandOutcome::Done => replies.ok(),
            CommandOutcome::Settling(reply) => self.settle(reply, channel),
            CommandOutcome::Changing(change) => {
                let changing = async move { DeviceWorkResult::Settled(change.await) };
                self.work = Some(Box::pin(channel.log.instrument(changing)));
            }
        }
    }

    /// Settles acknowledged notifications; after a wait if there are too many frames.
    fn acknowledge(
        &mut self,
        ids: Vec<NotificationId>,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) {
        let (devices, user) = (channel.service.devices(), self.connection.user());
        if devices.check_frame(user).is_ok() {
            match devices.settle(user, ids, Settlement::Acked) {
                None => replies.ok(),
                Some(reply) => self.settle(reply, channel),
            }
            return;
        }
        let service = Arc::clone(&channel.service);
        self.work = Some(Box::pin(channel.log.instrument(async move {
            let devices = service.devices();
            devices.wait_for_frame(user).await;
            DeviceWorkResult::Settled(match devices.settle(user, ids, Settlement::Acked) {
                None => Ok(()),
                Some(reply) => settlement_result(reply).await,
            })
        })));
    }

    fn settle(&mut self, reply: WriteReply<usize>, channel: &DeviceChannel) {
        let settling = async move { DeviceWorkResult::Settled(settlement_result(reply).await) };
        self.work = Some(Box::pin(channel.log.instrument(settling)));
    }

    /// Starts to verify a fresh proof, which renews the session before the command is applied.
    fn renew(&mut self, proof: Proof, command: DeviceCommand, channel: &DeviceChannel) {
        let (service, client) = (Arc::clone(&channel.service), channel.client);
        let device = (self.device.email.clone(), self.device.device.clone());
        let mailbox = Arc::clone(self.deliveries.mailbox());
        self.work = Some(Box::pin(channel.log.instrument(async move {
            let renewed = service.devices().renew(proof, device, mailbox, client).await;
            DeviceWorkResult::Renewed(renewed, command)
        })));
    }

    pub(super) fn poll_work(
        &mut self,
        context: &mut Context<'_>,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) {
        while let Some(work) = &mut self.work {
            let Poll::Ready(result) = work.as_mut().poll(context) else { return };
            self.work = None;
            match result {
                DeviceWorkResult::Renewed(Ok(proof), command) => {
                    self.device.renew(proof.digest(), proof.expires_at());
                    self.apply(command, channel, replies);
                }
                DeviceWorkResult::Settled(Ok(())) => replies.ok(),
                DeviceWorkResult::Renewed(Err(error), _)
                | DeviceWorkResult::Settled(Err(error)) => {
                    replies.error(&error, channel.service.steady());
                }
            }
        }
    }

    /// Reads on in the pending notifications. Closes the socket if they cannot be read: they wait
    /// for the next connection.
    pub(super) fn poll_deliveries(
        &mut self,
        context: &mut Context<'_>,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) {
        if self.deliveries.poll_load(context, channel).is_err() {
            self.deliveries.cancel();
            replies.push(Outgoing::Close(CloseCode::TryAgainLater));
        }
    }

    pub(super) fn cancel_pending(&mut self) {
        self.work = None;
        self.deliveries.cancel();
    }

    pub(super) fn handle_wake(&mut self) {
        self.deliveries.handle_wake();
    }

    /// Sends the next frame with notifications, if there are any.
    pub(super) fn send_notifications(
        &mut self,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) {
        let known = self.written.len();
        let frame = self.deliveries.next_frame(channel, &mut self.written);
        if self.device.acks {
            self.written.truncate(known);
        }
        if let Some(frame) = frame {
            replies.push(Outgoing::Text(frame));
        }
    }

    /// Settles the notifications of a device that does not acknowledge them.
    pub(super) fn handle_flushed(&mut self, channel: &DeviceChannel) {
        if self.written.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.written);
        // A reply is not needed: if settling fails, the notification is sent again later, with the
        // same id.
        drop(channel.service.devices().settle(self.connection.user(), ids, Settlement::Delivered));
    }

    /// Announces the end of the session, or closes the socket after it. Returns the time until the
    /// next deadline.
    pub(super) fn handle_time(
        &mut self,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) -> Duration {
        let now = channel.service.now();
        loop {
            match self.device.check_session(now) {
                SessionDeadline::CheckAt(at) => return at - now,
                SessionDeadline::Warn(seconds) => {
                    replies.push(Outgoing::Text(device::expires_in(seconds).into()));
                    channel.waker.wake();
                }
                SessionDeadline::Close => {
                    channel.waker.close(CloseCode::NotAuthorised);
                    return AFTER_SESSION_END;
                }
            }
        }
    }

    pub(super) fn end(self, clean: bool, channel: &DeviceChannel) -> Option<EndWork> {
        tracing::debug!(user = self.connection.user().0, clean, "device.end");
        let closing = channel.service.devices().close(self.connection, clean)?;
        Some(Box::pin(closing))
    }
}
