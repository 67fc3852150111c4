//! The steps of the writer: settlements, their groups, and the release of taken rows.

use presence_protocol::app::{Receipt, ReceiptState};
use presence_protocol::{NotificationId, Puid};

use super::{Simulation, WriterGroup, check_equal};
use crate::client::CheckResult;
use crate::model::Uid;

impl Simulation {
    /// Submits a settlement, or ends a notification in another way.
    pub(super) fn receipt(&mut self, user: usize, app: usize, state: ReceiptState) {
        let Some(grant) = self.stored_grants[user].grants.iter().find(|grant| grant.app == app)
        else {
            return;
        };
        let uid = grant.uid;
        match state {
            ReceiptState::Delivered | ReceiptState::Acked => {
                let receipt = self.new_receipt(uid, state);
                self.submitted.push((app, receipt));
            }
            ReceiptState::Expired | ReceiptState::Dropped | ReceiptState::Revoked => {
                self.end_group(true);
                let row = self.taken[app].iter().position(|row| row.uid.bits() == uid);
                let receipt = match row {
                    Some(row) => Receipt { state, ..self.taken[app].remove(row) },
                    None => self.new_receipt(uid, state),
                };
                self.append_receipt(app, receipt);
            }
        }
    }

    pub(super) fn new_receipt(&mut self, uid: Uid, state: ReceiptState) -> Receipt {
        self.count += 1;
        let id = NotificationId::from_bits(u128::from(self.count));
        Receipt { id, uid: Puid::from_bits(uid), state }
    }

    pub(super) fn append_receipt(&mut self, app: usize, receipt: Receipt) {
        if matches!(receipt.state, ReceiptState::Delivered | ReceiptState::Acked) {
            let last = self.last_settled.insert(receipt.uid.bits(), receipt.id);
            assert!(last < Some(receipt.id), "10: {receipt:?} comes after that of {last:?}");
        }
        self.hub.append_receipt(app, receipt);
        self.expect_receipt_after_hold(app, receipt);
    }

    /// Takes the releases of the next group.
    pub(super) fn take_releases(&mut self) -> CheckResult {
        self.end_group(true);
        if self.next_releases.is_some() {
            return Ok(());
        }
        let releases = self.hub.take_releases();
        for (app, uid) in &releases {
            check_equal("8: a release of a visible user", true, self.is_visible(*app, *uid))?;
            check_equal("11: a release during a hold", false, self.is_held(*app, *uid))?;
        }
        self.next_releases = Some(releases);
        Ok(())
    }

    /// Reads what the writer needs of the hub, before the transaction of the next group.
    pub(super) fn begin_group(&mut self) -> CheckResult {
        self.take_releases()?;
        let releases = self.next_releases.take().unwrap_or_default();
        let mut settled = vec![];
        for (app, receipt) in std::mem::take(&mut self.submitted) {
            let uid = receipt.uid.bits();
            if !self
                .stored_grants
                .iter()
                .flat_map(|grants| &grants.grants)
                .any(|grant| grant.uid == uid)
            {
                continue;
            }
            let immediate = self.hub.gives_immediate_receipts(app, uid);
            let expected = self.is_visible(app, uid)
                && !self.hub.is_release_requested(app, uid)
                && !self.is_held(app, uid);
            check_equal("8: an immediate receipt", expected, immediate)?;
            settled.push((app, receipt, immediate));
        }
        self.group = Some(WriterGroup { releases, settled });
        Ok(())
    }

    /// Commits the open group, or rolls it back.
    pub(super) fn end_group(&mut self, commits: bool) {
        let Some(WriterGroup { releases, settled }) = self.group.take() else { return };
        if !commits {
            releases.into_iter().for_each(|(app, uid)| self.hub.note_taken(app, uid));
            return;
        }
        for (app, uid) in releases.clone() {
            let (released, other): (Vec<Receipt>, Vec<Receipt>) =
                std::mem::take(&mut self.taken[app]).into_iter().partition(|r| r.uid.bits() == uid);
            self.taken[app] = other;
            released.into_iter().for_each(|receipt| self.append_receipt(app, receipt));
        }
        for (app, receipt, immediate) in settled {
            if immediate {
                self.append_receipt(app, receipt);
            } else {
                self.taken[app].push(receipt);
                self.hub.note_taken(app, receipt.uid.bits());
            }
        }
        for (app, uid) in releases {
            self.hub.finish_release(app, uid);
            self.end_released_hold(app, uid);
        }
    }

    /// Checks that no taken row of a visible user remains without a release.
    pub(super) fn check_releases(&self) -> CheckResult {
        for (app, rows) in self.taken.iter().enumerate() {
            for row in rows {
                let uid = row.uid.bits();
                let in_group = self.group.iter().flat_map(|group| &group.releases);
                let mut releases = in_group.chain(self.next_releases.iter().flatten());
                let is_released = releases.any(|release| *release == (app, uid));
                let is_due = is_released || self.hub.is_release_requested(app, uid);
                if self.is_visible(app, uid) && !is_due && !self.is_held(app, uid) {
                    return Err(format!("9: no release of {row:?}"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn expect_receipt(&mut self, app: usize, receipt: Receipt) {
        for client in self.clients.iter_mut().filter(|client| client.config.app == app) {
            client.expect_receipt(receipt);
        }
    }

    /// Commits all waiting settlements and releases.
    pub(super) fn run_writer(&mut self) -> CheckResult {
        for _ in 0..2 {
            self.begin_group()?;
            self.end_group(true);
        }
        for (app, rows) in self.taken.iter().enumerate() {
            let visible = rows.iter().find(|row| self.is_visible(app, row.uid.bits()));
            check_equal("9: a row that was not released", None, visible)?;
        }
        Ok(())
    }
}
