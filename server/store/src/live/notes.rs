//! Notes for all servers to look at something again. A note says only where, and each server reads
//! what it needs. So a note that comes twice, or late, does no harm.

use std::collections::{HashMap, HashSet};

use presence_core::{UnixMillis, UserId};
use presence_protocol::AppId;
use sea_orm::ConnectionTrait;

use super::arrays::bigints;
use super::{Live, execute, query};
use crate::bounded::LOCK_RETRY;
use crate::error::StoreError;
use crate::rows::time_to_column;

/// The kind of a note about users.
const USERS: i16 = 0;
/// The kind of a note about Applications.
const APPS: i16 = 1;
/// The kind of a note about users who have new notifications, and nothing else.
const RECEIVERS: i16 = 2;

/// The channel of PostgreSQL's notifications, on which moved streams and new notes are announced.
pub(crate) const CHANNEL: &str = "presence";
/// The announcement of new notes.
pub(crate) const NEW_NOTES: &str = "o";

/// The things that all servers are to look at again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Users whose sessions, devices, grants or notifications have changed.
    pub users: Vec<UserId>,
    /// Applications whose state or keys have changed.
    pub apps: Vec<AppId>,
    /// Set if there are others, which were removed and of which this server knows nothing but
    /// maybe their keys.
    pub unknown_apps: bool,
    /// Users who have new notifications.
    pub receivers: Vec<UserId>,
}

/// A note in the database. Numbers and transactions may come again after the change to a replica
/// that had not everything; at the same millisecond they do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoteId {
    id: i64,
    transaction: String,
    created_at: i64,
}

impl Notes {
    /// Returns true if there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.apps.is_empty() && self.receivers.is_empty()
    }
}

/// The number of notes that are read by one statement.
const PAGE: i32 = 1_000;

/// A place in the notes. Numbers and transactions are assigned before the commit, so a note can
/// appear after one with a greater number. All notes of transactions before `from` have appeared.
#[derive(Debug, Default)]
pub struct NotesReader {
    from: i64,
    /// The notes of transactions from `from` on that were returned.
    seen: HashSet<i64>,
}

impl Live {
    /// Adds notes in a transaction, and returns one of them. They are announced after its commit.
    /// `numbers` are those of the Applications that the transaction has removed, maybe with others.
    pub(crate) async fn add_notes<C: ConnectionTrait>(
        &self,
        notes: &Notes,
        numbers: &HashMap<AppId, i32>,
        db: &C,
    ) -> Result<Option<NoteId>, StoreError> {
        let (known, others): (Vec<AppId>, Vec<AppId>) =
            notes.apps.iter().partition(|app| numbers.contains_key(app));
        let mut apps = self.numbers(&others, db).await?;
        apps.extend(known.iter().filter_map(|app| Some((*app, *numbers.get(app)?))));
        let users = |users: &[UserId]| users.iter().map(|user| user.0).collect::<Vec<_>>();
        let apps = apps.values().map(|number| i64::from(*number)).collect();
        let notes =
            [(USERS, users(&notes.users)), (APPS, apps), (RECEIVERS, users(&notes.receivers))];
        let mut added = None;
        for (kind, subjects) in notes {
            if subjects.is_empty() {
                continue;
            }
            let subjects = bigints(subjects);
            let sql = "INSERT INTO notes (kind, subjects, created_at) SELECT $1, $2, \
                       floor(extract(epoch FROM clock_timestamp()) * 1000) \
                       RETURNING id, xact::text, created_at";
            let rows = query(db, sql, [kind.into(), subjects]).await?;
            let row = rows.first().ok_or(StoreError::CorruptRow("notes"))?;
            added = Some(NoteId {
                id: row.try_get_by_index(0)?,
                transaction: row.try_get_by_index(1)?,
                created_at: row.try_get_by_index(2)?,
            });
        }
        Ok(added)
    }

