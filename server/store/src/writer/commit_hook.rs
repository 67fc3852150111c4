//! What the writer asks the hub, and what it tells it.

use std::time::Duration;

use presence_core::model::{GrantSet, Notification, UserId};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, Puid};

/// The hub, as the writer knows it. All methods are called by the writer's task and must return at once.
pub trait CommitHook: Send + Sync + 'static {
    /// How an Application sees a user now.
    fn reach(&self, app: AppId, puid: Puid, user: UserId) -> Reachability;

    /// This was committed, in this order. Those who asked for it are answered after this returns.
    fn committed(&self, done: &[CommittedEvent]);

    /// So many requests were committed together, and it took so long.
    fn took(&self, _requests: usize, _time: Duration) {}
}

/// How an Application sees a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachability {
    /// It sees offline.
    Unseen,
    /// It sees the user, and no device socket is open.
    Seen,
    /// It sees the user, and a device socket is open.
    Connected,
}

/// Something that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommittedEvent {
    /// A notification was accepted: hand it to the user's devices now. Not told for a paused grant.
    Queued(Notification),
    /// The final word on a notification.
    Receipt(AppId, Receipt),
    /// A receipt is held back until the Application sees this user again: then `release` it. Where it sees the user
    /// again by the time this is told, `release` it now.
    Withheld(UserId, AppId, Puid),
    /// The grants of a user changed.
    Grants {
        /// The user.
        user: UserId,
        /// All grants from now on.
        set: GrantSet,
        /// What waited for a grant that was just resumed: hand it to the user's devices now.
        resumed: Vec<Notification>,
        /// The grants that were revoked. The receipts for their queues were told before.
        ended: Vec<(AppId, Puid)>,
    },
    /// An Application was removed, with its grants of these users.
    AppRemoved(AppId, Vec<UserId>),
    /// A user was erased, with these grants and these Applications, of which each was told as removed before.
    UserErased(UserId, Vec<(AppId, Puid)>, Vec<AppId>),
}
