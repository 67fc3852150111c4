//! The steps of devices and of the clock.

use presence_core::Clock as _;
use presence_protocol::Status;

use super::{Connection, Simulation, check_equal};
use crate::client::CheckResult;
use crate::model::{ConnectionKey, ModelGrant, ModelGrantSet, VisibleStatus, offline};
use crate::step::MAX_CONNECTIONS;

impl Simulation {
    pub(super) fn connect(&mut self, user: usize, device: usize, late: bool) -> CheckResult {
        self.count += 1;
        let connection = ConnectionKey { user, device, number: self.count };
        let (expected, found) =
            (self.model.connect(connection, MAX_CONNECTIONS), self.hub.connect(connection));
        check_equal("a connection", expected, found)?;
        if expected {
            let grants = self.stored_grants[user].clone();
            if late {
                self.late[user].push(grants.clone());
            } else {
                self.load(user, &grants);
            }
            self.note_taken_rows(user);
            self.connections.push(Connection { key: connection, loading: late.then_some(grants) });
        }
        Ok(())
    }

    pub(super) fn load(&mut self, user: usize, grants: &ModelGrantSet) {
        self.hub.load(user, grants);
        self.model.load(user, grants);
    }

    /// Notes the taken rows of a user, which the load of a device finds.
    pub(super) fn note_taken_rows(&mut self, user: usize) {
        for ModelGrant { app, uid, .. } in self.stored_grants[user].grants.clone() {
            if self.taken[app].iter().any(|row| row.uid.bits() == uid) {
                self.hub.note_taken(app, uid);
            }
        }
    }

    /// Returns a connection, counted from the newest one back. Its grants have reached the hub.
    pub(super) fn sender(&mut self, back: usize) -> Option<ConnectionKey> {
        let position = self.connections.len().checked_sub(back + 1)?;
        let connection = &mut self.connections[position];
        let (connection, loading) = (connection.key, connection.loading.take());
        if let Some(grants) = loading {
            self.load(connection.user, &grants);
        }
        Some(connection)
    }

    pub(super) fn report(
        &mut self,
        back: usize,
        status: &VisibleStatus,
        only: Option<&[usize]>,
    ) -> CheckResult {
        let Some(connection) = self.sender(back) else { return Ok(()) };
        // Applications never get a text of a user who is offline.
        let reported = if status.0 == Status::Offline { offline() } else { status.clone() };
        let expected = self.model.report(connection, reported, only);
        check_equal("a status", expected, self.hub.report(connection, status, only))
    }

    pub(super) fn set_visibility(&mut self, back: usize, apps: &[usize]) -> CheckResult {
        let Some(connection) = self.sender(back) else { return Ok(()) };
        let expected = self.model.set_visibility(connection, apps);
        check_equal("a visibility", expected, self.hub.set_visibility(connection, apps))
    }

    pub(super) fn disconnect(&mut self, back: usize, clean: bool) -> CheckResult {
        let Some(connection) = self.sender(back) else { return Ok(()) };
        let expected = self.model.disconnect(connection, (!clean).then_some(self.hub.grace_end()));
        check_equal("an end", expected, self.hub.disconnect(connection, clean))
    }

    pub(super) fn tick(&mut self) {
        self.hub.tick();
        self.model.tick(self.hub.clock.steady());
        self.note_seen();
        self.end_expected_holds();
    }
}