    /// Returns true if a note is in the database, after the end of the transaction that added it.
    ///
    /// # Errors
    ///
    /// `Unavailable`, also if the database does not know the transaction.
    pub(crate) async fn is_committed(&self, note: &NoteId) -> Result<bool, StoreError> {
        let sql = "SELECT pg_xact_status($1::text::xid8) = 'in progress', \
                   EXISTS (SELECT 1 FROM notes \
                   WHERE id = $2 AND xact = $1::text::xid8 AND created_at = $3)";
        let mut has_ended = false;
        loop {
            let NoteId { id, transaction, created_at } = note;
            let values = [transaction.as_str().into(), (*id).into(), (*created_at).into()];
            let rows = query(self.read(), sql, values).await?;
            let row = rows.first().ok_or(StoreError::CorruptRow("notes"))?;
            let is_running: Option<bool> = row.try_get_by_index(0)?;
            let is_there: bool = row.try_get_by_index(1)?;
            if is_there || has_ended {
                return Ok(is_there);
            }
            // It may have ended since the notes were read, so they are read once more.
            has_ended = is_running != Some(true);
            if !has_ended {
                tokio::time::sleep(LOCK_RETRY).await;
            }
        }
    }

    /// Announces notes that were committed. A lost announcement costs a second: servers ask each
    /// second, too.
    pub async fn announce_notes(&self) {
        let values = [CHANNEL.into(), NEW_NOTES.into()];
        if let Err(error) = execute(self.lane(), "SELECT pg_notify($1, $2)", values).await {
            tracing::debug!(%error, "notes are not announced");
        }
    }

    /// Adds and announces notes of a change that was committed before.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn note(&self, notes: &Notes) -> Result<(), StoreError> {
        if !notes.is_empty() {
            self.add_notes(notes, &HashMap::new(), self.write()).await?;
            self.announce_notes().await;
        }
        Ok(())
    }

    /// Returns a reader that begins now.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn notes_reader(&self) -> Result<NotesReader, StoreError> {
        let sql = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
        let rows = query(self.read(), sql, []).await?;
        let from = rows.first().map_or(Ok(0), |row| row.try_get_by_index(0))?;
        Ok(NotesReader { from, seen: HashSet::new() })
    }

    /// Returns the notes that the reader has not returned before, as one.
    ///
    /// # Errors
    ///
    /// `Unavailable`. The reader has not moved then.
    pub async fn read_notes(&self, reader: &mut NotesReader) -> Result<Notes, StoreError> {
        // Older than every page, so what appears meanwhile is read by the next call.
        let next = self.notes_reader().await?.from;
        let sql = "SELECT xact::text::bigint, id, kind, subjects FROM notes \
                   WHERE (xact, id) > ($1::text::xid8, $2) ORDER BY xact, id LIMIT $3";
        let (mut notes, mut seen) = (Notes::default(), HashSet::new());
        let mut last = (reader.from, i64::MIN);
        loop {
            let values = [last.0.to_string().into(), last.1.into(), PAGE.into()];
            let rows = query(self.read(), sql, values).await?;
            for row in &rows {
                last = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let (xact, id) = last;
                if !reader.seen.contains(&id) {
                    let (kind, subjects) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
                    self.add_subjects(&mut notes, kind, subjects).await?;
                }
                if xact >= next {
                    seen.insert(id);
                }
            }
            if rows.len() < PAGE as usize {
                *reader = NotesReader { from: next, seen };
                return Ok(notes);
            }
        }
    }

    async fn add_subjects(
        &self,
        notes: &mut Notes,
        kind: i16,
        subjects: Vec<i64>,
    ) -> Result<(), StoreError> {
        match kind {
            USERS => notes.users.extend(subjects.into_iter().map(UserId)),
            RECEIVERS => notes.receivers.extend(subjects.into_iter().map(UserId)),
            _ => {
                let numbers: Vec<i32> =
                    subjects.into_iter().filter_map(|number| number.try_into().ok()).collect();
                let apps = self.apps(&numbers).await?;
                notes.unknown_apps |= numbers.iter().any(|number| !apps.contains_key(number));
                notes.apps.extend(apps.into_values());
            }
        }
        Ok(())
    }

    /// Removes notes that every server has read, or will not miss.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_notes(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let sql = "DELETE FROM notes WHERE created_at < $1";
        execute(self.write(), sql, [time_to_column(before).into()]).await
    }
}
