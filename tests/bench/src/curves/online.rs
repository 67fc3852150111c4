//! Servers with many users of one Application who are online.

use presence_tests::Server;

use crate::clients::{Device, SignedInUser};
use crate::filling::{Filling, signed_in};
use crate::sides::{Side, unlimited};

/// A grace time that no run reaches, in seconds.
const GRACE: u32 = 1_000_000;
/// The number of devices that connect at once.
const AT_ONCE: usize = 100;

/// A server whose users have a session and a grant for one Application.
pub(crate) struct OnlineServer {
    server: Server,
    pub(crate) users: usize,
}

impl OnlineServer {
    /// Starts a server whose users are offline.
    pub(crate) async fn start(users: usize) -> Self {
        let sessions: Vec<usize> = (1..=users).collect();
        let filling = Filling { users, applications: 1, grants: 1 };
        let options = unlimited().with("grace-seconds", GRACE);
        Self { server: filling.start(options, &sessions).await, users }
    }

    /// Starts a server all of whose users are online. Their connections were lost, and the server
    /// keeps them online for the grace time, so there can be more of them than open files.
    pub(crate) async fn start_with_all_online(users: usize) -> Self {
        let server = Self::start(users).await;
        let all = signed_in(1..=users);
        for (batch, users) in all.chunks(AT_ONCE).enumerate() {
            let devices = connect_batch(server.side(), batch, users).await;
            devices.into_iter().for_each(Device::lose);
        }
        server
    }

    pub(crate) fn side(&self) -> Side {
        Side::of(&self.server)
    }

    /// Connects a device of each user after the first ones, and keeps the connections open.
    pub(crate) async fn connect_after(&self, first: usize) -> Vec<Device> {
        let users = signed_in(first + 1..=self.users);
        let mut devices = Vec::with_capacity(users.len());
        for (batch, users) in users.chunks(AT_ONCE).enumerate() {
            devices.extend(connect_batch(self.side(), batch, users).await);
        }
        devices
    }
}

async fn connect_batch(side: Side, batch: usize, users: &[SignedInUser]) -> Vec<Device> {
    let first = batch * AT_ONCE;
    let devices = users.iter().enumerate();
    let devices = devices.map(|(place, user)| Device::connect(side, first + place, user));
    futures_util::future::join_all(devices).await
}
