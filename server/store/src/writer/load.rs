//! The data that a device needs when it connects: the grants of its user, and the notifications in
//! their queues. Of a long queue only the first page is read; the device reads on from there.

use std::collections::{HashMap, HashSet};

use presence_core::UnixMillis;
use presence_core::model::{ApplicationState, GrantSet, Notification, UserId};
use presence_protocol::{AppId, Puid};
use sea_orm::{ConnectionTrait, QueryFilter, QueryOrder};

use super::noted::NotedSettlements;
use super::request::WriteRequest;
use crate::error::StoreError;
use crate::grants::ConnectingUserRow;
use crate::pending::{PENDING_PAGE, notifications_by_seq};
use crate::row_lock::is_shared;
use crate::rows::{
    CHUNK, NotificationState, QueueRow, Sender, id, is_one_of, notification, time_to_column,
};
use crate::tables::{grant, notification};

/// The grants and notifications of a user at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadedUser {
    /// Set if the user exists.
    pub user_exists: bool,
    /// The grants.
    pub grants: GrantSet,
    /// The states of the Applications of these grants.
    pub apps: Vec<(AppId, ApplicationState)>,
    /// The first notifications to deliver, in the order of acceptance, without those of suspended
    /// grants and those whose settlement is noted. At most [`PENDING_PAGE`].
    pub pending: Vec<Notification>,
    /// The `seq` of each further notification to deliver, in the same order.
    pub later: Vec<i64>,
    /// The `seq` of each notification for devices that were connected at its time.
    pub live_only: Vec<i64>,
    /// The greatest `seq` so far, over all users: nothing to deliver up to it is missing.
    pub up_to: i64,
    /// The grants with taken notifications.
    pub taken: Vec<(AppId, Puid)>,
}

/// A user whose rows are being read.
#[derive(Default)]
struct Draft {
    loaded: LoadedUser,
    /// The Applications whose grants are not suspended.
    senders: HashMap<String, Sender>,
    /// The notifications whose settlement is noted.
    settled: HashSet<String>,
    /// The `seq` of each notification to deliver.
    pending: Vec<i64>,
}

/// The source of loads. Without a transaction it is still the state of one moment if the server is
/// alone: only the writer changes it, and does nothing else meanwhile.
pub(super) struct LoadSource<'a, C> {
    pub(super) db: &'a C,
    pub(super) now: UnixMillis,
    /// The greatest sequence number so far.
    pub(super) last_seq: i64,
    /// The settlements that are not written yet.
    pub(super) noted: &'a NotedSettlements,
}

/// Loads the users, with a few statements for all of them.
pub(super) async fn load<C: ConnectionTrait>(
    source: &LoadSource<'_, C>,
    requests: &mut [&mut WriteRequest<UserId, LoadedUser>],
) -> Result<(), StoreError> {
    let mut users: Vec<UserId> = requests.iter().map(|request| request.input).collect();
    users.sort_unstable();
    users.dedup();
    let mut drafts: HashMap<UserId, Draft> = HashMap::with_capacity(users.len());
    for chunk in users.chunks(CHUNK) {
        let receivers = read_grants(source, chunk, &mut drafts).await?;
        // Another server may have queued something meanwhile.
        let receivers = if is_shared(source.db) { chunk } else { &receivers };
        if !receivers.is_empty() {
            read_queues(source, receivers, &mut drafts).await?;
        }
    }
    read_first_pages(source, &mut drafts).await?;
    for request in requests {
        let mut loaded =
            drafts.get(&request.input).map(|draft| draft.loaded.clone()).unwrap_or_default();
        loaded.up_to = source.last_seq;
        request.output = Some(loaded);
    }
    Ok(())
}

/// Returns the users of whom notifications have a row.
async fn read_grants<C: ConnectionTrait>(
    source: &LoadSource<'_, C>,
    users: &[UserId],
    drafts: &mut HashMap<UserId, Draft>,
) -> Result<Vec<UserId>, StoreError> {
    let mut receivers = HashSet::new();
    for ConnectingUserRow { of_user: row, has_rows } in
        ConnectingUserRow::of_users(users, source.db).await?
    {
        let user = row.user();
        if has_rows {
            receivers.insert(user);
        }
        let draft = drafts
            .entry(user)
            .or_insert_with(|| Draft { settled: source.noted.ids_of(user), ..Draft::default() });
        (draft.loaded.user_exists, draft.loaded.grants.revision) = (true, row.revision);
        let Some(row) = row.grant else { continue };
        let grant = row.grant()?;
        draft.loaded.apps.push((grant.app, row.app_state()?));
        if !grant.is_suspended() {
            draft.senders.insert(grant.app.to_string(), row.sender(source.now)?);
        }
        draft.loaded.grants.grants.push(grant);
    }
    Ok(receivers.into_iter().collect())
}

/// Reads which notifications are in the queues, without their content.
async fn read_queues<C: ConnectionTrait>(
    source: &LoadSource<'_, C>,
    users: &[UserId],
    drafts: &mut HashMap<UserId, Draft>,
) -> Result<(), StoreError> {
    let rows: Vec<QueueRow> = QueueRow::find()
        .filter(is_one_of(grant::Column::UserId, users.iter().map(|user| user.0)))
        .order_by_asc(notification::Column::Seq)
        .into_model()
        .all(source.db)
        .await?;
    for row in rows {
        let Some(draft) = drafts.get_mut(&UserId(row.user_id)) else { continue };
        if row.state != NotificationState::PENDING {
            let grant = (id("notifications", &row.app_id)?, id("notifications", &row.puid)?);
            if !draft.loaded.taken.contains(&grant) {
                draft.loaded.taken.push(grant);
            }
        } else if row.live_only {
            draft.loaded.live_only.push(row.seq);
        } else if row.expires_at > time_to_column(source.now)
            && draft.senders.contains_key(&row.app_id)
            && !draft.settled.contains(&row.id)
        {
            draft.pending.push(row.seq);
        }
    }
    Ok(())
}

async fn read_first_pages<C: ConnectionTrait>(
    source: &LoadSource<'_, C>,
    drafts: &mut HashMap<UserId, Draft>,
) -> Result<(), StoreError> {
    let mut first = Vec::new();
    for draft in drafts.values_mut() {
        draft.loaded.later = draft.pending.split_off(draft.pending.len().min(PENDING_PAGE));
        first.append(&mut draft.pending);
    }
    first.sort_unstable();
    for row in notifications_by_seq(source.db, &first).await? {
        let Some(draft) = drafts.get_mut(&UserId(row.user_id)) else { continue };
        let Some(sender) = draft.senders.get(&row.app_id) else { continue };
        draft.loaded.pending.push(notification(row, sender)?);
    }
    Ok(())
}
