//! The steps that change grants.

use presence_protocol::app::{Receipt, ReceiptState};

use super::Simulation;
use crate::model::{ModelGrant, Uid};
use crate::step::Change;

impl Simulation {
    pub(super) fn change(&mut self, user: usize, app: usize, change: Change, late: bool) {
        // The writer commits changes of grants, so they come after the open group.
        self.end_group(true);
        let grants = &mut self.stored_grants[user].grants;
        let current = grants.iter().position(|grant| grant.app == app);
        let mut revoked = None;
        match (change, current) {
            (Change::Grant, None) => {
                self.count += 1;
                let uid = (user as u128 + 1) * 100_000
                    + (app as u128 + 1) * 10_000
                    + u128::from(self.count);
                self.known_uids[app].insert(uid);
                grants.push(ModelGrant { app, uid, paused: false });
            }
            (Change::Pause | Change::Resume, Some(position)) => {
                grants[position].paused = change == Change::Pause;
            }
            (Change::Revoke, Some(position)) => revoked = Some(grants.remove(position).uid),
            (Change::Grant, Some(_)) | (Change::Pause | Change::Resume | Change::Revoke, None) => {
                return;
            }
        }
        self.stored_grants[user].revision += 1;
        let grants = self.stored_grants[user].clone();
        if late && revoked.is_none() {
            self.late[user].push(grants);
            return;
        }
        self.load(user, &grants);
        if let Some(uid) = revoked {
            self.revoke(app, uid);
        }
    }

    pub(super) fn revoke(&mut self, app: usize, uid: Uid) {
        for client in self.clients.iter_mut().filter(|client| client.config.app == app) {
            client.expect_revocation(uid);
        }
        let (ended, other): (Vec<Receipt>, Vec<Receipt>) =
            std::mem::take(&mut self.taken[app]).into_iter().partition(|row| row.uid.bits() == uid);
        self.taken[app] = other;
        for row in ended {
            self.append_receipt(app, Receipt { state: ReceiptState::Revoked, ..row });
        }
        self.hub.revoke(app, uid);
    }

    pub(super) fn deliver_late_grants(&mut self, user: usize, which: usize) {
        if !self.late[user].is_empty() {
            let which = which % self.late[user].len();
            let grants = self.late[user].remove(which);
            self.load(user, &grants);
        }
    }
}
