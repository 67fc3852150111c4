//! The conversation on the Device Presence Channel.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use presence_core::phase::{AuthenticatedDevice, FirstFrame, FrameAction, SessionDeadline};
use presence_core::violation_window::ViolationWindow;
use presence_core::{Notification, Settlement};
use presence_protocol::device::{self, DeviceCommand, DeviceRequest};
use presence_protocol::{
    ApiError, AppId, CloseCode, Errno, NotificationId, RequestId, RetryAdvice,
};
use presence_service::devices::{CommandOutcome, OpenedDevice, settlement_result};
use presence_service::hub::DeviceConnection;
use presence_service::proofs::{self, VerifiedProof};
use presence_service::{Mailbox, PresenceService, SocketWaker};
use tracing::Span;

use super::outgoing::OutgoingQueue;
use super::socket_loop::{Outgoing, ProtocolState};
use crate::meter::{self, Channel};

/// How many replies may wait to be written before no more frames are read.
const UNSAID: usize = 64;
/// How many proofs a stranger may fail with before the socket is closed.
const ATTEMPTS: u32 = 3;

type Pending = Pin<Box<dyn Future<Output = Event> + Send>>;

/// What became of something that took its time.
enum Event {
    Opened(Result<Box<OpenedDevice>, ApiError>),
    Renewed(Result<VerifiedProof, ApiError>, DeviceCommand),
    Settled(Result<(), ApiError>),
}

/// A device whose user is known, in its seat.
struct Guest {
    known: AuthenticatedDevice,
    seat: DeviceConnection,
    mailbox: Arc<Mailbox>,
}

/// The conversation with one device.
pub(crate) struct DeviceProtocol {
    presence: Arc<PresenceService>,
    bell: Arc<SocketWaker>,
    /// The address of the client.
    client: IpAddr,
    guest: Option<Guest>,
    pending: Option<Pending>,
    /// The `id` of the frame that is being worked on.
    id: Option<RequestId>,
    out: OutgoingQueue,
    /// Written, and to be settled once it is flushed.
    written: Vec<NotificationId>,
    attempts: u32,
    patience: ViolationWindow,
    /// The mailbox may hold something.
    news: bool,
    /// Why whoever is there would be closed as unknown.
    unknown: CloseCode,
}

impl DeviceProtocol {
    pub(crate) fn new(
        presence: Arc<PresenceService>,
        bell: Arc<SocketWaker>,
        client: IpAddr,
    ) -> Self {
        Self {
            presence,
            bell,
            client,
            guest: None,
            pending: None,
            id: None,
            out: OutgoingQueue::default(),
            written: Vec::new(),
            attempts: 0,
            patience: ViolationWindow::default(),
            news: false,
            unknown: CloseCode::Silent,
        }
    }

    fn take(&mut self, request: DeviceRequest) -> Result<(), ApiError> {
        let Some(guest) = &mut self.guest else {
            let claim = FirstFrame::from_request(request)?;
            let (presence, bell) = (Arc::clone(&self.presence), Arc::clone(&self.bell));
            let client = self.client;
            // Whom we keep waiting for too long has done nothing wrong.
            self.unknown = CloseCode::TryAgainLater;
            self.pending = Some(Box::pin(async move {
                let opened = presence.devices().open(claim, bell, client).await;
                Event::Opened(opened.map(Box::new))
            }));
            return Ok(());
        };
        let heard = guest.known.handle_frame(request, self.presence.now(), proofs::proof_digest)?;
        let (FrameAction::Apply(command) | FrameAction::Renew(_, command)) = &heard;
        self.presence.devices().check_rate(guest.seat.user(), &guest.known.device, command)?;
        match heard {
            FrameAction::Apply(command) => self.apply(command),
            FrameAction::Renew(proof, command) => {
                let (presence, client) = (Arc::clone(&self.presence), self.client);
                let of = (guest.known.email.clone(), guest.known.device.clone());
                let mailbox = Arc::clone(&guest.mailbox);
                self.pending = Some(Box::pin(async move {
                    let renewed = presence.devices().renew(proof, of, mailbox, client).await;
                    Event::Renewed(renewed, command)
                }));
            }
        }
        Ok(())
    }

