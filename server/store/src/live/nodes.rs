//! The servers that share presence, and the epoch in which the live tables were filled.

use std::time::Duration;

use presence_core::UnixMillis;
use sea_orm::ConnectionTrait;

use super::common_settings::CommonSettings;
use super::{Live, execute, query};
use crate::error::StoreError;
use crate::rows::{number_from_column, time_from_column, time_to_column};

/// The name of this database among all copies of it.
const DATABASE: &str = "(SELECT d.oid || ' ' || c.system_identifier FROM pg_database d, \
                        pg_control_system() c WHERE d.datname = current_database())";
/// The key of the lock under which servers join.
const JOIN_LOCK: i64 = 0x7072_6573_656e_6367;

/// An epoch: the time since which the live tables were filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// A random number.
    pub id: i64,
    /// The start in seconds since 1970.
    pub number: u64,
    /// The time at which the devices of before have had the time to come back.
    pub warm_at: UnixMillis,
}

/// A server that joins the others.
#[derive(Debug, Clone)]
pub struct NewNode {
    /// Its random number.
    pub id: i64,
    /// Its name for operators.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// The settings that all servers must share.
    pub settings: CommonSettings,
}

/// The result of an attempt to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// The server shares presence from now on.
    Epoch(Epoch),
    /// Another server has other settings.
    OtherSettings {
        /// Its number.
        node: i64,
        /// The settings that differ, for people.
        differences: String,
    },
}

/// The numbers of connections of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeConnections {
    /// The connected devices.
    pub devices: usize,
    /// The open sockets of AppServices.
    pub app_sockets: usize,
}

/// A server as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The counter that it raises.
    pub counter: i64,
    /// Set if it takes no new connections.
    pub draining: bool,
    /// Set if it was declared dead, and its connections are being lost.
    pub dead: bool,
    /// The time since it was last heard of.
    pub silent_for: Duration,
    /// The numbers of its connections.
    pub connections: NodeConnections,
}

impl Live {
    /// Lets a server join. The first one after the live tables were emptied begins an epoch, in
    /// which snapshots wait for `warm_up`. Those of the first epoch of a database do not wait: no
    /// device was connected before.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn join(&self, node: &NewNode, warm_up: Duration) -> Result<Joined, StoreError> {
        let txn = self.write().begin_writing().await?;
        execute(&txn, "SELECT pg_advisory_xact_lock($1)", [JOIN_LOCK.into()]).await?;
        let passing = match compare_settings(&txn, node).await? {
            Ok(passing) => passing,
            Err(other) => return Ok(other),
        };
        let epoch = match read_epoch(&txn).await? {
            Some(epoch) => epoch,
            None => begin_epoch(&txn, warm_up).await?,
        };
        let sql = "INSERT INTO nodes (id, name, version, settings, started_at) \
                   VALUES ($1, $2, $3, $4, floor(extract(epoch FROM clock_timestamp()) * 1000))";
        let NewNode { id, name, version, .. } = node.clone();
        let settings = node.settings.to_text();
        execute(&txn, sql, [id.into(), name.into(), version.into(), settings.into()]).await?;
        execute(&txn, "INSERT INTO live_nodes (id, state) VALUES ($1, 0)", [id.into()]).await?;
        txn.commit().await?;
        passing.iter().for_each(warn_of);
        Ok(Joined::Epoch(epoch))
    }

    /// Writes a row as it is, which waits for the disk of the database.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn check_writing(&self) -> Result<(), StoreError> {
        execute(self.write(), "UPDATE meta SET epoch = epoch", []).await?;
        Ok(())
    }

    /// Returns the time of the database.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn now(&self) -> Result<UnixMillis, StoreError> {
        let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        let rows = query(self.read(), sql, []).await?;
        let row = rows.first().ok_or(StoreError::CorruptRow("live_epoch"))?;
        time_from_column("live_epoch", row.try_get_by_index(0)?)
    }

    /// Returns the epoch, `None` if the live tables were emptied.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn epoch(&self) -> Result<Option<Epoch>, StoreError> {
        read_epoch(self.read()).await
    }

    /// Returns true if the epoch lasts, and the server was not declared dead in it. It is so also
    /// for all that was read before the call.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn is_current(&self, epoch: i64, node: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM live_epoch e, live_nodes n \
                   WHERE e.id = $1 AND n.id = $2 AND n.state < 2";
        Ok(!query(self.read(), sql, [epoch.into(), node.into()]).await?.is_empty())
    }

    /// Raises the counter of a server, and records its numbers of connections. Returns false if the
    /// others have removed it.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn beat(&self, node: i64, connections: NodeConnections) -> Result<bool, StoreError> {
        let sql = "UPDATE nodes SET counter = counter + 1, devices = $2, app_sockets = $3, \
                   raised_at = floor(extract(epoch FROM clock_timestamp()) * 1000) WHERE id = $1";
        let NodeConnections { devices, app_sockets } = connections;
        let [devices, sockets] =
            [devices, app_sockets].map(|count| i32::try_from(count).unwrap_or(i32::MAX));
        let values = [node.into(), devices.into(), sockets.into()];
        Ok(execute(self.write(), sql, values).await? > 0)
    }

    /// Returns all servers.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let sql = "SELECT n.id, n.name, n.version, n.counter, COALESCE(l.state, 0::smallint), \
                   n.devices, n.app_sockets, GREATEST(0, \
                   floor(extract(epoch FROM clock_timestamp()) * 1000) - n.raised_at)::bigint \
                   FROM nodes n LEFT JOIN live_nodes l ON l.id = n.id ORDER BY n.started_at, n.id";
        let rows = query(self.read(), sql, []).await?;
        rows.iter()
            .map(|row| {
                let state: i16 = row.try_get_by_index(4)?;
                let count = |index| -> Result<usize, StoreError> {
                    let count: i32 = row.try_get_by_index(index)?;
                    Ok(usize::try_from(count).unwrap_or(0))
                };
                Ok(Node {
                    id: row.try_get_by_index(0)?,
                    name: row.try_get_by_index(1)?,
                    version: row.try_get_by_index(2)?,
                    counter: row.try_get_by_index(3)?,
                    draining: state == 1,
                    dead: state == 2,
                    connections: NodeConnections { devices: count(5)?, app_sockets: count(6)? },
                    silent_for: Duration::from_millis(number_from_column(
                        "nodes",
                        row.try_get_by_index(7)?,
                    )?),
                })
            })
            .collect()
    }

    /// Records that a server takes no new connections.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn drain(&self, node: i64) -> Result<(), StoreError> {
        let sql = "UPDATE live_nodes SET state = 1 WHERE id = $1 AND state = 0";
        execute(self.write(), sql, [node.into()]).await?;
        Ok(())
    }

    /// Declares a server dead. From then on it changes nothing: what it had begun is done.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn declare_dead(&self, node: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO live_nodes (id, state) VALUES ($1, 2) \
                   ON CONFLICT (id) DO UPDATE SET state = 2";
        execute(self.write(), sql, [node.into()]).await?;
        // A batch of the server that has looked at its state before holds this lock in common.
        execute(self.write(), "SELECT pg_advisory_xact_lock($1)", [node.into()]).await?;
        Ok(())
    }

    /// Removes the numbers of sockets of servers that are removed. One can be written late.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_old_sockets(&self) -> Result<(), StoreError> {
        let sql = "DELETE FROM live_sockets s \
                   WHERE NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = s.node)";
        execute(self.write(), sql, []).await.map(drop)
    }

    /// Removes a server that holds no connection any more.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_node(&self, node: i64) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM live_sockets WHERE node = $1",
            "DELETE FROM nodes WHERE id = $1",
            "DELETE FROM live_nodes WHERE id = $1",
        ] {
            execute(self.write(), sql, [node.into()]).await?;
        }
        Ok(())
    }
}

