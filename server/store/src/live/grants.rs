//! The changes of a transaction of the writer in the shared presence: grants, Applications and
//! their receipts. It is one transaction with the durable rows, so there is no moment at which a
//! grant is revoked and the user still seen.

use std::collections::HashMap;
use std::time::Duration;

use presence_core::roster::ViewChange;
use presence_core::view::status_code;
use presence_core::{GrantSet, UnixMillis, UserId};
use presence_protocol::app::{Receipt, ReceiptState};
use presence_protocol::{AppId, Puid};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::apply::{cause_code, milliseconds};
use super::arrays::{
    bigints, blobs, ints, optional_bigints, optional_smallints, optional_texts, smallints, texts,
};
use super::notes::{NoteId, Notes};
use super::roster::{SharedRoster, decode, encode};
use super::streams::{bits, receipt_code, receipt_state};
use super::{Live, execute, query};
use crate::commit_hook::CommittedEvent;
use crate::deadline;
use crate::error::StoreError;
use crate::rows::number_from_column;

/// The things that a transaction has locked.
#[derive(Default)]
pub(crate) struct Locked {
    /// The rosters. Users without one are locked too.
    pub(crate) rosters: HashMap<UserId, SharedRoster>,
    /// The numbers of the Applications, which nobody knows once they are removed.
    pub(crate) apps: HashMap<AppId, i32>,
}

impl Locked {
    /// Returns the locked users who have a roster.
    pub(crate) fn with_roster(&self) -> impl Iterator<Item = UserId> {
        self.rosters.iter().filter(|(_, roster)| !roster.is_empty()).map(|(user, _)| *user)
    }
}

/// The news for all servers after the commit.
#[derive(Debug, Default)]
pub(crate) struct Announcement {
    moved: Vec<i32>,
    /// A note that the transaction has added, if any.
    note: Option<NoteId>,
}

impl Live {
    /// Locks users, and returns their rosters: their presence does not change until the end of the
    /// transaction.
    pub(crate) async fn lock_users(
        &self,
        mut users: Vec<UserId>,
        txn: &DatabaseTransaction,
    ) -> Result<HashMap<UserId, SharedRoster>, StoreError> {
        users.sort_unstable();
        users.dedup();
        let ids = || bigints(users.iter().map(|user| user.0));
        let sql = "INSERT INTO live_users AS u (user_id, rev, roster, due_at) SELECT q.id, \
                   floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1000, '', 0 \
                   FROM unnest($1) q(id) ON CONFLICT (user_id) DO UPDATE SET rev = u.rev WHERE false";
        execute(txn, sql, [ids()]).await?;
        let sql = "SELECT user_id, roster FROM live_users WHERE user_id = ANY ($1)";
        let mut rosters = HashMap::with_capacity(users.len());
        for row in query(txn, sql, [ids()]).await? {
            let roster: Vec<u8> = row.try_get_by_index(1)?;
            rosters.insert(UserId(row.try_get_by_index(0)?), decode(&roster)?);
        }
        Ok(rosters)
    }

    /// Returns those of the grants of an Application whose users it sees and have a connected
    /// device.
    pub(crate) async fn reachable(
        &self,
        targets: &[(AppId, Puid, UserId)],
        txn: &DatabaseTransaction,
    ) -> Result<Vec<Puid>, StoreError> {
        let apps: Vec<AppId> = targets.iter().map(|(app, ..)| *app).collect();
        let numbers = self.numbers(&apps, txn).await?;
        let known: Vec<(i32, &(AppId, Puid, UserId))> =
            targets.iter().filter_map(|it| Some((*numbers.get(&it.0)?, it))).collect();
        // Rows are looked up one by one: a join could read whole tables.
        let sql = "SELECT t.puid FROM unnest($1, $2::uuid[], $3) t(app, puid, user_id) \
                   WHERE (SELECT w.status FROM live_now w WHERE w.app = t.app AND w.puid = t.puid) > 0 \
                   AND (SELECT s.active FROM live_streams s WHERE s.app = t.app) \
                   AND (SELECT true FROM live_connections c WHERE c.user_id = t.user_id LIMIT 1)";
        let values = [
            ints(known.iter().map(|(app, _)| *app)),
            texts(known.iter().map(|(_, (_, puid, _))| puid.to_string())),
            bigints(known.iter().map(|(_, (.., user))| user.0)),
        ];
        let rows = query(txn, sql, values).await?;
        rows.iter().map(|row| Ok(Puid::from_bits(bits(row, 0)?))).collect()
    }

