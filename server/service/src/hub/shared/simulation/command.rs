//! The commands of users and Applications, as they reach a server.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use presence_core::model::ApplicationState;
use presence_core::{Settlement, UserId, View};
use presence_protocol::{AppId, DeviceName, NotificationId, PresenceUpdate, Puid};
use presence_store::{GrantError, NewNotification, StoreError, Writer, as_one_call};

use super::super::{SharedConnection, SharedHub};
use super::accounts::{SESSION_END, session_of};
use super::server::SimulatedServer;
use crate::activation::ActivationLock;
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
    Open {
        device: usize,
        view: View,
    },
    Report {
        device: usize,
        socket: usize,
        view: View,
        only: Option<usize>,
    },
    SetVisibility {
        device: usize,
        socket: usize,
        apps: Vec<usize>,
    },
    Close {
        device: usize,
        clean: bool,
    },
    End {
        device: usize,
    },
    Change {
        user: usize,
        app: usize,
        change: GrantChange,
    },
    Erase {
        user: usize,
    },
    Switch {
        app: usize,
        active: bool,
    },
    Notify {
        user: usize,
        app: usize,
        id: NotificationId,
    },
    Settle,
    /// A question about users, with the newest version that the Application knows of each.
    Query {
        app: usize,
        known: BTreeMap<Puid, u64>,
    },
    Subscribe {
        reader: usize,
    },
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
    activation: Arc<ActivationLock>,
}

impl From<&SimulatedServer> for Service {
    fn from(server: &SimulatedServer) -> Self {
        Self {
            hub: Arc::clone(&server.hub),
            writer: server.writer.clone(),
            activation: Arc::clone(&server.activation),
        }
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
        let session = session_of(user);
        let mailbox = Arc::new(Mailbox::new(Arc::clone(&waker), session));
        mailbox.mark_session(&session, SESSION_END);
        let connection = self.hub.connect(user, device, &mailbox).await.ok()?;
        let loaded = self.writer.load(user).await.ok()?;
        // The session is checked after the registration too, as the channel does.
        let (store, now) = (&self.hub.store, self.hub.clock.now());
        store.session_with_email(session, now).await.ok()?.filter(|_| loaded.user_exists)?;
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
                // The user may have been erased meanwhile.
                let refusal = |outcome: Result<_, _>| outcome.err();
                let refusal = granted.map(refusal);
                if let Ok(Some(GrantError::Unknown)) = refusal {
                    return Answer::Refused;
                }
                refusal.map(|refusal| assert!(refusal.is_none(), "{refusal:?}"))
            }
            GrantChange::Pause(paused) => self.writer.pause(user, app, paused).await.map(drop),
            GrantChange::Revoke => self.writer.revoke(user, app).await.map(drop),
        };
        result.into()
    }

    pub(super) async fn erase(self, user: UserId) -> Answer {
        self.writer.erase_user(user).await.into()
    }

    /// Switches an Application on or off, as its developer does.
    pub(super) async fn switch(self, app: AppId, active: bool) -> Answer {
        let state = if active { ApplicationState::Active } else { ApplicationState::Inactive };
        match self.activation.acquire().await {
            Ok(activation) => activation.set_state(app, state).await.into(),
            Err(_) => Answer::Done(false),
        }
    }

    /// Returns true if an Application is active, `None` if it is not known.
    async fn is_active(&self, app: AppId) -> Option<bool> {
        let found = as_one_call(self.hub.store.app(app)).await.ok()?;
        Some(found.is_some_and(|app| app.state == ApplicationState::Active))
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
        let seen = async {
            let live = self.hub.store.live_puids(app, &puids).await?;
            self.hub.query(app, &live).await
        };
        as_one_call(seen).await.map_or(Answer::Done(false), Answer::Seen)
    }

    /// Opens a socket of an AppService, as its channel does.
    pub(super) async fn subscribe(self, app: AppId, key: i64, cursor: Option<String>) -> Answer {
        let waker = Arc::new(SocketWaker::default());
        let reader = NewReader::Paged { cursor, receipts: true };
        let socket = (key, Arc::clone(&waker));
        if self.is_active(app).await == Some(false) {
            return Answer::Refused;
        }
        let Ok(subscription) = self.hub.subscribe(app, socket, 100, reader).await else {
            return Answer::Done(false);
        };
        // One that was switched off meanwhile did not find this socket.
        match self.is_active(app).await {
            Some(true) => Answer::Subscribed(Box::new(subscription), waker),
            Some(false) => Answer::Refused,
            None => Answer::Done(false),
        }
    }
}
