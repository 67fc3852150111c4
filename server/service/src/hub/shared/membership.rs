//! The servers that share presence: each raises a counter, and the others notice if it stands
//! still.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use presence_core::Steady;
use presence_protocol::CloseCode;
use presence_store::{Epoch, Joined, NewNode, Node, NodeConnections, Notes, StoreError};
use tokio::time::sleep;

use super::change::Change;
use super::joining::DEAD_AFTER;
use super::{Identity, SharedHub, new_node, node_name};
use crate::errors::or_logged;
use crate::hub::answers::SharingServer;

/// The time between two raises of the counter.
const BEAT: Duration = Duration::from_secs(5);
/// The time between two looks at the counters of the others.
const LOOK: Duration = Duration::from_secs(1);
/// The time between two attempts while the database fails.
const RETRY: Duration = Duration::from_secs(1);
/// The number of users of a dead server that are looked at together.
const USERS: u64 = 500;

/// The counters of the other servers, each with the time since which it stands still.
type Counters = HashMap<i64, (i64, Steady)>;

impl SharedHub {
    /// Raises the counter of this server and watches those of the others, forever.
    pub(super) async fn run_membership(self: &Arc<Self>) {
        let (mut counters, mut beaten_at) = (Counters::new(), None);
        loop {
            if let Err(error) = self.beat_and_look(&mut counters, &mut beaten_at).await {
                // A server that cannot raise its own counter judges no other.
                counters.clear();
                beaten_at = None;
                or_logged::<()>("the server does not show that it lives", Err(error));
            }
            sleep(LOOK).await;
        }
    }

    async fn beat_and_look(
        self: &Arc<Self>,
        counters: &mut Counters,
        beaten_at: &mut Option<Steady>,
    ) -> Result<(), StoreError> {
        let now = self.clock.steady();
        if beaten_at.is_none_or(|at| now - at >= BEAT) {
            self.beat().await?;
            *beaten_at = Some(now);
        }
        self.watch(counters).await
    }

    /// Raises the counter, and checks that the others still know this server.
    async fn beat(self: &Arc<Self>) -> Result<(), StoreError> {
        let identity = self.identity();
        let figures = self.figures();
        let connections =
            NodeConnections { devices: self.connected_devices(), app_sockets: figures.app_sockets };
        let is_known = self.live.beat(identity.node, connections).await?;
        let epoch = self.live.epoch().await?;
        if !is_known || epoch.map(|epoch| epoch.id) != Some(identity.epoch.id) {
            self.rejoin_once(identity.node).await;
            return Ok(());
        }
        let asked = self.clock.steady();
        self.time.hear(asked, self.live.now().await?);
        Ok(())
    }

    /// Looks at the counters of the others. The devices of one whose counter stands still are lost.
    /// Joins again if the row of this server is gone, such as after a crash of the database.
    async fn watch(self: &Arc<Self>, counters: &mut Counters) -> Result<(), StoreError> {
        let this = self.identity().node;
        let now = self.clock.steady();
        let nodes = self.live.nodes().await?;
        if !nodes.iter().any(|node| node.id == this) {
            self.rejoin_once(this).await;
            return Ok(());
        }
        counters.retain(|id, _| nodes.iter().any(|node| node.id == *id));
        for node in nodes.iter().filter(|node| node.id != this) {
            let known = counters.entry(node.id).or_insert((node.counter, now));
            if known.0 != node.counter {
                *known = (node.counter, now);
            }
            if node.dead {
                self.sweep(node.id).await?;
            } else if now - known.1 >= DEAD_AFTER {
                self.declare_dead(node).await?;
                self.sweep(node.id).await?;
            }
        }
        Ok(())
    }

    async fn declare_dead(&self, node: &Node) -> Result<(), StoreError> {
        tracing::warn!(node = node.name, "live.node_dead: its devices are lost");
        self.live.declare_dead(node.id).await
    }

    /// Returns the servers that share presence, for the operator.
    pub(in crate::hub) async fn servers(&self) -> Result<Vec<SharingServer>, StoreError> {
        let this = self.identity().node;
        let servers = self.live.nodes().await?.into_iter();
        let server = |node: Node| SharingServer { is_this: node.id == this, node };
        Ok(servers.map(server).collect())
    }

    /// Returns the name by which the others know this server.
    pub(in crate::hub) fn server_name(&self) -> String {
        node_name(self.identity().node)
    }

    /// Lets the devices of a dead server be lost, then removes the server.
    async fn sweep(&self, node: i64) -> Result<(), StoreError> {
        loop {
            let users = self.live.users_of_node(node, USERS).await?;
            if users.is_empty() {
                return self.live.remove_node(node).await;
            }
            let grace = self.settings.limits.grace;
            let lost: Vec<_> = users
                .iter()
                .map(|user| self.lane.submit(*user, Change::LoseNode { node, grace }))
                .collect();
            for reply in lost {
                reply.await.unwrap_or(Err(StoreError::Stopped))?;
            }
            self.live.unlink(node, &users).await?;
            // A device may have left another server before the dead one could announce it.
            self.note(Notes { users, ..Notes::default() }).await?;
        }
    }

    /// Joins again as another server, if this one is still known by a number: it was declared dead,
    /// or the live tables were emptied. Its connections are put back.
    pub(super) async fn rejoin_once(&self, node: i64) {
        let _joining = self.joining.lock().await;
        if self.identity().node != node {
            return;
        }
        let new = new_node(&self.settings);
        let epoch = self.join_again(&new).await;
        let old = self.identity();
        // They are made before all other changes, and with the new identity only.
        for user in self.registry.begin_restoring() {
            drop(self.lane.submit(user, Change::Restore { earlier: None, old_node: old.node }));
        }
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) =
            Identity { epoch, node: new.id };
        tracing::warn!(node = new.name, "live.joined_again");
        if old.epoch.id != epoch.id {
            // The cursors of before lead to a gap and a snapshot.
            self.followed.close_all(CloseCode::Restart);
        }
    }

    /// Joins, however long it takes.
    async fn join_again(&self, node: &NewNode) -> Epoch {
        loop {
            match self.live.join(node, self.settings.warm_up).await {
                Ok(Joined::Epoch(epoch)) => return epoch,
                Ok(Joined::OtherSettings { differences, .. }) => {
                    tracing::error!(differences, "live.other_settings: the others have others");
                }
                Err(error) => {
                    or_logged::<()>("the server cannot join the others", Err(error));
                }
            }
            sleep(RETRY).await;
        }
    }

    /// Leaves the other servers, once no connection is left.
    pub(super) async fn leave(&self) {
        let node = self.identity().node;
        or_logged("the server does not leave the others", self.live.remove_node(node).await);
    }
}
