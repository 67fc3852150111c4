//! The expected holds of receipts.

use std::collections::BTreeMap;

use presence_core::{Clock as _, Steady};
use presence_protocol::app::Receipt;

use super::Simulation;
use crate::hub::HOLD;
use crate::model::Uid;

/// A user whom an Application sees.
pub(super) struct SeenUser {
    since: Steady,
    /// The receipts that are held, `None` after the hold.
    held: Option<Vec<Receipt>>,
    /// Set if the hold ends with a release of taken rows.
    is_releasing: bool,
}

impl Simulation {
    /// Notes whom the Applications see after a step. The receipts of a user who is no longer seen
    /// are not held any more.
    pub(super) fn note_seen(&mut self) {
        let since = self.hub.clock.steady();
        let mut before = std::mem::take(&mut self.seen);
        let mut after = BTreeMap::new();
        for (app, uids) in self.known_uids.clone().into_iter().enumerate() {
            for uid in uids.into_iter().filter(|uid| self.is_visible(app, *uid)) {
                let new = || SeenUser { since, held: Some(vec![]), is_releasing: false };
                after.insert((app, uid), before.remove(&(app, uid)).unwrap_or_else(new));
            }
        }
        self.seen = after;
        for ((app, _), user) in before {
            user.held.into_iter().flatten().for_each(|receipt| self.expect_receipt(app, receipt));
        }
    }

    /// Ends the holds that are over, except those that end with a release.
    pub(super) fn end_expected_holds(&mut self) {
        let now = self.hub.clock.steady();
        let mut over = vec![];
        for ((app, uid), user) in &mut self.seen {
            if user.held.is_some() && user.since + HOLD <= now && !user.is_releasing {
                user.is_releasing = self.hub.is_release_requested(*app, *uid);
                if !user.is_releasing {
                    over.push((*app, *uid));
                }
            }
        }
        over.into_iter().for_each(|(app, uid)| self.end_expected_hold(app, uid));
    }

    /// Ends a hold if it ends with a release, which was committed.
    pub(super) fn end_released_hold(&mut self, app: usize, uid: Uid) {
        if self.seen.get(&(app, uid)).is_some_and(|user| user.is_releasing) {
            self.end_expected_hold(app, uid);
        }
    }

    fn end_expected_hold(&mut self, app: usize, uid: Uid) {
        let Some(user) = self.seen.get_mut(&(app, uid)) else { return };
        user.is_releasing = false;
        let held = user.held.take();
        held.into_iter().flatten().for_each(|receipt| self.expect_receipt(app, receipt));
    }

    /// Returns true if no receipt of this user may be given, and no release be requested.
    pub(super) fn is_held(&self, app: usize, uid: Uid) -> bool {
        let user = self.seen.get(&(app, uid));
        user.is_some_and(|user| user.held.is_some() && !user.is_releasing)
    }

    /// Expects a receipt, now or after the hold of its user.
    pub(super) fn expect_receipt_after_hold(&mut self, app: usize, receipt: Receipt) {
        let user = self.seen.get_mut(&(app, receipt.uid.bits()));
        match user.and_then(|user| user.held.as_mut()) {
            Some(held) => held.push(receipt),
            None => self.expect_receipt(app, receipt),
        }
    }
}
