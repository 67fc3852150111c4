//! The servers of a run, and the ways to them.

use std::net::SocketAddr;
use std::time::Duration;

use presence_test_postgres::Cluster;
use presence_tests::{FaultProxy, Server, ServerOptions};

use crate::sides::unlimited;

/// The grace time of the servers.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// The time for which the devices of a server that ended may come back.
const WARM_UP: Duration = Duration::from_secs(8);

/// A server, with the way of devices to it and its way to the database.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) door: FaultProxy,
    /// Its connections to PostgreSQL.
    pub(crate) database: Option<FaultProxy>,
}

/// The servers of a run.
pub(crate) struct Sites {
    pub(crate) sites: Vec<Site>,
    /// The cluster of the database that they share, with its name.
    pub(crate) cluster: Option<(Cluster, String)>,
}

impl Sites {
    /// Starts one server on SQLite, or several that share a PostgreSQL database.
    pub(crate) async fn start(count: usize) -> Self {
        if count == 1 {
            let server = Server::start(options()).await;
            return Self { sites: vec![Site::of(server, None).await], cluster: None };
        }
        let cluster = Cluster::start(&["max_connections = 100", "fsync = on"]);
        let url = cluster.create_database();
        let (to_cluster, name) = url.rsplit_once('/').unwrap();
        let upstream = SocketAddr::from(([127, 0, 0, 1], cluster.port()));
        let mut sites = Vec::with_capacity(count);
        for _ in 0..count {
            let proxy = FaultProxy::to_address(upstream).await;
            let port = format!(":{}", cluster.port());
            let to_proxy = to_cluster.replace(&port, &format!(":{}", proxy.address().port()));
            let options = options().with_database(&format!("{to_proxy}/{name}"));
            sites.push(Site::of(Server::start(options).await, Some(proxy)).await);
        }
        let name = name.to_owned();
        Self { sites, cluster: Some((cluster, name)) }
    }

    /// Returns the addresses at which devices connect.
    pub(crate) fn doors(&self) -> Vec<SocketAddr> {
        self.sites.iter().map(|site| site.door.address()).collect()
    }

    /// Returns the addresses of the servers.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sites.iter().map(|site| site.server.address()).collect()
    }
}

impl Site {
    async fn of(server: Server, database: Option<FaultProxy>) -> Self {
        let door = FaultProxy::to(&server).await;
        Self { server, door, database }
    }
}

fn options() -> ServerOptions {
    unlimited()
        .with("grace-seconds", GRACE.as_secs())
        .with("warm-up-seconds", WARM_UP.as_secs())
        .with("drain-seconds", 1)
        .with("settle-seconds", 0.5)
        .with("database-seconds", 5)
        .with("log", "warn")
}
