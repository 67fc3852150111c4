//! Two servers on one PostgreSQL database.

use presence_tests::{Server, ServerOptions};

use crate::database::Database;
use crate::sides::unlimited;

/// Two servers that share presence.
pub(crate) struct SharingPair {
    servers: [Server; 2],
    pub(crate) database: Database,
}

impl SharingPair {
    pub(crate) async fn start() -> Self {
        let database = Database::start(&["shared_buffers = 256MB"]);
        let url = database.url_through(database.address().port());
        let one = Server::start(options().with_database(&url)).await;
        let other = Server::start(options().with_database(&url)).await;
        Self { servers: [one, other], database }
    }

    pub(crate) fn servers(&self) -> [&Server; 2] {
        self.servers.each_ref()
    }
}

/// Returns the options of all servers of this row.
pub(crate) fn options() -> ServerOptions {
    unlimited().with("apps-per-developer", 1_000)
}
