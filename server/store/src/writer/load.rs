//! What a device needs on connecting: the user's grants and what waits for the user.

use std::collections::HashMap;
use std::sync::Arc;

use presence_core::model::{ApplicationState, GrantSet, Notification, UserId};
use presence_protocol::{AppId, Puid};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};

use super::request::WriteRequest;
use super::write_txn::WriteTxn;
use crate::error::StoreError;
use crate::grants::UserGrantRow;
use crate::rows::{
    CHUNK, NotificationRow, NotificationState, id, notification, padded, time_to_column,
};
use crate::tables::{grant, notification};

/// A user, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadedUser {
    /// Whether there is such a user.
    pub is_there: bool,
    /// The grants.
    pub grants: GrantSet,
    /// How far the Applications of these grants have come.
    pub apps: Vec<(AppId, ApplicationState)>,
    /// What waits for a device, in the order of acceptance; nothing of paused grants.
    pub pending: Vec<Notification>,
    /// The greatest `seq` accepted so far, over all users: `pending` reflects everything up to here.
    pub up_to: i64,
    /// The grants for which receipts are withheld.
    pub withheld: Vec<(AppId, Puid)>,
}

/// A user being put together.
#[derive(Default)]
struct Draft {
    loaded: LoadedUser,
    /// The names of the Applications that are not paused.
    sources: HashMap<String, Arc<str>>,
}

/// Loads the users, a few statements for all of them.
pub(super) async fn load(
    round: &mut WriteTxn<'_>,
    asks: &mut [&mut WriteRequest<UserId, LoadedUser>],
) -> Result<(), StoreError> {
    let mut users: Vec<UserId> = asks.iter().map(|ask| ask.question).collect();
    users.sort_unstable();
    users.dedup();
    let mut drafts: HashMap<UserId, Draft> = HashMap::with_capacity(users.len());
    for chunk in users.chunks(CHUNK) {
        read_grants(round, chunk, &mut drafts).await?;
        read_notifications(round, chunk, &mut drafts).await?;
    }
    for ask in asks {
        let mut loaded =
            drafts.get(&ask.question).map(|draft| draft.loaded.clone()).unwrap_or_default();
        loaded.up_to = round.up_to;
        ask.answer = Some(loaded);
    }
    Ok(())
}

async fn read_grants(
    round: &WriteTxn<'_>,
    users: &[UserId],
    drafts: &mut HashMap<UserId, Draft>,
) -> Result<(), StoreError> {
    for row in UserGrantRow::of_users(users, round.db).await? {
        let draft = drafts.entry(row.user()).or_default();
        (draft.loaded.is_there, draft.loaded.grants.revision) = (true, row.revision);
        let Some(row) = row.grant else { continue };
        let grant = row.grant()?;
        draft.loaded.apps.push((grant.app, row.app_state()?));
        if !grant.paused {
            draft.sources.insert(grant.app.to_string(), row.app_name().into());
        }
        draft.loaded.grants.grants.push(grant);
    }
    Ok(())
}

async fn read_notifications(
    round: &WriteTxn<'_>,
    users: &[UserId],
    drafts: &mut HashMap<UserId, Draft>,
) -> Result<(), StoreError> {
    let rows: Vec<NotificationRow> = NotificationRow::find()
        .filter(grant::Column::UserId.is_in(padded(users.iter().map(|user| user.0))))
        .order_by_asc(notification::Column::Seq)
        .into_model()
        .all(round.db)
        .await?;
    for row in rows {
        let Some(draft) = drafts.get_mut(&UserId(row.user_id)) else { continue };
        if row.state != NotificationState::PENDING {
            let whose = (id("notifications", &row.app_id)?, id("notifications", &row.puid)?);
            if !draft.loaded.withheld.contains(&whose) {
                draft.loaded.withheld.push(whose);
            }
        } else if !row.live_only && row.expires_at > time_to_column(round.now) {
            let Some(source) = draft.sources.get(&row.app_id) else { continue };
            draft.loaded.pending.push(notification(row, Arc::clone(source))?);
        }
    }
    Ok(())
}
