//! The changes of a roster, as the rules of `presence_core` make them.

use std::time::Duration;

use presence_core::roster::{
    ConnectionId, ConnectionNumber, Disconnect, NewConnection, TooManyDevices, ViewChange,
};
use presence_core::{GrantSet, Steady, UnixMillis, View};
use presence_protocol::{AppId, DeviceName};
use presence_store::{SharedHandle, SharedRoster};

/// A change of the roster of a user.
pub(super) enum Change {
    /// A device connects.
    Connect {
        device: DeviceName,
        number: u64,
        admissions: Vec<[u8; 32]>,
        proofs: Vec<[u8; 32]>,
        now: UnixMillis,
        limit: usize,
    },
    /// A device reports its status.
    Report { device: DeviceName, number: u64, view: View, only: Option<Vec<AppId>> },
    /// A device lets only these Applications see it.
    SetVisibility { device: DeviceName, number: u64, apps: Vec<AppId> },
    /// A connection was renewed.
    Renew { device: DeviceName, number: u64, admissions: Vec<[u8; 32]>, proofs: Vec<[u8; 32]> },
    /// A connection has ended; without a grace time if it was closed cleanly.
    Disconnect { device: DeviceName, number: u64, grace: Option<Duration> },
    /// The user ends a device.
    EndDevice { device: DeviceName },
    /// The time of a tick has come.
    Tick,
    /// A server is dead: its connections are lost.
    LoseNode { node: i64, grace: Duration },
    /// This server has another number, or the live tables were emptied: its connections are put
    /// back as this server knows them when the change is made first.
    Restore { earlier: Option<Box<SharedRoster>>, old_node: i64 },
}

/// The outcome of a change.
pub(super) enum Outcome {
    Done,
    /// The device is connected.
    Connected {
        /// The sessions that had let the device in before.
        admissions: Vec<[u8; 32]>,
        /// Set if its earlier connection is open at another server.
        elsewhere: bool,
        /// Set if it was lost, and its grace time has not ended.
        returned: bool,
    },
    /// The grace times that are over have ended. The first one that was due, if Applications see a
    /// change.
    Ticked(Option<Steady>),
    TooManyDevices(TooManyDevices),
    /// A newer connection has replaced the one that asked for the change.
    Stale,
    /// The sessions that let the ended device in, `None` if there was no such device.
    Ended(Option<Vec<[u8; 32]>>),
    /// The user was erased. Nothing has changed.
    NoUser,
}

impl Outcome {
    /// Returns the outcome of a change that was made again after an attempt with an unknown result.
    /// If that one was committed, its outcome counts.
    pub(super) fn after(self, earlier: Option<Self>) -> Self {
        match (self, earlier) {
            (Self::Ended(None), Some(Self::Ended(ended))) => Self::Ended(ended),
            (Self::Ticked(None), Some(Self::Ticked(due))) => Self::Ticked(due),
            (
                Self::Connected { admissions, elsewhere, returned },
                Some(Self::Connected { elsewhere: was_elsewhere, returned: had_returned, .. }),
            ) => Self::Connected {
                admissions,
                elsewhere: elsewhere || was_elsewhere,
                returned: returned || had_returned,
            },
            (outcome, _) => outcome,
        }
    }
}

/// The things on which a change depends besides the roster.
pub(super) struct Context {
    /// The time of the database.
    pub(super) now: Steady,
    /// This server.
    pub(super) node: i64,
}

