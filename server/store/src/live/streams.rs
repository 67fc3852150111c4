//! The streams of Applications: their starts, rows and entries, as servers read them.

use std::collections::HashMap;

use presence_core::stream::replica::{ReplicaStart, SharedEntry, SharedItem, SharedRow};
use presence_core::view::status_from_code;
use presence_core::{UnixMillis, View};
use presence_protocol::app::{Receipt, ReceiptState};
use presence_protocol::{AppId, NotificationId, OfflineCause, Puid, Status, StatusText};
use sea_orm::QueryResult;
use sea_orm::prelude::Uuid;
use sha2::{Digest, Sha256};

use super::arrays::{bigints, ints, texts};
use super::{Live, execute, query};
use crate::error::StoreError;
use crate::rows::{number_from_column, number_to_column, time_from_column};

/// The maximum number of rows of one page.
const PAGE: i64 = 5_000;
/// The maximum number of entries of one stream that are read together.
pub const ENTRY_PAGE: usize = 5_000;

/// The columns of an entry.
const ENTRY: &str = "l.app, l.place, l.at, l.kind, l.puid, l.status, l.cause, l.text, \
                     l.status_before, l.text_before, l.notification";
/// The head of a stream `s`.
const HEAD: &str = "COALESCE((SELECT l.place FROM live_log l WHERE l.app = s.app \
                    ORDER BY l.place DESC LIMIT 1), s.floor)";

