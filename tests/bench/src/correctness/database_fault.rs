//! The faults of PostgreSQL.

use std::time::Duration;

use tokio::time::sleep;

use crate::database::Database;

/// The time for which something stands still that the others do not give up.
pub(crate) const SHORT: Duration = Duration::from_secs(8);
/// The time without the process of a server or of the database.
pub(crate) const AWAY: Duration = Duration::from_secs(2);
/// The time for which a slow database stays slow.
const SLOW: Duration = Duration::from_secs(15);
/// The time for which a transaction is left open.
const SNAPSHOT: Duration = Duration::from_mins(1);

/// A fault of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseFault {
    BackendsEnded,
    BackendKilled,
    Restarted,
    Crashed,
    StandsStill,
    SnapshotOpen,
    FlushSlow,
}

impl DatabaseFault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BackendsEnded => "all backends are ended, ten times",
            Self::BackendKilled => "a backend is killed: PostgreSQL empties the live tables",
            Self::Restarted => "PostgreSQL restarts in order",
            Self::Crashed => "PostgreSQL crashes, and starts again",
            Self::StandsStill => "PostgreSQL stands still for 8 s",
            Self::SnapshotOpen => "a transaction stays open for 60 s",
            Self::FlushSlow => "each flush takes 5 ms longer",
        }
    }

    /// Lets the fault happen, and be over.
    pub(crate) async fn happen_to(self, database: &Database) {
        match self {
            Self::BackendsEnded => {
                for _ in 0..10 {
                    database.apart(Database::end_backends).await;
                    sleep(Duration::from_millis(300)).await;
                }
            }
            Self::BackendKilled => database.apart(Database::kill_a_backend).await,
            Self::Restarted => restart(database, "fast").await,
            Self::Crashed => restart(database, "immediate").await,
            Self::StandsStill => {
                database.signal("STOP");
                sleep(SHORT).await;
                database.signal("CONT");
            }
            Self::SnapshotOpen => {
                let mut held = database.open_snapshot(SNAPSHOT);
                sleep(SNAPSHOT + Duration::from_secs(1)).await;
                held.wait().unwrap();
            }
            Self::FlushSlow => {
                database.apart(|database| database.set_flush_delay(5000)).await;
                sleep(SLOW).await;
                database.apart(|database| database.set_flush_delay(0)).await;
            }
        }
    }
}

async fn restart(database: &Database, mode: &'static str) {
    database.apart(move |database| database.stop(mode)).await;
    sleep(AWAY).await;
    database.apart(Database::start_again).await;
}
