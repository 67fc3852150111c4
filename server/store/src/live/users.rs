//! Reads of the rosters of users.

use std::collections::HashMap;

use presence_core::{UnixMillis, UserId};

use super::arrays::bigints;
use super::roster::{SharedRoster, decode};
use super::{Live, execute, query};
use crate::error::StoreError;
use crate::rows::time_to_column;

impl Live {
    /// Returns the rosters of users, each with its revision. A user without one is left out.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn rosters(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, (i64, SharedRoster)>, StoreError> {
        let sql = "SELECT user_id, rev, roster FROM live_users \
                   WHERE user_id = ANY ($1) AND roster <> ''";
        let rows = query(self.read(), sql, [bigints(users.iter().map(|user| user.0))]).await?;
        let mut rosters = HashMap::with_capacity(rows.len());
        for row in rows {
            let roster: Vec<u8> = row.try_get_by_index(2)?;
            let user = UserId(row.try_get_by_index(0)?);
            rosters.insert(user, (row.try_get_by_index(1)?, decode(&roster)?));
        }
        Ok(rosters)
    }

    /// Returns users whose rosters have a tick that is due, the oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn due_users(&self, now: UnixMillis, limit: u64) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT user_id FROM live_users WHERE due_at <= $1 AND roster <> '' \
                   ORDER BY due_at LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query(self.read(), sql, [time_to_column(now).into(), limit.into()]).await?;
        rows.iter().map(|row| Ok(UserId(row.try_get_by_index(0)?))).collect()
    }

    /// Returns users whose rosters have a connection of a server.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn users_of_node(&self, node: i64, limit: u64) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT user_id FROM live_connections WHERE node = $1 ORDER BY user_id LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query(self.write(), sql, [node.into(), limit.into()]).await?;
        rows.iter().map(|row| Ok(UserId(row.try_get_by_index(0)?))).collect()
    }

    /// Forgets that rosters of users had connections of a server that is dead.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn unlink(&self, node: i64, users: &[UserId]) -> Result<(), StoreError> {
        let sql = "DELETE FROM live_connections WHERE node = $1 AND user_id = ANY ($2)";
        let users = bigints(users.iter().map(|user| user.0));
        execute(self.write(), sql, [node.into(), users]).await?;
        Ok(())
    }

    /// Removes empty rosters, at most `limit`. Returns their number.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_empty_rosters(&self, limit: u64) -> Result<u64, StoreError> {
        let sql = "DELETE FROM live_users WHERE user_id IN (SELECT user_id FROM live_users \
                   WHERE due_at <= 0 AND roster = '' ORDER BY user_id LIMIT $1 \
                   FOR UPDATE SKIP LOCKED)";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        execute(self.write(), sql, [limit.into()]).await
    }
}
