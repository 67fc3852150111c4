//! Open sockets of Applications that read all updates.

use tokio::task::JoinSet;

use crate::filling::application;
use crate::sides::Side;
use crate::subscribers;
use crate::wire::Wire;

/// Open sockets. Dropping them closes them.
pub(crate) struct Followers {
    _tasks: JoinSet<()>,
}

impl Followers {
    /// Opens a socket of each of the first Applications.
    pub(crate) async fn open(side: Side, applications: usize) -> Self {
        let mut tasks = JoinSet::new();
        for number in 1..=applications {
            let (appid, key) = application(number);
            tasks.spawn(read(subscribers::open_with_key(side, number, (&appid, &key)).await));
        }
        Self { _tasks: tasks }
    }
}

async fn read(mut wire: Wire) {
    loop {
        wire.text().await;
    }
}
