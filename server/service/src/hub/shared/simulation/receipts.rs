//! The notifications of a run: each is stored or has one receipt.

use std::collections::BTreeMap;

use presence_protocol::NotificationId;

use super::run::Run;
use super::world::{DEVICES, USERS};

/// A stored notification.
struct StoredRow {
    seq: i64,
    user: String,
    /// Set if it waits for devices.
    is_pending: bool,
}

impl Run {
    /// Remembers the receipts that streams have.
    pub(super) fn collect_receipts(&mut self) {
        self.note_trimmed();
        let sql = "SELECT e.number, l.app, l.place, l.notification, l.status \
                   FROM live_log l, live_epoch e WHERE l.kind = 1";
        for row in self.network.database.query(sql) {
            let id: NotificationId = row[3].replace('-', "").parse().unwrap();
            let receipt = format!("{} {} {}: {}", row[0], row[1], row[2], row[4]);
            let sent = self.world.notifications.get_mut(&id);
            let known = sent.map(|sent| &mut sent.receipts);
            if let Some(known) = known.filter(|known| !known.contains(&receipt)) {
                known.push(receipt);
            }
        }
    }

    /// Notes the Applications whose streams have lost entries that were not looked at: one of them
    /// may have been a receipt.
    fn note_trimmed(&mut self) {
        let sql = "SELECT e.number, l.app, min(l.place), max(l.place) FROM live_log l, live_epoch e \
                   GROUP BY e.number, l.app";
        for row in self.network.database.query(sql) {
            let number = |place: usize| row[place].parse::<usize>().unwrap();
            let (stream, first, last) = ((number(0), number(1)), number(2), number(3));
            let seen = self.world.seen_places.insert(stream, last).unwrap_or_default();
            if first > seen + 1 {
                let of_app = self.world.notifications.values_mut();
                let of_app = of_app.filter(|sent| sent.app + 1 == stream.1);
                of_app.for_each(|sent| sent.may_be_lost = true);
            }
        }
    }

    /// Checks that each notification that was accepted is stored or has one receipt, and that
    /// devices have got those that wait.
    pub(super) fn check_notifications(&mut self) {
        // A statement of a server may run meanwhile.
        self.network.database.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
        self.collect_receipts();
        let stored = self.stored_notifications();
        self.network.database.query("COMMIT");
        for (id, sent) in &self.world.notifications {
            let (row, receipts) = (stored.get(id), &sent.receipts);
            let count = usize::from(row.is_some()) + receipts.len();
            let may_be_missing = sent.accepted != Some(true) || sent.may_be_lost;
            let is_right = match sent.accepted {
                Some(false) => count == 0,
                Some(true) | None => count == 1 || (count == 0 && may_be_missing),
            };
            let app = sent.app;
            let is_stored = row.is_some();
            let text = format!(
                "the notification {id} of app {app}, accepted {:?}, is stored {is_stored}, and has \
                 the receipts {receipts:?}",
                sent.accepted
            );
            self.checked(if is_right { Ok(()) } else { Err(text) });
        }
        let checked = self.check_deliveries(&stored);
        self.checked(checked);
        self.world.notifications.retain(|id, _| stored.contains_key(id));
        self.world.notifications.values_mut().for_each(|sent| {
            sent.may_be_lost = false;
            sent.accepted = Some(true);
        });
    }

    fn stored_notifications(&mut self) -> BTreeMap<NotificationId, StoredRow> {
        let sql = "SELECT n.id, n.seq, g.user_id, n.state = 0 AND NOT n.live_only \
                   AND NOT g.paused AND n.expires_at > extract(epoch FROM clock_timestamp()) * 1000 \
                   FROM notifications n JOIN grants g ON g.id = n.grant_id";
        let row = |row: Vec<String>| {
            let (id, seq) = (row[0].parse().unwrap(), row[1].parse().unwrap());
            (id, StoredRow { seq, user: row[2].clone(), is_pending: row[3] == "t" })
        };
        self.network.database.query(sql).into_iter().map(row).collect()
    }

    fn check_deliveries(&self, stored: &BTreeMap<NotificationId, StoredRow>) -> Result<(), String> {
        for (id, row) in stored.iter().filter(|it| it.1.is_pending) {
            let is_user = |user: &usize| self.world.users[*user].0.to_string() == row.user;
            let Some(user) = (0..USERS).find(is_user) else { continue };
            let devices = &self.world.devices[user * DEVICES.len()..(user + 1) * DEVICES.len()];
            let mut sockets = devices.iter().flat_map(|device| &device.sockets);
            if let Some(socket) = sockets.find(|socket| !socket.got.contains(&row.seq)) {
                let server = socket.server;
                return Err(format!("the notification {id} has not reached a device at {server}"));
            }
        }
        Ok(())
    }
}
