//! The announcements of the database.

use std::collections::BTreeSet;

use presence_protocol::AppId;
use sea_orm::sqlx::postgres::{PgListener, PgNotification};

use super::Live;
use super::notes::{CHANNEL, NEW_NOTES};
use crate::error::StoreError;

/// The maximum number of announcements that are taken together.
const TOGETHER: usize = 100;

/// The announcements that have arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announced {
    /// Set if there are new notes for all servers.
    pub notes: bool,
    /// The Applications whose streams have new entries.
    pub streams: Vec<AppId>,
    /// Set if many streams have new entries.
    pub all_streams: bool,
    /// Set if the connection was lost, and is open again: announcements may be missing.
    pub interrupted: bool,
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
    /// Waits for the next announcement. Those that have arrived too are taken with it, so that a
    /// stream is read once for many.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the connection is lost.
    pub async fn next(&mut self) -> Result<Announced, StoreError> {
        let mut announced = Announced::default();
        let mut numbers = BTreeSet::new();
        announced.add(self.listener.try_recv().await?, &mut numbers);
        for _ in 1..TOGETHER {
            let further = tokio::select! {
                biased;
                further = self.listener.try_recv() => further?,
                () = std::future::ready(()) => break,
            };
            announced.add(further, &mut numbers);
        }
        let numbers: Vec<i32> = numbers.into_iter().collect();
        announced.streams = self.live.apps(&numbers).await?.into_values().collect();
        Ok(announced)
    }
}

impl Announced {
    /// Adds an announcement, `None` if the connection was lost.
    fn add(&mut self, notification: Option<PgNotification>, numbers: &mut BTreeSet<i32>) {
        let Some(notification) = notification else {
            self.interrupted = true;
            return;
        };
        match notification.payload() {
            NEW_NOTES => self.notes = true,
            "*" => self.all_streams = true,
            list => numbers.extend(list.split(' ').filter_map(|it| it.parse::<i32>().ok())),
        }
    }
}
