//! The faults of a run.

use std::time::Duration;

use presence_tests::SeededRng;
use tokio::time::sleep;

use super::scene::Scene;
use super::sites::Sites;
use crate::database::Database;

/// The time for which something stands still that the others do not give up.
const SHORT: Duration = Duration::from_secs(8);
/// The time for which a server stands still or is cut off that the others have declared dead.
const LONG: Duration = Duration::from_secs(30);
/// The time for which a slow database stays slow.
const SLOW: Duration = Duration::from_secs(15);
/// The time for which a transaction is left open.
const SNAPSHOT: Duration = Duration::from_mins(1);
/// The time without the process of a server or of the database.
const AWAY: Duration = Duration::from_secs(2);

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    ClientsReset,
    ClientsStalled,
    ServerKilled,
    ServerStill,
    ServerRestarted,
    ServerStillForLong,
    DatabaseConnectionsCut,
    ServerCutOff,
    ServerCutOffForLong,
    BackendsEnded,
    BackendKilled,
    DatabaseRestarted,
    DatabaseCrashed,
    DatabaseStill,
    SnapshotOpen,
    FlushSlow,
    StandbyPromoted,
}

impl Fault {
    const OF_EVERY_SERVER: [Self; 6] = [
        Self::Nothing,
        Self::ClientsReset,
        Self::ClientsStalled,
        Self::ServerKilled,
        Self::ServerStill,
        Self::ServerRestarted,
    ];
    const OF_SHARED_PRESENCE: [Self; 12] = [
        Self::ServerStillForLong,
        Self::DatabaseConnectionsCut,
        Self::ServerCutOff,
        Self::ServerCutOffForLong,
        Self::BackendsEnded,
        Self::BackendKilled,
        Self::DatabaseRestarted,
        Self::DatabaseCrashed,
        Self::DatabaseStill,
        Self::SnapshotOpen,
        Self::FlushSlow,
        Self::StandbyPromoted,
    ];
    /// Those of a short run.
    const SHORT: [Self; 4] =
        [Self::Nothing, Self::ServerKilled, Self::DatabaseConnectionsCut, Self::BackendKilled];

    /// Returns the faults of a run.
    pub(crate) fn all(sites: &Sites, is_short: bool) -> Vec<Self> {
        if is_short {
            return Self::SHORT.to_vec();
        }
        let shared = sites.database.iter().flat_map(|_| Self::OF_SHARED_PRESENCE);
        Self::OF_EVERY_SERVER.into_iter().chain(shared).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::ClientsReset => "connections of devices are reset",
            Self::ClientsStalled => "connections of devices stall for 3 s",
            Self::ServerKilled => "a server is killed, and starts again",
            Self::ServerStill => "a server stands still for 8 s",
            Self::ServerRestarted => "the servers restart, one after another",
            Self::ServerStillForLong => "a server stands still for 30 s",
            Self::DatabaseConnectionsCut => {
                "a server's connections to PostgreSQL are reset, ten times"
            }
            Self::ServerCutOff => "a server is cut off from PostgreSQL for 8 s",
            Self::ServerCutOffForLong => "a server is cut off from PostgreSQL for 30 s",
            Self::BackendsEnded => "all backends are ended, ten times",
            Self::BackendKilled => "a backend is killed: PostgreSQL empties the live tables",
            Self::DatabaseRestarted => "PostgreSQL restarts in order",
            Self::DatabaseCrashed => "PostgreSQL crashes, and starts again",
            Self::DatabaseStill => "PostgreSQL stands still for 8 s",
            Self::SnapshotOpen => "a transaction stays open for 60 s",
            Self::FlushSlow => "each flush takes 5 ms longer",
            Self::StandbyPromoted => "a standby takes over, and the old primary stays alive",
        }
    }

    /// Lets the fault happen, and be over.
    pub(crate) async fn happen(self, sites: &mut Sites, scene: &Scene, rng: &mut SeededRng) {
        let place = rng.below(sites.sites.len());
        match self {
            Self::Nothing => {}
            Self::ServerRestarted => restart_all(sites).await,
            Self::ClientsReset => sites.sites[place].door.reset(),
            Self::ClientsStalled => {
                sites.sites[place].door.stall();
                sleep(Duration::from_secs(3)).await;
                sites.sites[place].door.resume_traffic();
            }
            Self::ServerKilled => {
                let server = &mut sites.sites[place].server;
                server.kill().await;
                sleep(AWAY).await;
                server.restart_in_place().await;
            }
            Self::ServerStill => stand_still(sites, place, SHORT).await,
            Self::ServerStillForLong => stand_still(sites, place, LONG).await,
            Self::DatabaseConnectionsCut => {
                for _ in 0..10 {
                    sites.sites[place].database.iter().for_each(presence_tests::FaultProxy::reset);
                    sleep(Duration::from_millis(300)).await;
                }
            }
            Self::ServerCutOff => cut_off(sites, place, SHORT).await,
            Self::ServerCutOffForLong => {
                // The others end the presence of its devices.
                cut_off(sites, place, LONG).await;
                allow_departures(scene);
            }
            Self::BackendsEnded
            | Self::BackendKilled
            | Self::DatabaseRestarted
            | Self::DatabaseCrashed
            | Self::DatabaseStill
            | Self::SnapshotOpen
            | Self::FlushSlow => {
                if let Some(database) = &sites.database {
                    self.happen_to(database).await;
                }
            }
            Self::StandbyPromoted => sites.fail_over().await,
        }
    }

    async fn happen_to(self, database: &Database) {
        match self {
            Self::BackendsEnded => {
                for _ in 0..10 {
                    database.apart(Database::end_backends).await;
                    sleep(Duration::from_millis(300)).await;
                }
            }
            Self::BackendKilled => database.apart(Database::kill_a_backend).await,
            Self::DatabaseRestarted => restart(database, "fast").await,
            Self::DatabaseCrashed => restart(database, "immediate").await,
            Self::DatabaseStill => {
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
            _ => {}
        }
    }
}

async fn restart(database: &Database, mode: &'static str) {
    database.apart(move |database| database.stop(mode)).await;
    sleep(AWAY).await;
    database.apart(Database::start_again).await;
}

async fn stand_still(sites: &Sites, place: usize, time: Duration) {
    sites.sites[place].server.signal("STOP").await;
    sleep(time).await;
    sites.sites[place].server.signal("CONT").await;
}

async fn cut_off(sites: &Sites, place: usize, time: Duration) {
    sites.sites[place].database.iter().for_each(presence_tests::FaultProxy::stall);
    sleep(time).await;
    sites.sites[place].database.iter().for_each(presence_tests::FaultProxy::resume_traffic);
}

async fn restart_all(sites: &mut Sites) {
    for site in &mut sites.sites {
        site.server.terminate().await;
        site.server.restart_in_place().await;
        sleep(AWAY).await;
    }
}

fn allow_departures(scene: &Scene) {
    (0..scene.expectations.users()).for_each(|user| scene.expectations.allow_departure(user));
}
