//! The notifications that a device is sent: first those that were pending, in pages, then those
//! that arrive in its mailbox. Of each only as much is in memory as the socket can write.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use presence_core::{Notification, UserId};
use presence_protocol::device::{LiveNotification, NotificationBatch};
use presence_protocol::{ApiError, NotificationId};
use presence_service::Mailbox;
use presence_service::devices::{PENDING_PAGE, PendingNotifications};

use super::replies::DeviceChannel;

/// A page of pending notifications that is being read.
type LoadingPage = Pin<Box<dyn Future<Output = Result<Vec<Notification>, ApiError>> + Send>>;

/// The notifications that are to be sent to a device.
pub(super) struct Deliveries {
    user: UserId,
    mailbox: Arc<Mailbox>,
    /// The next ones to send.
    next: VecDeque<Arc<Notification>>,
    /// The pending ones after these. `None` once they are sent, as for most devices.
    backlog: Option<Box<Backlog>>,
    /// The mailbox may hold notifications.
    has_news: bool,
}

/// Pending notifications that are not read yet.
struct Backlog {
    seqs: VecDeque<i64>,
    /// The `seq` of those that were read, in ascending order.
    sent: Vec<i64>,
    loading: Option<LoadingPage>,
    /// Set if those that were read do not fill a frame: the next page is read before one is sent.
    is_short: bool,
}

impl Deliveries {
    /// Begins with the notifications that were pending.
    pub(super) fn new(user: UserId, mailbox: Arc<Mailbox>, pending: PendingNotifications) -> Self {
        let PendingNotifications { first, later } = pending;
        let backlog = (!later.is_empty()).then(|| {
            let sent = first.iter().map(|notification| notification.seq).collect();
            Box::new(Backlog { seqs: later.into(), sent, loading: None, is_short: false })
        });
        let next = first.into_iter().map(Arc::new).collect();
        Self { user, mailbox, next, backlog, has_news: true }
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Handles that the mailbox may hold notifications.
    pub(super) fn handle_wake(&mut self) {
        self.has_news = true;
    }

    /// Reads the next page of pending notifications, once the rest of the last one does not fill a
    /// frame.
    ///
    /// # Errors
    ///
    /// `storage_unavailable`.
    pub(super) fn poll_load(
        &mut self,
        context: &mut Context<'_>,
        channel: &DeviceChannel,
    ) -> Result<(), ApiError> {
        while let Some(backlog) = &mut self.backlog
            && (self.next.is_empty() || backlog.is_short)
        {
            let user = self.user;
            let Some(loading) = backlog.loading(user, channel) else {
                self.mailbox.remove_sent(&backlog.sent);
                self.backlog = None;
                return Ok(());
            };
            let Poll::Ready(page) = loading.as_mut().poll(context) else { return Ok(()) };
            backlog.loading = None;
            let page = page?;
            backlog.sent.extend(page.iter().map(|notification| notification.seq));
            backlog.is_short = false;
            self.next.extend(page.into_iter().map(Arc::new));
        }
        Ok(())
    }

    /// Returns the next frame, and adds the ids of its notifications to `written`.
    pub(super) fn next_frame(
        &mut self,
        channel: &DeviceChannel,
        written: &mut Vec<NotificationId>,
    ) -> Option<Bytes> {
        self.fill();
        if self.next.is_empty() && self.backlog.is_none() {
            return None;
        }
        let mut batch = NotificationBatch::new();
        let count = self.next.iter().take_while(|item| batch.add(&wire_notification(item))).count();
        if let Some(backlog) = &mut self.backlog
            && count == self.next.len()
        {
            backlog.is_short = true;
            if backlog.loading.is_none() {
                // The loop polls the work again after it is woken.
                channel.waker.wake();
            }
            return None;
        }
        written.extend(self.next.drain(..count).map(|item| item.id));
        (count > 0).then(|| batch.into_frame().into())
    }

    /// Drops the page that is being read, and reads no other one.
    pub(super) fn cancel(&mut self) {
        self.next = VecDeque::new();
        self.backlog = None;
    }

    /// Takes notifications from the mailbox, once the pending ones are sent.
    fn fill(&mut self) {
        if self.backlog.is_none() && self.has_news && self.next.is_empty() {
            self.next = self.mailbox.take(PENDING_PAGE).into();
            self.has_news = self.next.len() == PENDING_PAGE;
        }
    }
}

impl Backlog {
    /// Returns the page that is being read, `None` if all are read.
    fn loading(&mut self, user: UserId, channel: &DeviceChannel) -> Option<&mut LoadingPage> {
        if self.loading.is_none() && !self.seqs.is_empty() {
            let count = self.seqs.len().min(PENDING_PAGE);
            let page: Vec<i64> = self.seqs.drain(..count).collect();
            let service = Arc::clone(&channel.service);
            let load = async move { service.devices().load_pending(user, &page).await };
            self.loading = Some(Box::pin(channel.log.instrument(load)));
        }
        self.loading.as_mut()
    }
}

fn wire_notification(item: &Notification) -> LiveNotification {
    LiveNotification {
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
