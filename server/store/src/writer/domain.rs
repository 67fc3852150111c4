//! Changes of the domains of Applications. Users gave their grants for the old domain, so the
//! grants wait until the users agree again.

use std::collections::HashSet;

use presence_core::UnixMillis;
use presence_core::model::{Grant, UserId};
use presence_protocol::AppId;
use sea_orm::sea_query::{CaseStatement, Expr, Func};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::change::{self, pending};
use super::write_txn::WriteTxn;
use crate::apps::NewDomain;
use crate::commit_hook::CommittedEvent;
use crate::error::StoreError;
use crate::grants::read_grant_sets;
use crate::rows::{CHUNK, id, time_to_column};
use crate::tables::{app, grant};

/// The maximum number of grants that one request ends.
const MAX_REVOKED: u64 = 100;

/// A request to change the domain of an Application.
pub(super) struct DomainInput {
    pub(super) app: AppId,
    pub(super) domain: NewDomain,
    /// The users with a grant whose devices the hub knows, as it is before the transaction.
    pub(super) connected: Vec<UserId>,
}

/// Changes the domain of an Application, which is then not verified. Its grants for other domains
/// wait, and those for the new domain wait no longer. Returns false if there is no such
/// Application.
pub(super) async fn change_domain(
    txn: &mut WriteTxn<'_>,
    input: &DomainInput,
) -> Result<bool, StoreError> {
    let DomainInput { app, domain: new, connected } = input;
    let changed = app::Entity::update_many()
        .col_expr(app::Column::Domain, new.domain.as_str().into())
        .col_expr(app::Column::DomainKey, new.domain_key.as_str().into())
        .col_expr(app::Column::State, new.state.name().into())
        // Its users are not told of checks under the former domain.
        .col_expr(app::Column::LastLookedAt, Expr::value(None::<i64>))
        .filter(app::Column::Id.eq(app.to_string()))
        .exec(txn.db)
        .await?;
    if changed.rows_affected == 0 {
        return Ok(false);
    }
    txn.senders.forget(*app);
    txn.events.push(CommittedEvent::DomainChanged(*app));
    let waiting_before = waiting_grants(*app, txn.db).await?;
    let since = [Expr::col(grant::Column::WaitingSince), Expr::value(time_to_column(txn.now))];
    let waiting_since = CaseStatement::new()
        .case(grant::Column::Domain.eq(new.domain.as_str()), Expr::value(None::<i64>))
        .finally(Func::coalesce(since));
    grant::Entity::update_many()
        .col_expr(grant::Column::WaitingSince, waiting_since.into())
        .filter(grant::Column::AppId.eq(app.to_string()))
        .exec(txn.db)
        .await?;
    txn.targets.forget_where(|target| target.app == *app);
    let users = users_of(*app, txn.db).await?;
    txn.bump_revisions(&users).await?;
    for chunk in connected.chunks(CHUNK) {
        for found in read_grant_sets(chunk, txn.db).await? {
            let was_waiting = |grant: &&Grant| waiting_before.contains(&grant.puid.to_string());
            let mut own = found.set.grants.iter().filter(|grant| grant.app == *app);
            let resumed = match own.find(was_waiting) {
                Some(grant) => pending(txn, grant).await?,
                None => Vec::new(),
            };
            let (user, set, apps, ended) = (found.user, found.set, found.apps, Vec::new());
            txn.events.push(CommittedEvent::Grants { user, set, apps, resumed, ended });
        }
    }
    Ok(true)
}

/// Ends these grants, which wait for too long. Returns their number.
pub(super) async fn revoke_waiting(
    txn: &mut WriteTxn<'_>,
    grants: &[(UserId, AppId)],
) -> Result<usize, StoreError> {
    for (user, app) in grants {
        change::revoke(txn, *user, *app).await?;
    }
    Ok(grants.len())
}

/// Returns grants that wait for too long, at most 100.
pub(super) async fn grants_waiting_too_long<C: ConnectionTrait>(
    now: UnixMillis,
    db: &C,
) -> Result<Vec<(UserId, AppId)>, StoreError> {
    let limit = time_to_column(now - Grant::MAX_WAIT);
    let rows: Vec<(i64, String)> = grant::Entity::find()
        .select_only()
        .columns([grant::Column::UserId, grant::Column::AppId])
        .filter(grant::Column::WaitingSince.lte(limit))
        .order_by_asc(grant::Column::WaitingSince)
        .limit(MAX_REVOKED)
        .into_tuple()
        .all(db)
        .await?;
    rows.into_iter().map(|(user, app)| Ok((UserId(user), id("grants", &app)?))).collect()
}

/// Returns the users with a grant for an Application.
pub(super) async fn users_of<C: ConnectionTrait>(
    app: AppId,
    db: &C,
) -> Result<Vec<UserId>, StoreError> {
    let users: Vec<i64> = grant::Entity::find()
        .select_only()
        .column(grant::Column::UserId)
        .filter(grant::Column::AppId.eq(app.to_string()))
        .order_by_asc(grant::Column::UserId)
        .into_tuple()
        .all(db)
        .await?;
    Ok(users.into_iter().map(UserId).collect())
}

async fn waiting_grants<C: ConnectionTrait>(
    app: AppId,
    db: &C,
) -> Result<HashSet<String>, StoreError> {
    let puids: Vec<String> = grant::Entity::find()
        .select_only()
        .column(grant::Column::Puid)
        .filter(grant::Column::AppId.eq(app.to_string()))
        .filter(grant::Column::WaitingSince.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    Ok(puids.into_iter().collect())
}
