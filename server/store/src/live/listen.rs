//! The announcements of the database.

use presence_protocol::AppId;
use sea_orm::sqlx::postgres::PgListener;

use super::Live;
use super::notes::{CHANNEL, NEW_NOTES};
use crate::error::StoreError;

/// An announcement of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announced {
    /// There are new notes for all servers.
    Notes,
    /// These streams have new entries.
    Streams(Vec<AppId>),
    /// Many streams have new entries.
    AllStreams,
    /// The connection was lost, and is open again: announcements may be missing.
    Interrupted,
}

/// A connection on which the database announces what has changed.
pub struct Announcements {
    live: Live,
    listener: PgListener,
}

impl Live {
    /// Opens a connection for announcements.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn listen(&self) -> Result<Announcements, StoreError> {
        let pool = self.lane().get_postgres_connection_pool();
        let mut listener = PgListener::connect_with(pool).await?;
        // A lost connection is opened again by the next call.
        listener.eager_reconnect(true);
        listener.listen(CHANNEL).await?;
        Ok(Announcements { live: self.clone(), listener })
    }
}

impl Announcements {
    /// Waits for the next announcement.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the connection is lost.
    pub async fn next(&mut self) -> Result<Announced, StoreError> {
        let Some(notification) = self.listener.try_recv().await? else {
            return Ok(Announced::Interrupted);
        };
        match notification.payload() {
            NEW_NOTES => Ok(Announced::Notes),
            "*" => Ok(Announced::AllStreams),
            list => {
                let numbers: Vec<i32> =
                    list.split(' ').filter_map(|number| number.parse().ok()).collect();
                let apps = self.live.apps(&numbers).await?;
                Ok(Announced::Streams(apps.into_values().collect()))
            }
        }
    }
}
