//! The phase of a device's socket after it is authenticated.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use presence_core::phase::{AuthenticatedDevice, FrameAction, SessionDeadline};
use presence_core::{Notification, Settlement};
use presence_protocol::device::{self, DeviceCommand, DeviceRequest, Proof};
use presence_protocol::{ApiError, CloseCode, NotificationId};
use presence_service::Mailbox;
use presence_service::devices::{CommandOutcome, OpenedDevice, settlement_result};
use presence_service::hub::DeviceConnection;
use presence_service::proofs::{self, VerifiedProof};

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
    mailbox: Arc<Mailbox>,
    /// The work on the last frame; no other frame is read meanwhile.
    work: Option<DeviceWork>,
    /// The notifications that are written, and are settled once they are flushed.
    written: Vec<NotificationId>,
    /// The mailbox may hold notifications.
    has_news: bool,
}

impl DeviceAuthenticated {
    /// Begins the phase, and sends the notifications that waited for the device.
    pub(super) fn new(opened: OpenedDevice, replies: &mut DeviceReplies) -> Self {
        let OpenedDevice { device, connection, mailbox, pending } = opened;
        tracing::debug!(user = connection.user().0, "device.open");
        let mut opened =
            Self { device, connection, mailbox, work: None, written: Vec::new(), has_news: true };
        opened.send_notifications(&pending, replies);
        opened
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
        let (FrameAction::Apply(command) | FrameAction::Renew(_, command)) = &action;
        channel.service.devices().check_rate(
            self.connection.user(),
            &self.device.device,
            command,
        )?;
        match action {
            FrameAction::Apply(command) => self.apply(command, channel, replies),
            FrameAction::Renew(proof, command) => self.renew(proof, command, channel),
        }
        Ok(())
    }

    fn apply(
        &mut self,
        command: DeviceCommand,
        channel: &DeviceChannel,
        replies: &mut DeviceReplies,
    ) {
        match channel.service.devices().apply(&self.connection, command) {
            CommandOutcome::Done => replies.ok(),
            CommandOutcome::Settling(reply) => {
                let settling =
                    async move { DeviceWorkResult::Settled(settlement_result(reply).await) };
                self.work = Some(Box::pin(channel.log.instrument(settling)));
            }
        }
    }

    /// Starts to verify a fresh proof, which renews the session before the command is applied.
    fn renew(&mut self, proof: Proof, command: DeviceCommand, channel: &DeviceChannel) {
        let (service, client) = (Arc::clone(&channel.service), channel.client);
        let device = (self.device.email.clone(), self.device.device.clone());
        let mailbox = Arc::clone(&self.mailbox);
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

    pub(super) fn cancel_pending(&mut self) {
        self.work = None;
    }

    pub(super) fn handle_wake(&mut self) {
        self.has_news = true;
    }

    /// Sends the notifications that have arrived in the mailbox since the last call.
    pub(super) fn read_mailbox(&mut self, replies: &mut DeviceReplies) {
        if std::mem::take(&mut self.has_news) {
            let notifications = self.mailbox.take();
            self.send_notifications(&notifications, replies);
        }
    }

    fn send_notifications(
        &mut self,
        notifications: &[Arc<Notification>],
        replies: &mut DeviceReplies,
    ) {
        if notifications.is_empty() {
            return;
        }
        let items: Vec<_> = notifications.iter().map(|item| wire_notification(item)).collect();
        replies.push(Outgoing::Text(device::notifications(&items).into()));
        if !self.device.acks {
            self.written.extend(notifications.iter().map(|item| item.id));
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

fn wire_notification(item: &Notification) -> device::LiveNotification {
    device::LiveNotification {
        source: item.source.as_ref().to_owned(),
        application: item.application.as_ref().to_owned(),
        domain: item.domain.as_ref().to_owned(),
        message: item.message.as_ref().to_owned(),
        action: item.action.as_ref().to_owned(),
        appid: item.app,
        id: item.id,
        sent_at: item.sent_at,
    }
}