    /// Writes to the shared presence what the operations of a transaction have done, last in the
    /// transaction.
    pub(crate) async fn absorb(
        &self,
        events: &[CommittedEvent],
        mut locked: Locked,
        (txn, now): (&DatabaseTransaction, UnixMillis),
    ) -> Result<Announcement, StoreError> {
        let mut draft = SharedDraft { numbers: locked.apps, ..SharedDraft::default() };
        for event in events {
            draft.add(event, &mut locked.rosters);
        }
        self.write_pauses(&draft.suspensions, now, txn).await?;
        self.forget_checks(&draft.moved, now, txn).await?;
        draft.write(self, txn).await
    }

    /// Returns true if the transaction of an announcement was committed for certain, although the
    /// answer to its commit was lost. It may be false if the transaction has added no notes.
    pub(crate) async fn was_committed(&self, announcement: &Announcement) -> bool {
        let Some(note) = &announcement.note else { return false };
        let found = deadline::within(self.read().deadline(), self.is_committed(note)).await;
        match found.unwrap_or(Err(StoreError::TooLate)) {
            Ok(is_there) => is_there,
            Err(error) => {
                tracing::debug!(%error, "it is not known whether a transaction was committed");
                false
            }
        }
    }

    /// Tells all servers what was committed. It is not part of the transaction: PostgreSQL has one
    /// lock for all notifications, which would be held until the commit is on disk.
    pub(crate) async fn announce(&self, announcement: Announcement) {
        let Announcement { moved, note } = announcement;
        if note.is_some() {
            self.announce_notes().await;
        }
        if !moved.is_empty() {
            let told = execute(self.lane(), "SELECT presence_announce_1($1)", [ints(moved)]).await;
            if let Err(error) = told {
                tracing::debug!(%error, "entries are not announced");
            }
        }
    }

    /// Switches the stream of an Application on or off in a transaction that has changed its state.
    pub(crate) async fn switch(
        &self,
        app: AppId,
        active: bool,
        txn: &DatabaseTransaction,
    ) -> Result<Announcement, StoreError> {
        let draft = SharedDraft {
            switched: vec![(app, active)],
            notes: Notes { apps: vec![app], ..Notes::default() },
            ..SharedDraft::default()
        };
        draft.write(self, txn).await
    }

    /// Gives receipts that are due to all Applications. A server does this about once a second.
    /// Calls `count` with the number of those of each state that were given.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn release_receipts(
        &self,
        hold: Duration,
        count: impl Fn(ReceiptState, u64),
    ) -> Result<(), StoreError> {
        const LIMIT: i32 = 1_000;
        let sql = "SELECT DISTINCT a.number FROM notifications n JOIN grants g ON g.id = n.grant_id \
                   JOIN apps a ON a.id = g.app_id WHERE n.state > 0 ORDER BY a.number";
        let rows = query(self.read(), sql, []).await?;
        let apps: Result<Vec<i32>, _> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
        let hold = milliseconds(hold);
        let mut moved = Vec::new();
        for app in apps? {
            let txn = self.write().begin_writing().await?;
            // After a crash of the database a receipt may come twice, which is not worth a flush.
            txn.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
            let values = [app.into(), hold.into(), LIMIT.into()];
            let rows = query(&txn, "SELECT presence_release_1($1, $2, $3)", values).await?;
            let given: i32 = rows.first().map_or(Ok(0), |row| row.try_get_by_index(0))?;
            let states = if given > 0 { newest_receipts(app, given, &txn).await? } else { vec![] };
            txn.commit().await?;
            if given > 0 {
                moved.push(app);
            }
            states.into_iter().for_each(|(state, number)| count(state, number));
        }
        self.announce(Announcement { moved, note: None }).await;
        Ok(())
    }
}

/// The changes of one transaction.
#[derive(Default)]
struct SharedDraft {
    rosters: HashMap<UserId, SharedRoster>,
    changes: Vec<ViewChange>,
    ended: Vec<(AppId, Puid)>,
    receipts: Vec<(AppId, Receipt)>,
    switched: Vec<(AppId, bool)>,
    removed: Vec<AppId>,
    /// The numbers of the removed Applications, maybe with others.
    numbers: HashMap<AppId, i32>,
    /// The Applications on another domain.
    moved: Vec<AppId>,
    /// The grants that are suspended from now on, or are not any more.
    suspensions: Vec<(AppId, Puid, bool)>,
    notes: Notes,
}

