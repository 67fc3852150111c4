//! The presence that several servers share, in the tables `live_…` of PostgreSQL.
//!
//! The modules in reading order, each of which uses only those below it: the changes of rosters
//! ([`apply`]), what a transaction of the writer changes ([`grants`]), the streams of Applications
//! ([`streams`]) and their checks of users ([`checks`]), the servers and their epoch ([`nodes`]),
//! the notes for all servers ([`notes`]), and the stored form of a roster ([`roster`]).

pub(crate) mod apply;
pub(crate) mod grants;

pub(crate) mod checks;
pub(crate) mod streams;
pub(crate) mod users;

mod keys;
pub(crate) mod listen;
pub(crate) mod nodes;
pub(crate) mod notes;
pub(crate) mod one_time;

mod app_numbers;
pub(crate) mod common_settings;
pub(crate) mod numbers;
pub(crate) mod roster;

mod arrays;
mod statements;

use std::sync::Arc;

use sea_orm::DatabaseConnection;

use crate::bounded::BoundedPool;
use crate::error::StoreError;
use app_numbers::AppNumbers;
use statements::{execute, query};

/// The shared presence of a PostgreSQL database. Clones share it.
#[derive(Clone)]
pub struct Live(Arc<LiveInner>);

struct LiveInner {
    /// The connections for changes of rosters.
    lane: DatabaseConnection,
    read: BoundedPool,
    write: BoundedPool,
    numbers: AppNumbers,
}

impl Live {
    pub(crate) fn new(lane: DatabaseConnection, read: BoundedPool, write: BoundedPool) -> Self {
        Self(Arc::new(LiveInner { lane, read, write, numbers: AppNumbers::default() }))
    }

    fn lane(&self) -> &DatabaseConnection {
        &self.0.lane
    }

    fn read(&self) -> &BoundedPool {
        &self.0.read
    }

    fn write(&self) -> &BoundedPool {
        &self.0.write
    }

    /// Closes the connections.
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        Ok(self.0.lane.close_by_ref().await?)
    }
}
