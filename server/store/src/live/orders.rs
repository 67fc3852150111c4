//! Notes for all servers to look at something again. A note says only where, and each server reads
//! what it needs. So a note that comes twice, or late, does no harm.

use presence_core::{UnixMillis, UserId};
use presence_protocol::AppId;
use sea_orm::ConnectionTrait;

use super::arrays::bigints;
use super::{Live, execute, query};
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
pub(crate) const NEW_ORDERS: &str = "o";

/// The things that all servers are to look at again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// Users whose sessions, devices, grants or notifications have changed.
    pub users: Vec<UserId>,
    /// Applications whose state or keys have changed.
    pub apps: Vec<AppId>,
    /// Users who have new notifications.
    pub receivers: Vec<UserId>,
}

impl Orders {
    /// Returns true if there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.apps.is_empty() && self.receivers.is_empty()
    }
}

impl Live {
    /// Adds notes in a transaction. They are announced after its commit.
    pub(crate) async fn add_orders<C: ConnectionTrait>(
        &self,
        orders: &Orders,
        db: &C,
    ) -> Result<(), StoreError> {
        let numbers = self.numbers(&orders.apps, db).await?;
        let users = |users: &[UserId]| users.iter().map(|user| user.0).collect::<Vec<_>>();
        let apps = numbers.values().map(|number| i64::from(*number)).collect();
        let notes =
            [(USERS, users(&orders.users)), (APPS, apps), (RECEIVERS, users(&orders.receivers))];
        for (kind, subjects) in notes {
            if subjects.is_empty() {
                continue;
            }
            let subjects = bigints(subjects);
            let sql = "INSERT INTO orders (kind, subjects, created_at) SELECT $1, $2, \
                       floor(extract(epoch FROM clock_timestamp()) * 1000)";
            execute(db, sql, [kind.into(), subjects]).await?;
        }
        Ok(())
    }

    /// Announces notes that were committed. A lost announcement costs a second: servers ask each
    /// second, too.
    pub(crate) async fn announce_orders(&self) {
        let values = [CHANNEL.into(), NEW_ORDERS.into()];
        if let Err(error) = execute(self.lane(), "SELECT pg_notify($1, $2)", values).await {
            tracing::debug!(%error, "orders are not announced");
        }
    }

    /// Adds and announces notes of a change that was committed before.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn order(&self, orders: &Orders) -> Result<(), StoreError> {
        if !orders.is_empty() {
            self.add_orders(orders, self.write()).await?;
            self.announce_orders().await;
        }
        Ok(())
    }

    /// Returns the notes with a greater number, each with its number. Numbers are assigned before
    /// the commit, so a smaller one can appear later, within the longest time of a transaction.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn orders_after(&self, number: i64) -> Result<Vec<(i64, Orders)>, StoreError> {
        let sql = "SELECT id, kind, subjects FROM orders WHERE id > $1 ORDER BY id LIMIT 10000";
        let mut found = Vec::new();
        for row in query(self.read(), sql, [number.into()]).await? {
            let (id, kind): (i64, i16) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let subjects: Vec<i64> = row.try_get_by_index(2)?;
            let users = || subjects.iter().copied().map(UserId).collect();
            let mut orders = Orders::default();
            match kind {
                USERS => orders.users = users(),
                RECEIVERS => orders.receivers = users(),
                _ => {
                    let numbers: Vec<i32> =
                        subjects.iter().filter_map(|number| (*number).try_into().ok()).collect();
                    orders.apps = self.apps(&numbers).await?.into_values().collect();
                }
            }
            found.push((id, orders));
        }
        Ok(found)
    }

    /// Returns the greatest number of a note.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn last_order(&self) -> Result<i64, StoreError> {
        let rows = query(self.read(), "SELECT COALESCE(max(id), 0) FROM orders", []).await?;
        Ok(rows.first().map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0))
    }

    /// Removes notes that every server has read, or will not miss.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_orders(&self, before: UnixMillis) -> Result<u64, StoreError> {
        let sql = "DELETE FROM orders WHERE created_at < $1";
        execute(self.write(), sql, [time_to_column(before).into()]).await
    }
}