impl Live {
    /// Creates the streams of those of the Applications that exist and have none.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn create_streams(&self, apps: &[AppId]) -> Result<(), StoreError> {
        let sql = "WITH found AS (SELECT number, state = 'active' AND blocked_at IS NULL AS active \
                   FROM apps WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE) \
                   INSERT INTO live_streams (app, floor, active, switched_place, switched_at) \
                   SELECT number, 0, active, 0, \
                   floor(extract(epoch FROM clock_timestamp()) * 1000) FROM found \
                   ORDER BY number ON CONFLICT DO NOTHING";
        execute(self.write(), sql, [texts(apps.iter().map(AppId::to_string))]).await?;
        // An Application that was removed has no number any more.
        self.read_numbers_again(apps).await
    }

    /// Returns the facts of a stream at its head, `None` if there is no such Application. Creates
    /// the stream if there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn stream_start(&self, app: AppId) -> Result<Option<ReplicaStart>, StoreError> {
        if let Some(start) = self.read_start(app).await? {
            return Ok(Some(start));
        }
        self.create_streams(&[app]).await?;
        self.read_start(app).await
    }

    async fn read_start(&self, app: AppId) -> Result<Option<ReplicaStart>, StoreError> {
        let numbers = self.numbers(&[app], self.read()).await?;
        let Some(number) = numbers.get(&app) else { return Ok(None) };
        let sql = format!(
            "SELECT e.id, e.number, {HEAD}, s.floor, s.active, s.switched_place, s.switched_at \
             FROM live_epoch e, live_streams s WHERE s.app = $1"
        );
        let rows = query(self.read(), &sql, [(*number).into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let place = |index| -> Result<u64, StoreError> {
            number_from_column("live_streams", row.try_get_by_index(index)?)
        };
        let epoch_id: i64 = row.try_get_by_index(0)?;
        Ok(Some(ReplicaStart {
            id: cursor_id(epoch_id, app),
            epoch: place(1)?,
            head: place(2)?,
            floor: place(3)?,
            active: row.try_get_by_index(4)?,
            switched: (place(5)?, time_from_column("live_streams", row.try_get_by_index(6)?)?),
        }))
    }

    /// Returns the next rows of an Application, in the order of pseudonyms. There are no more
    /// after an empty page.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn row_page(
        &self,
        app: AppId,
        after: Option<Puid>,
    ) -> Result<Vec<SharedRow>, StoreError> {
        self.read_rows(app, after, (false, PAGE)).await
    }

    /// Returns the next rows of users who are not offline, in the order of pseudonyms.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn visible_rows(
        &self,
        app: AppId,
        after: Option<Puid>,
        limit: usize,
    ) -> Result<Vec<SharedRow>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read_rows(app, after, (true, limit)).await
    }

    async fn read_rows(
        &self,
        app: AppId,
        after: Option<Puid>,
        (only_visible, limit): (bool, i64),
    ) -> Result<Vec<SharedRow>, StoreError> {
        let numbers = self.numbers(&[app], self.read()).await?;
        let Some(number) = numbers.get(&app) else { return Ok(Vec::new()) };
        let sql = "SELECT puid, place, status, text, since FROM live_now \
                   WHERE app = $1 AND ($2::uuid IS NULL OR puid > $2::uuid) AND status >= $3 \
                   ORDER BY puid LIMIT $4";
        let after = after.map(|puid| puid.to_string());
        let least = i16::from(only_visible);
        let values = [(*number).into(), after.into(), least.into(), limit.into()];
        query(self.read(), sql, values).await?.iter().map(row).collect()
    }

    /// Returns the rows of these users.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn rows_of(&self, app: AppId, puids: &[Puid]) -> Result<Vec<SharedRow>, StoreError> {
        let numbers = self.numbers(&[app], self.read()).await?;
        let Some(number) = numbers.get(&app) else { return Ok(Vec::new()) };
        let sql = "SELECT puid, place, status, text, since FROM live_now \
                   WHERE app = $1 AND puid = ANY ($2::uuid[])";
        let puids = texts(puids.iter().map(Puid::to_string));
        query(self.read(), sql, [(*number).into(), puids]).await?.iter().map(row).collect()
    }

    /// Returns the status that each Application sees of a user of it.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn statuses(
        &self,
        grants: &[(AppId, Puid)],
    ) -> Result<HashMap<Puid, Status>, StoreError> {
        let apps: Vec<AppId> = grants.iter().map(|(app, _)| *app).collect();
        let numbers = self.numbers(&apps, self.read()).await?;
        let known: Vec<(i32, Puid)> =
            grants.iter().filter_map(|(app, puid)| Some((*numbers.get(app)?, *puid))).collect();
        let sql = "SELECT w.puid, w.status FROM unnest($1, $2::uuid[]) g(app, puid) \
                   CROSS JOIN LATERAL (SELECT n.puid, n.status FROM live_now n \
                   WHERE n.app = g.app AND n.puid = g.puid LIMIT 1) w \
                   WHERE (SELECT s.active FROM live_streams s WHERE s.app = g.app)";
        let apps = ints(known.iter().map(|(app, _)| *app));
        let puids = texts(known.iter().map(|(_, puid)| puid.to_string()));
        let mut statuses = HashMap::new();
        for row in query(self.read(), sql, [apps, puids]).await? {
            let view = view(Some(row.try_get_by_index(1)?), None)?;
            statuses.insert(Puid::from_bits(bits(&row, 0)?), view.status);
        }
        Ok(statuses)
    }

    /// Returns the next entries of several streams after these places, in the order of places, at
    /// most [`ENTRY_PAGE`] of each.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn entries_after(
        &self,
        places: &[(AppId, u64)],
    ) -> Result<Vec<(AppId, SharedEntry)>, StoreError> {
        let apps: Vec<AppId> = places.iter().map(|(app, _)| *app).collect();
        let numbers = self.numbers(&apps, self.read()).await?;
        let known = places.iter().filter_map(|(app, place)| Some((*numbers.get(app)?, *place)));
        let (apps, places): (Vec<i32>, Vec<u64>) = known.unzip();
        let sql = format!(
            "SELECT {ENTRY} FROM unnest($1, $2) f(app, place) CROSS JOIN LATERAL \
             (SELECT * FROM live_log l WHERE l.app = f.app AND l.place > f.place \
             ORDER BY l.place LIMIT {ENTRY_PAGE}) l ORDER BY l.app, l.place"
        );
        let places = bigints(places.into_iter().map(number_to_column));
        let rows = query(self.read(), &sql, [ints(apps.iter().copied()), places]).await?;
        let by_number = self.apps(&apps).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let number: i32 = row.try_get_by_index(0)?;
            if let Some(app) = by_number.get(&number) {
                entries.push((*app, entry(row)?));
            }
        }
        Ok(entries)
    }

    /// Returns the entries of a stream between two places, without the first and with the last.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn entries_between(
        &self,
        app: AppId,
        (after, until): (u64, u64),
    ) -> Result<Vec<SharedEntry>, StoreError> {
        let numbers = self.numbers(&[app], self.read()).await?;
        let Some(number) = numbers.get(&app) else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT {ENTRY} FROM live_log l WHERE l.app = $1 AND l.place > $2 AND l.place <= $3 \
             ORDER BY l.place"
        );
        let [after, until] = [after, until].map(number_to_column);
        let rows = query(self.read(), &sql, [(*number).into(), after.into(), until.into()]).await?;
        rows.iter().map(entry).collect()
    }

    /// Records the number of open sockets of an Application at a server.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn set_sockets(&self, node: i64, app: AppId, count: usize) -> Result<(), StoreError> {
        let numbers = self.numbers(&[app], self.write()).await?;
        let Some(number) = numbers.get(&app) else { return Ok(()) };
        let sql = "INSERT INTO live_sockets (node, app, sockets) VALUES ($1, $2, $3) \
                   ON CONFLICT (node, app) DO UPDATE SET sockets = excluded.sockets";
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        execute(self.write(), sql, [node.into(), (*number).into(), count.into()]).await?;
        Ok(())
    }

    /// Returns the number of open sockets of Applications at all servers.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn sockets(&self, apps: &[AppId]) -> Result<HashMap<AppId, usize>, StoreError> {
        let numbers = self.numbers(apps, self.read()).await?;
        let sql = "SELECT app, sum(sockets)::bigint FROM live_sockets WHERE app = ANY ($1) \
                   GROUP BY app";
        let rows = query(self.read(), sql, [ints(numbers.values().copied())]).await?;
        let mut counts = HashMap::new();
        for row in rows {
            let (number, count): (i32, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if let Some((app, _)) = numbers.iter().find(|(_, known)| **known == number) {
                counts.insert(*app, usize::try_from(count).unwrap_or(0));
            }
        }
        Ok(counts)
    }

    /// Raises the floors of streams above entries that are older than a time, or beyond a number
    /// of entries, and removes what is below: at most some thousands of entries. Removes the rows
    /// of users who went offline before `forgotten`.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn trim_streams(
        &self,
        (oldest, forgotten): (UnixMillis, UnixMillis),
        max_entries: u64,
    ) -> Result<u64, StoreError> {
        let max_entries = number_to_column(max_entries);
        let [oldest, forgotten] = [oldest, forgotten].map(crate::rows::time_to_column);
        let sql = format!(
            "WITH due AS MATERIALIZED (SELECT s.app, GREATEST(s.floor, {HEAD} - $2, \
             COALESCE((SELECT l.place - 1 FROM live_log l WHERE l.app = s.app \
             AND l.place > s.floor AND l.at >= $1 ORDER BY l.place LIMIT 1), {HEAD})) AS floor \
             FROM live_streams s ORDER BY s.app FOR NO KEY UPDATE SKIP LOCKED) \
             UPDATE live_streams s SET floor = due.floor FROM due \
             WHERE s.app = due.app AND s.floor < due.floor"
        );
        execute(self.write(), &sql, [oldest.into(), max_entries.into()]).await?;
        let sql = format!(
            "DELETE FROM live_log WHERE (app, place) IN (SELECT l.app, l.place FROM live_streams s \
             JOIN live_log l ON l.app = s.app AND l.place <= s.floor LIMIT {PAGE})"
        );
        let removed = execute(self.write(), &sql, []).await?;
        let sql = format!(
            "DELETE FROM live_now WHERE (app, puid) IN (SELECT n.app, n.puid FROM live_now n \
             JOIN live_streams s ON s.app = n.app \
             WHERE n.status = 0 AND n.since < $1 AND n.place <= s.floor LIMIT {PAGE} \
             FOR UPDATE OF n SKIP LOCKED)"
        );
        execute(self.write(), &sql, [forgotten.into()]).await?;
        Ok(removed)
    }

    /// Removes what is left of Applications that were removed, at most some thousands of rows.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_rests(&self) -> Result<(), StoreError> {
        let sql = "SELECT app FROM live_removed LIMIT 1";
        if query(self.read(), sql, []).await?.is_empty() {
            return Ok(());
        }
        let tables = [
            ("live_log", "place"),
            ("live_now", "puid"),
            ("live_waiting", "puid"),
            ("live_sockets", "node"),
        ];
        for (table, key) in tables {
            let sql = format!(
                "DELETE FROM {table} WHERE (app, {key}) IN (SELECT t.app, t.{key} \
                 FROM live_removed r JOIN {table} t ON t.app = r.app LIMIT {PAGE})"
            );
            execute(self.write(), &sql, []).await?;
        }
        let sql = "DELETE FROM live_removed r \
                   WHERE NOT EXISTS (SELECT 1 FROM live_log t WHERE t.app = r.app) \
                   AND NOT EXISTS (SELECT 1 FROM live_now t WHERE t.app = r.app)";
        execute(self.write(), sql, []).await.map(drop)
    }
}

