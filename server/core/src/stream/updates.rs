//! The updates that an Application gets of one user: their versions, times and causes.

use presence_protocol::{OfflineCause, PresenceUpdate, Puid, Status, UnixMillis};

use crate::view::View;

/// A version is the start of the epoch in seconds times 2^20, plus a counter, so that versions
/// grow over restarts too.
pub(crate) const COUNTER_BITS: u32 = 20;

/// Returns the update of a user who has none in this epoch: offline since the start of the epoch.
pub(crate) fn initial_update(puid: Puid, base_version: u64) -> PresenceUpdate {
    PresenceUpdate {
        uid: puid,
        status: Status::Offline,
        cause: None,
        version: base_version,
        since: UnixMillis::from_secs(base_version >> COUNTER_BITS),
        message: None,
        revoked: false,
    }
}

/// Creates an update. Its time is in whole seconds, since finer times would let two Applications
/// link their PUIDs.
pub(crate) fn next_update(
    puid: Puid,
    (view, cause): (View, OfflineCause),
    version: u64,
    now: UnixMillis,
) -> PresenceUpdate {
    PresenceUpdate {
        uid: puid,
        status: view.status,
        cause: (view.status == Status::Offline).then_some(cause),
        version,
        since: now.truncated_to_secs(),
        message: view.text,
        revoked: false,
    }
}

/// Returns the last update of a user whose grant has ended.
pub(crate) fn revoked_update(
    puid: Puid,
    (version, now): (u64, UnixMillis),
    previous: &View,
    last_cause: Option<OfflineCause>,
) -> PresenceUpdate {
    let update = next_update(puid, (View::default(), OfflineCause::Left), version, now);
    // A user who was offline does not change. A reader that has not read that gets its cause.
    let cause = if previous.status == Status::Offline { last_cause } else { update.cause };
    PresenceUpdate { revoked: true, cause, ..update }
}

/// Returns an update for a reader that has seen this view before. Who was offline has no cause to
/// be offline.
pub(crate) fn update_after(before: &View, update: PresenceUpdate) -> PresenceUpdate {
    let cause = update.cause.filter(|_| before.status != Status::Offline);
    PresenceUpdate { cause, ..update }
}

pub(crate) fn into_view(update: PresenceUpdate) -> View {
    View { status: update.status, text: update.message }
}

/// Returns true if an update shows this view.
pub(crate) fn shows(update: &PresenceUpdate, view: &View) -> bool {
    (update.status, &update.message) == (view.status, &view.text)
}