impl SharedDraft {
    fn add(&mut self, event: &CommittedEvent, locked: &mut HashMap<UserId, SharedRoster>) {
        match event {
            CommittedEvent::Queued(notification) => self.notes.receivers.push(notification.user),
            CommittedEvent::Receipt(app, receipt) => self.receipts.push((*app, *receipt)),
            CommittedEvent::Taken(..) | CommittedEvent::Released(..) => {}
            CommittedEvent::Suspension { app, puid, suspended, .. } => {
                self.suspensions.push((*app, *puid, *suspended));
            }
            CommittedEvent::Grants { user, set, ended, .. } => {
                self.set_grants(*user, set.clone(), locked);
                self.ended.extend(ended);
            }
            CommittedEvent::DomainChanged(app) => {
                self.switched.push((*app, false));
                self.moved.push(*app);
                self.notes.apps.push(*app);
            }
            CommittedEvent::AppRemoved(app, _) => {
                self.removed.push(*app);
                self.notes.apps.push(*app);
            }
            CommittedEvent::UserErased(user, ended, _) => {
                locked.remove(user);
                self.rosters.insert(*user, SharedRoster::default());
                self.ended.extend(ended);
                self.notes.users.push(*user);
            }
        }
    }

    fn set_grants(
        &mut self,
        user: UserId,
        set: GrantSet,
        locked: &mut HashMap<UserId, SharedRoster>,
    ) {
        self.notes.users.push(user);
        let roster = self.rosters.remove(&user).or_else(|| locked.remove(&user));
        if let Some(mut roster) = roster.filter(|roster| !roster.is_empty()) {
            roster.set_grants(set, &mut self.changes);
            self.rosters.insert(user, roster);
        }
    }

    async fn write(
        mut self,
        live: &Live,
        txn: &DatabaseTransaction,
    ) -> Result<Announcement, StoreError> {
        for users in [&mut self.notes.users, &mut self.notes.receivers] {
            users.sort_unstable();
            users.dedup();
        }
        self.write_rosters(txn).await?;
        let mut moved = self.tell(live, txn).await?;
        let removed: Vec<i32> =
            self.removed.iter().filter_map(|app| self.numbers.get(app)).copied().collect();
        // The entries and rows are removed later, some thousands at once.
        let sql = "WITH gone AS (DELETE FROM live_streams WHERE app = ANY ($1) RETURNING app) \
                   INSERT INTO live_removed SELECT app FROM gone ON CONFLICT DO NOTHING";
        if !removed.is_empty() {
            execute(txn, sql, [ints(removed)]).await?;
        }
        let note = live.add_notes(&self.notes, &self.numbers, txn).await?;
        moved.sort_unstable();
        moved.dedup();
        Ok(Announcement { moved, note })
    }

    async fn write_rosters(&self, txn: &DatabaseTransaction) -> Result<(), StoreError> {
        if self.rosters.is_empty() {
            return Ok(());
        }
        let due = |roster: &SharedRoster| {
            if roster.is_empty() {
                return Some(0);
            }
            i64::try_from(roster.deadline()?.since_start().as_millis()).ok()
        };
        let values = [
            bigints(self.rosters.keys().map(|user| user.0)),
            blobs(self.rosters.values().map(encode)),
            optional_bigints(self.rosters.values().map(due)),
        ];
        let sql = "UPDATE live_users u SET rev = u.rev + 1, roster = q.roster, due_at = NULLIF(q.due, -1) \
                   FROM unnest($1, $2, $3) q(id, roster, due) WHERE u.user_id = q.id";
        execute(txn, sql, values).await?;
        let empty = self.rosters.iter().filter(|(_, roster)| roster.is_empty());
        let left: Vec<i64> = empty.map(|(user, _)| user.0).collect();
        if !left.is_empty() {
            let sql = "DELETE FROM live_connections WHERE user_id = ANY ($1)";
            execute(txn, sql, [bigints(left)]).await?;
        }
        Ok(())
    }

