//! The faults of a run.

use std::time::Duration;

use presence_tests::SeededRng;
use tokio::time::sleep;

use super::database_fault::{AWAY, DatabaseFault, SHORT};
use super::scene::Scene;
use super::sites::Sites;

/// The time for which a server stands still or is cut off that the others have declared dead.
const LONG: Duration = Duration::from_secs(30);

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
    OfDatabase(DatabaseFault),
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
        Self::OfDatabase(DatabaseFault::BackendsEnded),
        Self::OfDatabase(DatabaseFault::BackendKilled),
        Self::OfDatabase(DatabaseFault::Restarted),
        Self::OfDatabase(DatabaseFault::Crashed),
        Self::OfDatabase(DatabaseFault::StandsStill),
        Self::OfDatabase(DatabaseFault::SnapshotOpen),
        Self::OfDatabase(DatabaseFault::FlushSlow),
        Self::StandbyPromoted,
    ];
    /// Those of a short run.
    const SHORT: [Self; 4] = [
        Self::Nothing,
        Self::ServerKilled,
        Self::DatabaseConnectionsCut,
        Self::OfDatabase(DatabaseFault::BackendKilled),
    ];

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
            Self::OfDatabase(fault) => fault.name(),
            Self::StandbyPromoted => "a standby takes over, and the old primary stays alive",
        }
    }

    /// Lets the fault happen, and be over.
    pub(crate) async fn happen(self, sites: &mut Sites, scene: &Scene, rng: &mut SeededRng) {
        let place = rng.below(sites.all.len());
        match self {
            Self::Nothing => {}
            Self::ServerRestarted => restart_all(sites).await,
            Self::ClientsReset => sites.all[place].door.reset(),
            Self::ClientsStalled => {
                sites.all[place].door.stall();
                sleep(Duration::from_secs(3)).await;
                sites.all[place].door.resume_traffic();
            }
            Self::ServerKilled => {
                let server = &mut sites.all[place].server;
                server.kill().await;
                sleep(AWAY).await;
                server.restart_in_place().await;
            }
            Self::ServerStill => stand_still(sites, place, SHORT).await,
            Self::ServerStillForLong => stand_still(sites, place, LONG).await,
            Self::DatabaseConnectionsCut => cut_connections(sites, place).await,
            Self::ServerCutOff => cut_off(sites, place, SHORT).await,
            Self::ServerCutOffForLong => {
                // The others end the presence of its devices.
                cut_off(sites, place, LONG).await;
                allow_departures(scene);
            }
            Self::OfDatabase(fault) => {
                if let Some(database) = &sites.database {
                    fault.happen_to(database).await;
                }
            }
            Self::StandbyPromoted => sites.fail_over().await,
        }
    }
}

async fn stand_still(sites: &Sites, place: usize, time: Duration) {
    sites.all[place].server.signal("STOP").await;
    sleep(time).await;
    sites.all[place].server.signal("CONT").await;
}

async fn cut_off(sites: &Sites, place: usize, time: Duration) {
    sites.all[place].database.iter().for_each(presence_tests::FaultProxy::stall);
    sleep(time).await;
    sites.all[place].database.iter().for_each(presence_tests::FaultProxy::resume_traffic);
}

async fn cut_connections(sites: &Sites, place: usize) {
    for _ in 0..10 {
        sites.all[place].database.iter().for_each(presence_tests::FaultProxy::reset);
        sleep(Duration::from_millis(300)).await;
    }
}

async fn restart_all(sites: &mut Sites) {
    for site in &mut sites.all {
        site.server.terminate().await;
        site.server.restart_in_place().await;
        sleep(AWAY).await;
    }
}

fn allow_departures(scene: &Scene) {
    (0..scene.expectations.users()).for_each(|user| scene.expectations.allow_departure(user));
}
