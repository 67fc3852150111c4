//! Numbers the grants, so that notifications and idempotency keys refer to a grant by its number.
//!
//! A row is half as long. Of the three indexes in which each notification changed a random page,
//! one small index is left: writing these pages took most of the time of a group.

use sea_orm_migration::prelude::{
    ColumnDef, ConnectionTrait, DbErr, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement,
    Index, IndexCreateStatement, MigrationName, MigrationTrait, SchemaManager, Table,
    TableCreateStatement, async_trait,
};

pub(super) struct NumberGrants;

impl MigrationName for NumberGrants {
    fn name(&self) -> &'static str {
        "m0004_queues"
    }
}

/// The foreign key is checked when the transaction ends. If it could refuse a single row, SQLite
/// would write each changed page a second time, to be able to undo a statement of many rows alone.
/// The query builder has no deferred keys.
const NOTIFICATIONS: &str = "CREATE TABLE new_notifications (\
     \"seq\" integer NOT NULL PRIMARY KEY AUTOINCREMENT, \"id\" text NOT NULL UNIQUE, \"grant_id\" integer NOT NULL, \
     \"message\" text NOT NULL, \"action\" text NOT NULL, \"sent_at\" integer NOT NULL, \"expires_at\" integer NOT NULL, \
     \"state\" integer NOT NULL, \"live_only\" boolean NOT NULL, \
     FOREIGN KEY (\"grant_id\") REFERENCES \"new_grants\" (\"id\") ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)";

/// A column cannot be removed from a key, so each table is created again beside the old one, and
/// its rows are copied.
const COPIES: [&str; 3] = [
    "INSERT INTO new_grants (puid, app_id, user_id, paused, granted_at) \
     SELECT puid, app_id, user_id, paused, granted_at FROM grants ORDER BY granted_at, puid",
    "INSERT INTO new_notifications (seq, id, grant_id, message, action, sent_at, expires_at, state, live_only) \
     SELECT n.seq, n.id, g.id, n.message, n.action, n.sent_at, n.expires_at, n.state, n.live_only \
     FROM notifications n INNER JOIN new_grants g ON g.puid = n.puid",
    "INSERT INTO new_idempotency (grant_id, key, body_digest, notification_id, queue_size, expires_at) \
     SELECT g.id, i.key, i.body_digest, i.notification_id, i.queue_size, i.expires_at \
     FROM idempotency i INNER JOIN new_grants g ON g.puid = i.puid",
];

/// The numbering continues, even if the last rows are deleted.
const NUMBERS: [&str; 2] = [
    "DELETE FROM sqlite_sequence WHERE name = 'new_notifications'",
    "INSERT INTO sqlite_sequence (name, seq) \
     SELECT 'new_notifications', seq FROM sqlite_sequence WHERE name = 'notifications'",
];

/// The old tables, children first: dropping a table deletes its rows and theirs.
const OLD: [&str; 3] = ["notifications", "idempotency", "grants"];

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for NumberGrants {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for statement in [NOTIFICATIONS].iter().chain(&COPIES).chain(&NUMBERS) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        for table in OLD {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        // References follow a renamed table.
        for table in OLD {
            let rename = Table::rename().table(format!("new_{table}"), table).take();
            manager.rename_table(rename).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn tables() -> [TableCreateStatement; 2] {
    let grants = Table::create()
        .table("new_grants")
        .col(ColumnDef::new("id").big_integer().not_null().auto_increment().primary_key())
        .col(ColumnDef::new("puid").text().not_null().unique_key())
        .col(ColumnDef::new("app_id").text().not_null())
        .col(ColumnDef::new("user_id").big_integer().not_null())
        .col(ColumnDef::new("paused").boolean().not_null())
        .col(ColumnDef::new("granted_at").big_integer().not_null())
        .foreign_key(&mut child_of("new_grants", "app_id", "apps"))
        .foreign_key(&mut child_of("new_grants", "user_id", "users"))
        .take();
    let idempotency = Table::create()
        .table("new_idempotency")
        .col(ColumnDef::new("grant_id").big_integer().not_null())
        .col(ColumnDef::new("key").text().not_null())
        .col(ColumnDef::new("body_digest").blob().not_null())
        .col(ColumnDef::new("notification_id").text().not_null())
        .col(ColumnDef::new("queue_size").integer().not_null())
        .col(ColumnDef::new("expires_at").big_integer().not_null())
        .primary_key(Index::create().col("grant_id").col("key"))
        .foreign_key(&mut child_of("new_idempotency", "grant_id", "new_grants"))
        .take();
    [grants, idempotency]
}

/// Returns the indexes. An index ends with the row number, so the one of `grant_id` is in the order
/// of acceptance within a grant.
fn indexes() -> [IndexCreateStatement; 6] {
    [
        index("grants_app_user", "grants", &["app_id", "user_id"]).unique().take(),
        index("grants_app_puid", "grants", &["app_id", "puid"]),
        index("grants_user", "grants", &["user_id"]),
        index("notifications_grant", "notifications", &["grant_id"]),
        index("notifications_expires_at", "notifications", &["expires_at"]),
        index("idempotency_expires_at", "idempotency", &["expires_at"]),
    ]
}

fn index(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).take();
    for column in columns {
        index.col(*column);
    }
    index
}

fn child_of(
    table: &'static str,
    column: &'static str,
    parent: &'static str,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to(parent, "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
