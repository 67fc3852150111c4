//! The changes of rosters that a server makes, many in one statement.

use std::collections::HashMap;
use std::time::Duration;

use presence_core::roster::ViewChange;
use presence_core::view::status_code;
use presence_core::{UnixMillis, UserId};
use presence_protocol::{AppId, OfflineCause, Status};
use sea_orm::Value;

use super::arrays::{
    bigints, blobs, ints, optional_bigints, optional_smallints, optional_texts, smallints, texts,
};
use super::roster::{SharedRoster, decode, encode};
use super::{Live, execute, query};
use crate::error::{Cause, StoreError};
use crate::postgres;
use crate::rows::time_from_column;

/// The change of the roster of one user.
pub struct RosterChange<'a> {
    /// The user.
    pub user: UserId,
    /// The revision of the roster that was changed, `None` if the user had none.
    pub rev: Option<i64>,
    /// The revision that the grants must still have.
    pub grants: Option<i64>,
    /// The roster after the change.
    pub roster: &'a SharedRoster,
    /// Set if this server holds a connection of the user from now on.
    pub comes: bool,
    /// The servers that hold none any more. A device that connects here has left another server.
    pub gone: Vec<i64>,
    /// The changes of what Applications see, at most one for each.
    pub changes: Vec<ViewChange>,
}

/// The outcome of changes.
pub struct Applied {
    /// The time of the database.
    pub at: UnixMillis,
    /// The rosters that had another revision, as they are: nothing of these users was changed.
    pub refused: HashMap<UserId, (i64, SharedRoster)>,
    /// The revisions of new rosters. Each other one is greater by one.
    pub created: HashMap<UserId, i64>,
}

/// The reason why nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LiveError {
    /// The live tables were emptied, and filled again.
    #[error("another epoch has begun")]
    OtherEpoch,
    /// The other servers have declared this one dead.
    #[error("this server was declared dead")]
    DeclaredDead,
    /// Applications have no stream yet.
    #[error("streams are missing")]
    MissingStreams,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LiveError {
    pub(super) fn of(error: StoreError) -> Self {
        let StoreError::Unavailable(Cause(cause)) = &error else { return Self::Store(error) };
        match postgres::error::state(cause).as_deref() {
            Some("PR001") => Self::OtherEpoch,
            Some("PR002") => Self::DeclaredDead,
            Some("PR003") => Self::MissingStreams,
            _ => Self::Store(error),
        }
    }
}

impl Live {
    /// Applies changes, at most one of each user, in one transaction. With a `delay`, Applications
    /// see them at their next moments: see [`Live::show_waiting`].
    ///
    /// # Errors
    ///
    /// As [`LiveError`]: nothing was changed, except after `Unavailable`, when it is not known.
    pub async fn apply(
        &self,
        (epoch, node): (i64, i64),
        delay: Duration,
        mut changes: Vec<RosterChange<'_>>,
    ) -> Result<Applied, LiveError> {
        changes.sort_unstable_by_key(|change| change.user);
        let apps: Vec<AppId> =
            changes.iter().flat_map(|it| &it.changes).map(|change| change.app).collect();
        let numbers = self.numbers(&apps, self.lane()).await?;
        let values = values((epoch, node), delay, &changes, &numbers);
        let sql = "SELECT * FROM presence_apply_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
                   $12, $13, $14::uuid[], $15, $16, $17)";
        let rows = query(self.lane(), sql, values).await.map_err(LiveError::of)?;
        let mut applied =
            Applied { at: UnixMillis::default(), refused: HashMap::new(), created: HashMap::new() };
        for row in rows {
            let user: Option<i64> = row.try_get_by_index(0).map_err(StoreError::from)?;
            let rev: Option<i64> = row.try_get_by_index(1).map_err(StoreError::from)?;
            let roster: Option<Vec<u8>> = row.try_get_by_index(2).map_err(StoreError::from)?;
            match (user.map(UserId), rev, roster) {
                (Some(user), Some(rev), Some(roster)) => {
                    applied.refused.insert(user, (rev, decode(&roster)?));
                }
                (Some(user), Some(rev), None) => drop(applied.created.insert(user, rev)),
                _ => {
                    let at: i64 = row.try_get_by_index(3).map_err(StoreError::from)?;
                    applied.at = time_from_column("live_users", at)?;
                }
            }
        }
        Ok(applied)
    }

    /// Shows Applications whose moment has come the changes that wait. Each has moments at
    /// intervals of `delay`, of a random phase.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn show_waiting(&self, delay: Duration) -> Result<(), StoreError> {
        let sql = "SELECT presence_announce_1(presence_show_waiting_1($1))";
        execute(self.lane(), sql, [milliseconds(delay).into()]).await.map(drop)
    }
}

/// Returns a duration as SQL takes it.
pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn values(
    (epoch, node): (i64, i64),
    delay: Duration,
    changes: &[RosterChange<'_>],
    numbers: &HashMap<AppId, i32>,
) -> [Value; 17] {
    let users = || changes.iter().map(|change| change.user.0);
    let come = changes.iter().filter(|change| change.comes).map(|change| change.user.0);
    let gone = || {
        let of_user = |change: &RosterChange<'_>| {
            let user = change.user.0;
            change.gone.iter().map(move |node| (user, *node)).collect::<Vec<(i64, i64)>>()
        };
        changes.iter().flat_map(of_user)
    };
    // An Application that was removed meanwhile sees nothing.
    let told: Vec<(i64, i32, &ViewChange)> = changes
        .iter()
        .flat_map(|of_user| of_user.changes.iter().map(|change| (of_user.user.0, change)))
        .filter_map(|(user, change)| Some((user, *numbers.get(&change.app)?, change)))
        .collect();
    let due = |change: &RosterChange<'_>| {
        let at = change.roster.deadline()?;
        i64::try_from(at.since_start().as_millis()).ok()
    };
    // An empty roster is removed soon.
    let due =
        |change: &RosterChange<'_>| if change.roster.is_empty() { Some(0) } else { due(change) };
    [
        epoch.into(),
        node.into(),
        milliseconds(delay).into(),
        bigints(users()),
        bigints(changes.iter().map(|change| change.rev.unwrap_or(-1))),
        bigints(changes.iter().map(|change| change.grants.unwrap_or(-1))),
        blobs(changes.iter().map(|change| encode(change.roster))),
        optional_bigints(changes.iter().map(due)),
        bigints(come),
        bigints(gone().map(|(user, _)| user)),
        bigints(gone().map(|(_, node)| node)),
        bigints(told.iter().map(|(user, ..)| *user)),
        ints(told.iter().map(|(_, app, _)| *app)),
        texts(told.iter().map(|(.., change)| change.puid.to_string())),
        smallints(told.iter().map(|(.., change)| status_code(change.view.status).into())),
        optional_smallints(told.iter().map(|(.., change)| cause_code(change))),
        optional_texts(
            told.iter()
                .map(|(.., change)| change.view.text.as_ref().map(|text| text.as_str().to_owned())),
        ),
    ]
}

/// Returns the number that stands for the cause of a change to offline.
pub(super) fn cause_code(change: &ViewChange) -> Option<i16> {
    let code = match change.cause {
        OfflineCause::Left => 0,
        OfflineCause::Lost => 1,
    };
    (change.view.status == Status::Offline).then_some(code)
}