    fn apply(&mut self, command: DeviceCommand) {
        let Some(guest) = &self.guest else { return };
        match self.presence.devices().apply(&guest.seat, command) {
            CommandOutcome::Done => self.reply_ok(),
            CommandOutcome::Settling(answer) => {
                self.pending =
                    Some(Box::pin(async move { Event::Settled(settlement_result(answer).await) }));
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Opened(Ok(open)) => self.on_opened(*open),
            Event::Opened(Err(ko)) => self.on_turned_away(&ko),
            Event::Renewed(Ok(identified), command) => {
                if let Some(guest) = &mut self.guest {
                    guest.known.renew(identified.digest(), identified.expires_at());
                }
                self.apply(command);
            }
            Event::Settled(Ok(())) => self.reply_ok(),
            Event::Renewed(Err(ko), _) | Event::Settled(Err(ko)) => self.reply_ko(&ko),
        }
    }

    fn on_opened(&mut self, open: OpenedDevice) {
        let OpenedDevice { device: known, connection: seat, mailbox, pending } = open;
        tracing::debug!(user = seat.user().0, "device.open");
        (self.guest, self.news) = (Some(Guest { known, seat, mailbox }), true);
        self.reply_ok();
        self.say_notifications(&pending);
    }

    fn on_turned_away(&mut self, ko: &ApiError) {
        self.reply_ko(ko);
        self.attempts += 1;
        // Who is to wait has not failed: the issuer, the tables or the rate has.
        let is_to_wait = ko.errno.retry_advice() == RetryAdvice::AfterWaiting;
        self.unknown = if is_to_wait { CloseCode::TryAgainLater } else { CloseCode::NotAuthorised };
        if ko.errno == Errno::TooManyConnections {
            self.out.push(Outgoing::Close(CloseCode::TryAgainLater));
        } else if self.attempts >= ATTEMPTS && ko.errno != Errno::SlowDown {
            self.out.push(Outgoing::Close(self.unknown));
        }
    }

    fn reply_ok(&mut self) {
        let bytes = match self.id.take() {
            None => Bytes::from_static(device::OK.as_bytes()),
            Some(id) => device::ok(Some(&id)).into_owned().into(),
        };
        self.out.push(Outgoing::Text(bytes));
    }

    fn reply_ko(&mut self, ko: &ApiError) {
        meter::count_error(ko.errno);
        let id = self.id.take();
        self.out.push(Outgoing::Text(ko.to_json(id.as_ref()).into()));
        let too_fast = ko.errno == Errno::SlowDown;
        if too_fast && self.patience.record(self.presence.steady()) {
            self.out.push(Outgoing::Close(CloseCode::TooSlowOrTooFast));
        }
    }

    fn say_notifications(&mut self, notifications: &[Arc<Notification>]) {
        if notifications.is_empty() {
            return;
        }
        let items: Vec<_> = notifications.iter().map(|item| on_the_wire(item)).collect();
        self.out.push(Outgoing::Text(device::notifications(&items).into()));
        if self.guest.as_ref().is_some_and(|guest| !guest.known.acks) {
            self.written.extend(notifications.iter().map(|item| item.id));
        }
    }
}

impl ProtocolState for DeviceProtocol {
    const CHANNEL: Channel = Channel::Device;

    fn is_ready(&self) -> bool {
        self.pending.is_none() && self.out.len() < UNSAID
    }

    fn handle_frame(&mut self, text: &str) {
        if self.unknown == CloseCode::Silent {
            self.unknown = CloseCode::NotAuthorised;
        }
        let taken = match device::parse(text) {
            Ok(request) => {
                self.id.clone_from(&request.id);
                self.take(request)
            }
            Err((ko, id)) => {
                self.id = id;
                Err(ko)
            }
        };
        if let Err(ko) = taken {
            self.reply_ko(&ko);
        }
    }

    fn ring(&mut self) {
        self.news = true;
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        while let Some(pending) = &mut self.pending {
            let Poll::Ready(event) = pending.as_mut().poll(context) else { return };
            self.pending = None;
            self.on_event(event);
        }
    }

    fn cancel_pending(&mut self) {
        self.pending = None;
    }

    fn poll_outgoing(&mut self) -> Option<Outgoing> {
        if self.news
            && self.out.is_empty()
            && let Some(guest) = &self.guest
        {
            self.news = false;
            let news = guest.mailbox.take();
            self.say_notifications(&news);
        }
        self.out.pop()
    }

    fn flushed(&mut self) {
        if self.written.is_empty() {
            return;
        }
        if let Some(guest) = &self.guest {
            let ids = std::mem::take(&mut self.written);
            // Nobody waits for the answer: where it fails, the notification comes again, with the same id.
            drop(self.presence.devices().settle(guest.seat.user(), ids, Settlement::Delivered));
        }
    }

    fn look_at_time(&mut self) -> Option<Duration> {
        let now = self.presence.now();
        let guest = self.guest.as_mut()?;
        loop {
            match guest.known.check_session(now) {
                SessionDeadline::CheckAt(at) => return Some(at - now),
                SessionDeadline::Warn(seconds) => {
                    self.out.push(Outgoing::Text(device::expires_in(seconds).into()));
                    self.bell.wake();
                }
                SessionDeadline::Close => {
                    self.bell.close(CloseCode::NotAuthorised);
                    return Some(Duration::from_secs(1));
                }
            }
        }
    }

    fn may_log(&self) -> bool {
        self.pending.is_some()
    }

    fn app(&self) -> Option<AppId> {
        None
    }

    fn named(&mut self, _: &Span) {}

    fn is_known(&self) -> bool {
        self.guest.is_some()
    }

    fn why_unknown(&self) -> CloseCode {
        self.unknown
    }

    fn end(self, clean: bool) {
        if let Some(guest) = self.guest {
            tracing::debug!(user = guest.seat.user().0, clean, "device.end");
            guest.seat.disconnect(clean);
        }
    }
}

fn on_the_wire(item: &Notification) -> device::LiveNotification {
    device::LiveNotification {
        source: item.source.as_ref().to_owned(),
        message: item.message.as_ref().to_owned(),
        action: item.action.as_ref().to_owned(),
        appid: item.app,
        id: item.id,
        sent_at: item.sent_at,
    }
}