/// Compares the settings of a server with those of the others. Returns the differences that may be
/// for some time, or that another has settings with which this one must not join.
async fn compare_settings<C: ConnectionTrait>(
    db: &C,
    node: &NewNode,
) -> Result<Result<Option<String>, Joined>, StoreError> {
    let sql = "SELECT id, settings FROM nodes WHERE settings <> $1 AND id IN \
               (SELECT id FROM live_nodes WHERE state < 2)";
    let mut passing = None;
    for row in query(db, sql, [node.settings.to_text().into()]).await? {
        let others = CommonSettings::parse(&row.try_get_by_index::<String>(1)?);
        if let Some(differences) = node.settings.differences(&others) {
            let other = Joined::OtherSettings { node: row.try_get_by_index(0)?, differences };
            return Ok(Err(other));
        }
        passing = passing.or(node.settings.passing_differences(&others));
    }
    Ok(Ok(passing))
}

fn warn_of(differences: &String) {
    tracing::warn!(differences, "live.other_settings: restart all servers with the same");
}

async fn read_epoch<C: ConnectionTrait>(db: &C) -> Result<Option<Epoch>, StoreError> {
    let sql = format!("SELECT id, number, warm_at FROM live_epoch WHERE database = {DATABASE}");
    let rows = query(db, &sql, []).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Epoch {
        id: row.try_get_by_index(0)?,
        number: number_from_column("live_epoch", row.try_get_by_index(1)?)?,
        warm_at: time_from_column("live_epoch", row.try_get_by_index(2)?)?,
    }))
}

/// Begins an epoch. Its number is greater than every earlier one, also if the clock went back.
async fn begin_epoch<C: ConnectionTrait>(db: &C, warm_up: Duration) -> Result<Epoch, StoreError> {
    // Rows of the epoch before, which a crash of some tables only has left, count no more. The
    // tables are locked in the order in which all other transactions use them.
    let sql = "TRUNCATE live_epoch, live_nodes, live_users, live_schedules, live_streams, \
               live_now, live_connections, live_log, live_waiting, live_sockets, live_removed";
    db.execute_unprepared(sql).await?;
    let rows = query(db, "SELECT devices_connected FROM meta", []).await?;
    let row = rows.first().ok_or(StoreError::CorruptRow("meta"))?;
    let is_first = !row.try_get_by_index::<bool>(0)?;
    let sql = "UPDATE meta SET devices_connected = TRUE, epoch = GREATEST(epoch + 1, \
               floor(extract(epoch FROM clock_timestamp()))::bigint) RETURNING epoch, \
               floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
    let rows = query(db, sql, []).await?;
    let row = rows.first().ok_or(StoreError::CorruptRow("meta"))?;
    let number = number_from_column("meta", row.try_get_by_index(0)?)?;
    let now = time_from_column("meta", row.try_get_by_index(1)?)?;
    let sql = format!(
        "INSERT INTO live_epoch (id, number, warm_at, database) \
         VALUES ((random() * 9007199254740991)::bigint, $1, $2, {DATABASE})"
    );
    let warm_at = if is_first { now } else { now + warm_up };
    let number_column = i64::try_from(number).unwrap_or(i64::MAX);
    execute(db, &sql, [number_column.into(), time_to_column(warm_at).into()]).await?;
    read_epoch(db).await?.ok_or(StoreError::CorruptRow("live_epoch"))
}
