//! The interface between the writer and the hub.

use std::time::Duration;

use presence_core::UnixMillis;
use presence_core::model::{ApplicationState, GrantSet, Notification, UserId};
use presence_protocol::app::Receipt;
use presence_protocol::{AppId, Puid};
use tokio::sync::Notify;

/// The hub, as the writer knows it. The writer's task calls all methods, and never inside a
/// transaction. They must return at once.
pub trait CommitHook: Send + Sync + 'static {
    /// Returns the grants of a user of which a settlement gets its receipt at once: an Application
    /// has seen the user for some time, and no older taken notifications wait, except for releases
    /// that were taken since the last commit.
    fn grants_with_immediate_receipts(&self, user: UserId) -> Vec<Puid>;

    /// Returns true if an Application sees the user and a device is connected.
    fn is_reachable(&self, app: AppId, puid: Puid, user: UserId) -> bool;

    /// Returns those of the users of whom the hub knows a device. Others load their grants when a
    /// device connects.
    fn connected_users(&self, users: Vec<UserId>) -> Vec<UserId> {
        users
    }

    /// Takes at most `limit` of the grants whose taken notifications are to be released. Each of
    /// them is visible at the moment of this call. If it returns `limit`, the writer calls it again
    /// after the commit.
    fn take_releases(&self, limit: usize) -> Vec<(AppId, Puid)>;

    /// Gives releases back that could not be committed. The writer tries them again with its next
    /// group that writes, not earlier.
    fn releases_failed(&self, grants: Vec<(AppId, Puid)>);

    /// Returns the signal that there are releases to take.
    fn release_signal(&self) -> &Notify;

    /// Handles what was committed, in this order. The requests get their replies afterwards.
    fn committed(&self, events: &[CommittedEvent]);

    /// Records that a group of requests was committed, and how long it took.
    fn group_committed(&self, _requests: usize, _time: Duration) {}
}

/// The limit on the notifications of each grant. The writer's task asks it, also inside a
/// transaction, so it must answer at once.
pub trait NotifyLimit: Send + Sync + 'static {
    /// Takes one notification from the budget of a grant of an Application. The grant exists, so
    /// that made-up PUIDs cost no memory.
    ///
    /// # Errors
    ///
    /// The time to wait, if the budget is used up.
    fn take(&self, app: AppId, puid: Puid) -> Result<(), Duration>;
}

/// A committed change that the hub must know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommittedEvent {
    /// A notification was accepted, and is to be delivered now. Its grant is not paused.
    Queued(Notification),
    /// A receipt, the final state of a notification. It has no row any more.
    Receipt(AppId, Receipt),
    /// A device has taken notifications of a grant without immediate receipts. They stay rows until
    /// they are released.
    Taken(AppId, Puid),
    /// The taken notifications of a grant were released: all their receipts came before.
    Released(AppId, Puid),
    /// The grants of a user changed.
    Grants {
        /// The user.
        user: UserId,
        /// All grants from now on.
        set: GrantSet,
        /// The states of the Applications of these grants.
        apps: Vec<(AppId, ApplicationState)>,
        /// The notifications of a resumed grant, to be delivered now.
        resumed: Vec<Notification>,
        /// The grants that were revoked. The receipts of their queues come before this event.
        ended: Vec<(AppId, Puid)>,
    },
    /// A user has paused or resumed the grant of an Application, or has agreed to its new domain.
    Suspension {
        /// The Application.
        app: AppId,
        /// Its state.
        state: ApplicationState,
        /// The grant.
        puid: Puid,
        /// Set if the Application does not see the user from now on.
        suspended: bool,
        /// The last recorded check of all users by the Application.
        last_check: Option<UnixMillis>,
    },
    /// The domain of an Application changed. It is not active from now on.
    DomainChanged(AppId),
    /// An Application was removed, with its grants of these users.
    AppRemoved(AppId, Vec<UserId>),
    /// A user was erased, with these grants and these Applications. An `AppRemoved` of each
    /// Application comes before this event.
    UserErased(UserId, Vec<(AppId, Puid)>, Vec<AppId>),
}