/// Returns the id of an Application's cursors in an epoch. It tells nothing about those of others.
fn cursor_id(epoch: i64, app: AppId) -> u64 {
    let mut hash = Sha256::new();
    hash.update(epoch.to_be_bytes());
    hash.update(app.bits().to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Returns the bits of an id.
pub(super) fn bits(row: &QueryResult, index: usize) -> Result<u128, StoreError> {
    let id: Uuid = row.try_get_by_index(index)?;
    Ok(id.as_u128())
}

fn row(row: &QueryResult) -> Result<SharedRow, StoreError> {
    Ok(SharedRow {
        puid: Puid::from_bits(bits(row, 0)?),
        place: number_from_column("live_now", row.try_get_by_index(1)?)?,
        view: view(Some(row.try_get_by_index(2)?), row.try_get_by_index(3)?)?,
        since: time_from_column("live_now", row.try_get_by_index(4)?)?,
    })
}

fn entry(row: &QueryResult) -> Result<SharedEntry, StoreError> {
    let place = number_from_column("live_log", row.try_get_by_index(1)?)?;
    let at = time_from_column("live_log", row.try_get_by_index(2)?)?;
    let kind: i16 = row.try_get_by_index(3)?;
    let puid = |row: &QueryResult| bits(row, 4).map(Puid::from_bits);
    let status: Option<i16> = row.try_get_by_index(5)?;
    let previous =
        || -> Result<View, StoreError> { view(row.try_get_by_index(8)?, row.try_get_by_index(9)?) };
    let item = match kind {
        0 => SharedItem::Update {
            puid: puid(row)?,
            view: view(status, row.try_get_by_index(7)?)?,
            cause: cause(row.try_get_by_index(6)?),
            previous: previous()?,
        },
        1 => SharedItem::Receipt(receipt(row, puid(row)?, status)?),
        2 => SharedItem::Revoked { puid: puid(row)?, previous: previous()? },
        3 => SharedItem::Switched { active: status == Some(1) },
        _ => return Err(StoreError::CorruptRow("live_log")),
    };
    Ok(SharedEntry { place, at, item })
}

fn receipt(row: &QueryResult, uid: Puid, state: Option<i16>) -> Result<Receipt, StoreError> {
    let state = state.and_then(receipt_state).ok_or(StoreError::CorruptRow("live_log"))?;
    Ok(Receipt { id: NotificationId::from_bits(bits(row, 10)?), uid, state })
}

/// Returns the state of a receipt with this number.
pub(super) fn receipt_state(code: i16) -> Option<ReceiptState> {
    RECEIPT_STATES.into_iter().find(|state| receipt_code(*state) == code)
}

const RECEIPT_STATES: [ReceiptState; 5] = [
    ReceiptState::Delivered,
    ReceiptState::Acked,
    ReceiptState::Dropped,
    ReceiptState::Expired,
    ReceiptState::Revoked,
];

/// Returns the number that stands for the state of a receipt: that of the row of the notification,
/// if there is one.
pub(super) fn receipt_code(state: ReceiptState) -> i16 {
    match state {
        ReceiptState::Delivered => 1,
        ReceiptState::Acked => 2,
        ReceiptState::Dropped => 3,
        ReceiptState::Expired => 4,
        ReceiptState::Revoked => 5,
    }
}

fn cause(code: Option<i16>) -> OfflineCause {
    if code == Some(1) { OfflineCause::Lost } else { OfflineCause::Left }
}

fn view(status: Option<i16>, text: Option<String>) -> Result<View, StoreError> {
    let corrupt = || StoreError::CorruptRow("live_now");
    let code = status.unwrap_or(0).try_into().map_err(|_| corrupt())?;
    let status = status_from_code(code).ok_or_else(corrupt)?;
    let text: Option<StatusText> =
        text.map(StatusText::try_from).transpose().map_err(|_| corrupt())?;
    Ok(View::new(status, text))
}
