//! The hub of servers that share presence through PostgreSQL.
//!
//! The rosters of users and the streams of Applications are in the database. A server changes
//! rosters in batches ([`lane`]), keeps a copy of the streams that its sockets read
//! ([`followed`]), and looks again at what other servers have changed ([`attention`]). It raises a
//! counter, by which the others know that it lives ([`membership`]), and does its part of what
//! falls due ([`upkeep`]).
//!
//! The modules in reading order, each of which uses only those below it.

pub(crate) mod notifier;

mod attention;
mod membership;
mod reads;
mod upkeep;

mod connection;

mod batches;
mod followed;
mod lane;

mod change;
mod checks;
mod database_clock;
mod joining;
mod moved;
mod registry;
mod seats;
mod sight;
#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use presence_core::model::UserId;
use presence_core::stream::Stream;
use presence_core::{Clock, CredentialGeneration, Steady, UnixMillis};
use presence_protocol::app::ReceiptState;
use presence_protocol::{AppId, CloseCode, DeviceName};
use presence_store::{CommonSettings, Epoch, Live, NewNode, Notes, Store, StoreError};
use tokio_util::sync::CancellationToken;

use super::answers::{ConnectError, HubFigures};
use super::limits::HubLimits;
use crate::errors::or_logged;
use crate::mailbox::{Admissions, Mailbox};
use crate::meters::HubMeters;
use change::{Change, Outcome};
use checks::CheckLog;
pub(crate) use connection::SharedConnection;
use database_clock::DatabaseClock;
use followed::FollowedStreams;
use lane::Lane;
use moved::MovedUsers;
use registry::Registry;
use sight::Sight;

/// The settings of a server that shares presence.
pub(crate) struct SharedSettings {
    /// The limits of the hub.
    pub(crate) limits: HubLimits,
    /// The time for which snapshots wait after the live tables were emptied.
    pub(crate) warm_up: Duration,
    /// The time for which a call may wait for the database.
    pub(crate) deadline: Duration,
    /// The settings that all servers must share.
    pub(crate) common: CommonSettings,
}

/// The names by which the other servers know this one.
#[derive(Debug, Clone, Copy)]
struct Identity {
    epoch: Epoch,
    node: i64,
}

/// The hub of servers that share presence.
pub(crate) struct SharedHub {
    live: Live,
    store: Store,
    clock: Arc<dyn Clock>,
    settings: SharedSettings,
    identity: RwLock<Identity>,
    /// Held while this server joins again, which it does once at a time.
    joining: tokio::sync::Mutex<()>,
    moved: MovedUsers,
    /// The users whose notifications are to be looked at again.
    unlooked: Mutex<BTreeSet<UserId>>,
    /// Held while notifications are read for connections.
    delivering: tokio::sync::Mutex<()>,
    time: Arc<DatabaseClock>,
    registry: Registry,
    lane: Lane,
    followed: FollowedStreams,
    checks: CheckLog,
    sight: Sight,
    meters: HubMeters,
    draining: CancellationToken,
}

impl SharedHub {
    /// Joins the servers that share presence.
    ///
    /// # Errors
    ///
    /// `OtherSettings`, `Unavailable`.
    pub(crate) async fn join(
        (store, live): (Store, Live),
        clock: Arc<dyn Clock>,
        settings: SharedSettings,
    ) -> Result<Self, StoreError> {
        let node = new_node(&settings);
        let epoch = joining::join(&live, &*clock, &node, settings.warm_up).await?;
        let time = Arc::new(DatabaseClock::new(Arc::clone(&clock), live.now().await?));
        let retention = settings.limits.retention;
        Ok(Self {
            followed: FollowedStreams::new(
                live.clone(),
                (Arc::clone(&clock), Arc::clone(&time)),
                retention,
            ),
            identity: RwLock::new(Identity { epoch, node: node.id }),
            joining: tokio::sync::Mutex::default(),
            moved: MovedUsers::default(),
            unlooked: Mutex::default(),
            delivering: tokio::sync::Mutex::default(),
            lane: Lane::default(),
            checks: CheckLog::default(),
            sight: Sight::new(clock.steady()),
            registry: Registry::default(),
            meters: HubMeters::default(),
            draining: CancellationToken::new(),
            live,
            store,
            clock,
            settings,
            time,
        })
    }

