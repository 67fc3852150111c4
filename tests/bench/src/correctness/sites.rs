//! The servers of a run, and the ways to them.

use std::net::SocketAddr;
use std::time::Duration;

use presence_tests::{FaultProxy, Server, ServerOptions};

use crate::database::Database;
use crate::sides::unlimited;

/// The grace time of the servers.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// The time for which the devices of a server that ended may come back.
pub(crate) const WARM_UP: Duration = Duration::from_secs(8);

/// A server, with the way of devices to it and its way to the database.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) door: FaultProxy,
    /// Its connections to PostgreSQL.
    pub(crate) database: Option<FaultProxy>,
}

/// The servers of a run.
pub(crate) struct Sites {
    pub(crate) all: Vec<Site>,
    /// The database that they share.
    pub(crate) database: Option<Database>,
    /// The one before a standby took over, which nobody uses.
    former: Option<Database>,
}

impl Sites {
    /// Starts one server on SQLite, or several that share a PostgreSQL database.
    pub(crate) async fn start(count: usize) -> Self {
        if count == 1 {
            let server = Server::start(options()).await;
            return Self { all: vec![Site::of(server, None).await], database: None, former: None };
        }
        let database = Database::start(&["max_connections = 100"]);
        let mut sites = Vec::with_capacity(count);
        for _ in 0..count {
            let proxy = FaultProxy::to_address(database.address()).await;
            let url = database.url_through(proxy.address().port());
            let server = Server::start(options().with_database(&url)).await;
            sites.push(Site::of(server, Some(proxy)).await);
        }
        Self { all: sites, database: Some(database), former: None }
    }

    /// Lets a standby take over. The database of before goes on for some time, and is not used.
    pub(crate) async fn fail_over(&mut self) {
        let Some(database) = &self.database else { return };
        let standby = database.apart(Database::fail_over).await;
        for proxy in self.all.iter().filter_map(|site| site.database.as_ref()) {
            proxy.forward_to_address(standby.address());
            proxy.reset();
        }
        self.former = self.database.replace(standby);
    }

    /// Returns the addresses at which devices connect.
    pub(crate) fn doors(&self) -> Vec<SocketAddr> {
        self.all.iter().map(|site| site.door.address()).collect()
    }

    /// Returns the addresses of the servers.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().map(|site| site.server.address()).collect()
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
