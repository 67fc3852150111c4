//! The commands of users and Applications, as they reach a server.

use std::collections::HashMap;
use std::sync::Arc;

use presence_core::{Settlement, UserId, View};
use presence_protocol::{AppId, DeviceName, NotificationId, PresenceUpdate, Puid};
use presence_store::{NewNotification, StoreError, Writer, as_one_call};

use super::super::{SharedConnection, SharedHub};
use super::server::SimulatedServer;
use crate::hub::{NewReader, Subscription};
use crate::mailbox::Mailbox;
use crate::socket_waker::SocketWaker;

/// The domain of all Applications.
pub(super) const DOMAIN: &str = "app.example";

/// A change of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrantChange {
    Grant(Puid),
    Pause(bool),
    Revoke,
}

impl GrantChange {
    /// Returns the state of a grant after the change.
    pub(super) fn apply(self, before: Option<(Puid, bool)>) -> Option<(Puid, bool)> {
        match (self, before) {
            (Self::Grant(puid), None) => Some((puid, false)),
            (Self::Grant(_), Some(known)) => Some(known),
            (Self::Pause(paused), Some((puid, _))) => Some((puid, paused)),
            (Self::Pause(_), None) | (Self::Revoke, _) => None,
        }
    }
}

/// A command that has no answer yet. Users, devices and Applications are named by their places.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Open { device: usize, view: View },
    Report { device: usize, socket: usize, view: View, only: Option<usize> },
    SetVisibility { device: usize, socket: usize, apps: Vec<usize> },
    Close { device: usize, clean: bool },
    End { device: usize },
    Change { user: usize, app: usize, change: GrantChange },
    Notify { user: usize, app: usize, id: NotificationId },
    Settle,
    Query { app: usize },
    Subscribe { reader: usize },
}

/// A socket of a device that was opened.
pub(super) struct OpenedSocket {
    pub(super) connection: SharedConnection,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) waker: Arc<SocketWaker>,
    /// The notifications that were pending: the `seq` of each, and the ids of the first ones.
    pub(super) pending: (Vec<i64>, Vec<NotificationId>),
}

/// The answer to a command.
pub(super) enum Answer {
    /// It was done, or failed: then it may be done all the same.
    Done(bool),
    /// It was refused, and is not done.
    Refused,
    Opened(Box<OpenedSocket>),
    Seen(HashMap<Puid, PresenceUpdate>),
    Subscribed(Box<Subscription>, Arc<SocketWaker>),
}

impl<T, E> From<Result<T, E>> for Answer {
    fn from(result: Result<T, E>) -> Self {
        Self::Done(result.is_ok())
    }
}

/// The parts of a server that commands use.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) hub: Arc<SharedHub>,
    pub(super) writer: Writer,
}

impl From<&SimulatedServer> for Service {
    fn from(server: &SimulatedServer) -> Self {
        Self { hub: Arc::clone(&server.hub), writer: server.writer.clone() }
    }
}

impl Service {
    /// Opens a socket of a device, as the channel of devices does.
    pub(super) async fn open(self, user: UserId, device: DeviceName, view: View) -> Answer {
        let opened = as_one_call(self.try_open(user, device, view)).await;
        opened.map_or(Answer::Done(false), |opened| Answer::Opened(Box::new(opened)))
    }

    async fn try_open(&self, user: UserId, device: DeviceName, view: View) -> Option<OpenedSocket> {
        let waker = Arc::new(SocketWaker::default());
        let mailbox = Arc::new(Mailbox::new(Arc::clone(&waker), [0; 32]));
        let connection = self.hub.connect(user, device, &mailbox).await.ok()?;
        let loaded = self.writer.load(user).await.ok()?;
        let first = loaded.pending.iter().map(|notification| notification.seq);
        let seqs: Vec<i64> = first.chain(loaded.later).collect();
        self.hub.note_own_load(user, &mailbox, seqs.clone());
        connection.report(view, None).await.ok()?;
        let ids = loaded.pending.iter().map(|notification| notification.id).collect();
        Some(OpenedSocket { connection, mailbox, waker, pending: (seqs, ids) })
    }

    pub(super) async fn end(self, user: UserId, device: DeviceName) -> Answer {
        self.hub.end_device(user, &device).await.into()
    }

    /// Changes a grant.
    pub(super) async fn change(self, user: UserId, app: AppId, change: GrantChange) -> Answer {
        let result: Result<(), StoreError> = match change {
            GrantChange::Grant(puid) => {
                let now = self.hub.clock.now();
                let granted = self.writer.grant(user, (app, DOMAIN), puid, now).await;
                granted.map(|outcome| assert!(outcome.is_ok(), "{outcome:?}"))
            }
            GrantChange::Pause(paused) => self.writer.pause(user, app, paused).await.map(drop),
            GrantChange::Revoke => self.writer.revoke(user, app).await.map(drop),
        };
        result.into()
    }

    /// Sends a notification.
    pub(super) async fn notify(self, app: AppId, item: NewNotification) -> Answer {
        match self.writer.notify(app, vec![item]).await {
            Ok(results) if results.iter().all(Result::is_ok) => Answer::Done(true),
            Ok(_) => Answer::Refused,
            Err(_) => Answer::Done(false),
        }
    }

    pub(super) async fn settle(self, user: UserId, ids: Vec<NotificationId>) -> Answer {
        self.writer.settle(user, ids, Settlement::Acked).await.into()
    }

    pub(super) async fn query(self, app: AppId, puids: Vec<Puid>) -> Answer {
        let seen = self.hub.query(app, &puids).await;
        seen.map_or(Answer::Done(false), Answer::Seen)
    }

    pub(super) async fn subscribe(self, app: AppId, key: i64, cursor: Option<String>) -> Answer {
        let waker = Arc::new(SocketWaker::default());
        let reader = NewReader::Paged { cursor, receipts: true };
        let socket = (key, Arc::clone(&waker));
        match self.hub.subscribe(app, socket, 100, reader).await {
            Ok(subscription) => Answer::Subscribed(Box::new(subscription), waker),
            Err(_) => Answer::Done(false),
        }
    }
}