    /// Connects a device. An open connection of the same device is closed as replaced, at whichever
    /// server it is.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub(super) async fn connect(
        self: &Arc<Self>,
        user: UserId,
        device: DeviceName,
        mailbox: &Arc<Mailbox>,
    ) -> Result<SharedConnection, ConnectError> {
        let number = rand::random();
        self.registry.add(user, (device.clone(), number), mailbox);
        let connection = SharedConnection::new(Arc::clone(self), user, device.clone(), number);
        let change = Change::Connect {
            device: device.clone(),
            number,
            admissions: mailbox.admissions().0,
            proofs: mailbox.sessions().collect(),
            now: self.clock.now(),
            limit: self.settings.limits.sockets_per_user,
        };
        match self.change(user, change).await? {
            Outcome::Connected { admissions, elsewhere, .. } => {
                mailbox.admit(&Admissions(admissions));
                self.registry.confirm(user, (&device, number));
                if elsewhere {
                    self.moved.add(user);
                    self.announce_moved().await;
                }
                Ok(connection)
            }
            Outcome::TooManyDevices(error) => Err(error.into()),
            Outcome::NoUser => Err(ConnectError::NoUser),
            Outcome::Done | Outcome::Ticked(_) | Outcome::Stale | Outcome::Ended(_) => {
                Err(StoreError::CorruptRow("live_users").into())
            }
        }
    }

    /// Records the proofs that hold a connection open.
    pub(super) async fn note_renewal(
        &self,
        user: UserId,
        mailbox: &Arc<Mailbox>,
    ) -> Result<(), StoreError> {
        let Some((device, number)) = self.registry.find(user, mailbox) else { return Ok(()) };
        let (admissions, proofs) = (mailbox.admissions().0, mailbox.sessions().collect());
        let change = Change::Renew { device, number, admissions, proofs };
        self.change(user, change).await.map(drop)
    }

    /// Closes the sockets of an Application that is not active any more.
    pub(super) fn set_active(&self, app: AppId, active: bool) {
        if !active {
            self.followed.close(app, CloseCode::ApplicationClosed);
        }
    }

    /// Ends a device for its user, at whichever server it is.
    pub(super) async fn end_device(
        &self,
        user: UserId,
        device: &DeviceName,
    ) -> Result<Option<Admissions>, StoreError> {
        let outcome = self.change(user, Change::EndDevice { device: device.clone() }).await?;
        let Outcome::Ended(Some(admissions)) = outcome else { return Ok(None) };
        self.registry.close_device(user, device, CloseCode::EndedByUser);
        self.moved.add(user);
        self.announce_moved().await;
        Ok(Some(Admissions(admissions)))
    }

    /// Closes the connections that depend on sessions which have ended.
    pub(super) async fn end_sessions(&self, user: UserId, digests: &[[u8; 32]]) {
        self.registry.close_connections(user, |mailbox| {
            digests.iter().any(|digest| mailbox.depends_on_session(digest))
        });
        self.live.announce_notes().await;
    }

    /// Closes the connections that depend on a proof of an older generation, except one.
    pub(super) async fn close_outdated_connections(
        &self,
        user: UserId,
        generation: &CredentialGeneration,
        except: Option<&Mailbox>,
    ) {
        let is_excepted = |mailbox| except.is_some_and(|except| std::ptr::eq(except, mailbox));
        self.registry.close_connections(user, |mailbox| {
            mailbox.has_older_generation_than(generation) && !is_excepted(mailbox)
        });
        self.live.announce_notes().await;
    }

    /// Looks again at the connections of a user to this server.
    pub(super) async fn look_again(&self, user: UserId) {
        let looked = self.look_at_connections(&[user]).await;
        or_logged("the connections of a user are not looked at", looked);
    }

    /// Closes the sockets of a key that was deleted.
    pub(super) async fn close_sockets_of_key(&self, app: AppId, key: i64) {
        self.followed.close_key(app, key);
        self.live.announce_notes().await;
    }

    /// Returns true while devices of before may still be reconnecting.
    pub(super) fn is_warming_up(&self) -> bool {
        self.time.now() < self.identity().epoch.warm_at
    }

    /// Returns the number of open device connections of this server.
    pub(super) fn connected_devices(&self) -> usize {
        self.registry.connections()
    }

    /// Returns the numbers of this server for the metrics.
    pub(super) fn figures(&self) -> HubFigures {
        let topics = self.followed.topics();
        HubFigures {
            app_sockets: topics.iter().map(|(_, topic)| topic.sockets()).sum(),
            users: self.registry.users(),
            mailboxes: self.registry.waiting_notifications(),
            streams: topics.iter().map(|(_, topic)| topic.read(Stream::log_len)).sum(),
        }
    }

    /// Counts notifications with the same final state.
    pub(crate) fn count_receipts(&self, state: ReceiptState, count: u64) {
        self.meters.count_receipts(state, count);
    }

    /// Records that the writer has committed a group of requests.
    pub(crate) fn group_committed(&self, requests: usize, time: Duration) {
        self.meters.record_commit(requests, time);
    }

    /// Changes the roster of a user, and waits until it is committed.
    async fn change(&self, user: UserId, change: Change) -> Result<Outcome, StoreError> {
        let reply = self.lane.submit(user, change);
        self.store.in_time(async { reply.await.unwrap_or(Err(StoreError::Stopped)) }).await
    }

    /// Lets the other servers look at the connections of users whose devices have left them. Those
    /// that could not be announced are announced by the next tick.
    async fn announce_moved(&self) {
        let moving = self.moved.take();
        let notes = Notes { users: moving.to_vec(), ..Notes::default() };
        let written = self.note(notes).await;
        if or_logged("replaced connections are not announced", written).is_some() {
            moving.end();
        }
    }

    async fn note(&self, notes: Notes) -> Result<(), StoreError> {
        self.live.note(&notes).await
    }

    fn identity(&self) -> Identity {
        *self.identity.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time of the database, on the clock of rosters.
    fn roster_time(&self) -> Steady {
        roster_time(self.time.now())
    }

    /// Returns the time for which a lost device keeps its presence. Devices of a server that stops
    /// get the time to come back.
    fn grace(&self) -> Duration {
        let extra =
            if self.draining.is_cancelled() { self.settings.warm_up } else { Duration::ZERO };
        self.settings.limits.grace + extra
    }
}

/// Returns a time on the clock of rosters.
fn roster_time(at: UnixMillis) -> Steady {
    Steady::from_start(Duration::from_millis(at.get()))
}

/// Returns the name of a server for people.
fn node_name(id: i64) -> String {
    format!("{:08x}", id >> 31)
}

fn new_node(settings: &SharedSettings) -> NewNode {
    let id: i64 = rand::random_range(1..i64::MAX);
    NewNode {
        id,
        name: node_name(id),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: settings.common.clone(),
    }
}
