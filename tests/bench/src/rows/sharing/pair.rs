//! Two servers on one PostgreSQL database.

use presence_test_postgres::Cluster;
use presence_tests::{Server, ServerOptions};

use crate::database::Database;
use crate::sides::unlimited;

/// Two servers that share presence.
pub(crate) struct SharingPair {
    servers: [Server; 2],
    cluster: Cluster,
    name: String,
}

impl SharingPair {
    /// Starts PostgreSQL, which syncs its files, and the servers.
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::start(&["fsync = on", "shared_buffers = 256MB"]);
        let url = cluster.create_database();
        let one = Server::start(options().with_database(&url)).await;
        let other = Server::start(options().with_database(&url)).await;
        let name = one.database_name();
        Self { servers: [one, other], cluster, name }
    }

    pub(crate) fn servers(&self) -> [&Server; 2] {
        self.servers.each_ref()
    }

    pub(crate) fn database(&self) -> Database<'_> {
        Database { cluster: &self.cluster, name: &self.name }
    }
}

/// Returns the options of all servers of this row.
pub(crate) fn options() -> ServerOptions {
    unlimited().with("apps-per-developer", 1_000)
}