impl Change {
    /// Returns true if the grants of the user are to be read before.
    pub(super) fn needs_grants(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Restore { .. })
    }

    /// Returns true if it can be made for a user who has no roster.
    pub(super) fn may_be_first(&self) -> bool {
        self.needs_grants()
    }

    /// Makes the change. The grants are those of the user if they are needed, `None` if there is no
    /// such user.
    pub(super) fn make(
        &self,
        roster: &mut SharedRoster,
        grants: Option<&GrantSet>,
        context: &Context,
        changes: &mut Vec<ViewChange>,
    ) -> Outcome {
        if self.needs_grants() && grants.is_none() {
            return Outcome::NoUser;
        }
        let outcome = match self {
            Self::Connect { .. } => self.connect(roster, context),
            Self::Report { device, number, view, only } => stale_or_done(&roster.report(
                id(device, *number),
                view.clone(),
                only.clone(),
                changes,
            )),
            Self::SetVisibility { device, number, apps } => {
                stale_or_done(&roster.set_visibility(id(device, *number), apps.clone(), changes))
            }
            Self::Renew { device, number, admissions, proofs } => {
                match roster.handle_mut(id(device, *number)) {
                    Some(handle) => {
                        handle.admissions.clone_from(admissions);
                        handle.proofs.clone_from(proofs);
                        Outcome::Done
                    }
                    None => Outcome::Stale,
                }
            }
            Self::Disconnect { device, number, grace } => {
                let how = match grace {
                    Some(grace) => Disconnect::Lost { until: context.now + *grace },
                    None => Disconnect::Clean,
                };
                stale_or_done(&roster.disconnect(id(device, *number), how, changes))
            }
            Self::EndDevice { device } => {
                let ended = roster.end_device(device, changes);
                Outcome::Ended(ended.map(|last| last.handle.admissions))
            }
            Self::Tick => {
                let (due, unchanged) = (roster.deadline(), changes.len());
                roster.tick(context.now, changes);
                Outcome::Ticked(due.filter(|_| changes.len() > unchanged))
            }
            Self::LoseNode { node, grace } => {
                roster.lose_connections(|handle| handle.node == *node, context.now + *grace);
                Outcome::Done
            }
            Self::Restore { earlier, old_node } => {
                let earlier = earlier.as_deref().cloned().unwrap_or_default();
                restore(roster, earlier, *old_node, context, changes);
                Outcome::Done
            }
        };
        if let Some(set) = grants {
            roster.set_grants(set.clone(), changes);
        }
        outcome
    }

    fn connect(&self, roster: &mut SharedRoster, context: &Context) -> Outcome {
        let Self::Connect { device, number, admissions, proofs, now, limit } = self else {
            return Outcome::Stale;
        };
        let (proofs, mut admissions) = (proofs.clone(), admissions.clone());
        let handle = SharedHandle { node: context.node, admissions: admissions.clone(), proofs };
        let new = NewConnection { id: id(device, *number), handle, now: *now };
        let last = match roster.connect(new, *limit) {
            Ok(last) => last,
            Err(error) => return Outcome::TooManyDevices(error),
        };
        let Some(last) = last else {
            return Outcome::Connected { admissions, elsewhere: false, returned: false };
        };
        for digest in last.handle.admissions {
            if !admissions.contains(&digest) {
                admissions.insert(0, digest);
            }
        }
        admissions.drain(..admissions.len().saturating_sub(MAX_ADMISSIONS));
        if let Some(handle) = roster.handle_mut(id(device, *number)) {
            handle.admissions.clone_from(&admissions);
        }
        let elsewhere = last.is_open && last.handle.node != context.node;
        Outcome::Connected { admissions, elsewhere, returned: !last.is_open }
    }
}

/// The maximum number of sessions that a device is remembered to have been let in by.
const MAX_ADMISSIONS: usize = 32;

/// Puts the connections of this server back, which had another number.
fn restore(
    roster: &mut SharedRoster,
    mut earlier: SharedRoster,
    old_node: i64,
    context: &Context,
    changes: &mut Vec<ViewChange>,
) {
    roster.lose_connections(|handle| handle.node == old_node, context.now);
    for handle in earlier.handles_mut() {
        if handle.node == old_node {
            handle.node = context.node;
        }
    }
    roster.restore_devices(earlier, |handle| handle.node == context.node, changes);
}

fn id(device: &DeviceName, number: u64) -> ConnectionId<'_> {
    ConnectionId { device, number: ConnectionNumber(number) }
}

fn stale_or_done<T, E>(result: &Result<T, E>) -> Outcome {
    if result.is_ok() { Outcome::Done } else { Outcome::Stale }
}
