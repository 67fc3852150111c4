//! The locks of rows that a transaction takes before it reads what it decides by.
//!
//! On SQLite a transaction that writes is alone, and none is needed. On PostgreSQL the locks are
//! taken in one order, so that no two transactions wait for each other: Applications, rosters,
//! grants, notifications, users, sessions and keys, streams. Rows of one table are locked in the
//! order of their ids. A row that is new waits for nobody.

use presence_core::model::UserId;
use presence_protocol::AppId;
use sea_orm::sea_query::LockType;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QuerySelect};

use crate::error::StoreError;
use crate::tables::{app, user};

/// Returns true if other servers may write at the same time.
pub(crate) fn is_shared<C: ConnectionTrait>(db: &C) -> bool {
    db.get_database_backend() == DbBackend::Postgres
}

/// Locks a user: the user's sessions, generations and number of Applications.
pub(crate) async fn lock_user(txn: &DatabaseTransaction, user: UserId) -> Result<(), StoreError> {
    if is_shared(txn) {
        user::Entity::find_by_id(user.0).lock(LockType::NoKeyUpdate).one(txn).await?;
    }
    Ok(())
}

/// Locks an Application: its details and the number of its keys.
pub(crate) async fn lock_app(txn: &DatabaseTransaction, app: AppId) -> Result<(), StoreError> {
    if is_shared(txn) {
        let query = app::Entity::find_by_id(app.to_string()).lock(LockType::NoKeyUpdate);
        query.one(txn).await?;
    }
    Ok(())
}