    /// Writes to the streams, all of which are locked first, in the order of their numbers.
    async fn tell(
        &mut self,
        live: &Live,
        txn: &DatabaseTransaction,
    ) -> Result<Vec<i32>, StoreError> {
        let apps: Vec<AppId> = self
            .changes
            .iter()
            .map(|change| change.app)
            .chain(self.ended.iter().map(|(app, _)| *app))
            .chain(self.receipts.iter().map(|(app, _)| *app))
            .chain(self.switched.iter().map(|(app, _)| *app))
            .filter(|app| !self.removed.contains(app))
            .collect();
        let numbers = live.numbers(&apps, txn).await?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let sql = "SELECT app FROM live_streams WHERE app = ANY ($1) ORDER BY app \
                   FOR NO KEY UPDATE";
        let rows = query(txn, sql, [ints(numbers.values().copied())]).await?;
        let known: Result<Vec<i32>, _> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
        let known = known?;
        // An Application without a stream has seen nothing of its users.
        let number = |app: &AppId| numbers.get(app).copied().filter(|it| known.contains(it));
        let mut moved = Vec::new();
        let values = self.tell_values(&number);
        let sql = "SELECT presence_tell_1(NULL, $1, $2::uuid[], $3, $4, $5, $6)";
        moved.extend(moved_apps(txn, sql, values).await?);
        let values = self.receipt_values(&number);
        let sql = "SELECT presence_receipts_1($1, $2::uuid[], $3::uuid[], $4)";
        moved.extend(moved_apps(txn, sql, values).await?);
        for (app, active) in &self.switched {
            let Some(number) = numbers.get(app) else { continue };
            let values = [(*number).into(), (*active).into()];
            let rows = query(txn, "SELECT presence_switch_1($1, $2)", values).await?;
            let place: Option<i64> =
                rows.first().map_or(Ok(None), |row| row.try_get_by_index(0))?;
            moved.extend(place.map(|_| *number));
        }
        Ok(moved)
    }

    fn tell_values(&self, number: &impl Fn(&AppId) -> Option<i32>) -> [Value; 6] {
        let changes: Vec<(i32, &ViewChange)> =
            self.changes.iter().filter_map(|it| Some((number(&it.app)?, it))).collect();
        let ended: Vec<(i32, Puid)> =
            self.ended.iter().filter_map(|(app, puid)| Some((number(app)?, *puid))).collect();
        let view = |change: &ViewChange| i16::from(status_code(change.view.status));
        let text =
            |change: &ViewChange| change.view.text.as_ref().map(|text| text.as_str().to_owned());
        let (updates, ends) = (changes.len(), ended.len());
        [
            ints(changes.iter().map(|(app, _)| *app).chain(ended.iter().map(|(app, _)| *app))),
            texts(
                changes
                    .iter()
                    .map(|(_, change)| change.puid.to_string())
                    .chain(ended.iter().map(|(_, puid)| puid.to_string())),
            ),
            smallints(std::iter::repeat_n(0, updates).chain(std::iter::repeat_n(2, ends))),
            smallints(
                changes.iter().map(|(_, change)| view(change)).chain(std::iter::repeat_n(0, ends)),
            ),
            optional_smallints(
                changes
                    .iter()
                    .map(|(_, change)| cause_code(change))
                    .chain(std::iter::repeat_n(None, ends)),
            ),
            optional_texts(
                changes
                    .iter()
                    .map(|(_, change)| text(change))
                    .chain(std::iter::repeat_n(None, ends)),
            ),
        ]
    }

    fn receipt_values(&self, number: &impl Fn(&AppId) -> Option<i32>) -> [Value; 4] {
        let receipts: Vec<(i32, &Receipt)> =
            self.receipts.iter().filter_map(|(app, it)| Some((number(app)?, it))).collect();
        [
            ints(receipts.iter().map(|(app, _)| *app)),
            texts(receipts.iter().map(|(_, receipt)| receipt.uid.to_string())),
            texts(receipts.iter().map(|(_, receipt)| receipt.id.to_string())),
            smallints(receipts.iter().map(|(_, receipt)| receipt_code(receipt.state))),
        ]
    }
}

/// Returns the numbers of receipts of each state among the newest entries of a stream, which are
/// receipts that this transaction has written.
async fn newest_receipts(
    app: i32,
    entries: i32,
    txn: &DatabaseTransaction,
) -> Result<Vec<(ReceiptState, u64)>, StoreError> {
    let sql = "SELECT l.status, count(*) FROM (SELECT status FROM live_log WHERE app = $1 \
               ORDER BY place DESC LIMIT $2) l GROUP BY l.status";
    let limit = i64::from(entries);
    let rows = query(txn, sql, [app.into(), limit.into()]).await?;
    rows.iter()
        .map(|row| {
            let state = receipt_state(row.try_get_by_index(0)?);
            let count = number_from_column("live_log", row.try_get_by_index(1)?)?;
            Ok((state.ok_or(StoreError::CorruptRow("live_log"))?, count))
        })
        .collect()
}

async fn moved_apps<const N: usize>(
    txn: &DatabaseTransaction,
    sql: &str,
    values: [Value; N],
) -> Result<Vec<i32>, StoreError> {
    let rows = query(txn, sql, values).await?;
    let moved: Option<Vec<i32>> = rows.first().map_or(Ok(None), |row| row.try_get_by_index(0))?;
    Ok(moved.unwrap_or_default())
}
