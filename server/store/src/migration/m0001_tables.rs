//! Creates the first tables.

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, ForeignKey, ForeignKeyAction, ForeignKeyCreateStatement, Index,
    IndexCreateStatement, MigrationName, MigrationTrait, SchemaManager, Table,
    TableCreateStatement, async_trait,
};

pub(super) struct CreateTables;

impl MigrationName for CreateTables {
    fn name(&self) -> &'static str {
        "m0001_tables"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for CreateTables {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// Returns the tables. Users and notifications are numbered by `AUTOINCREMENT`, so that no number
/// is ever used twice.
fn tables() -> [TableCreateStatement; 8] {
    [
        table(
            "meta",
            [integer("id").primary_key().take(), bigint("epoch"), flag("devices_connected")],
        ),
        table(
            "users",
            [
                serial("id"),
                text("email").unique_key().take(),
                bigint("revision").default(0).take(),
                bigint("created_at"),
            ],
        ),
        apps(),
        table(
            "api_keys",
            [
                serial("id"),
                text("app_id"),
                text("prefix"),
                blob("digest"),
                bigint("created_at"),
                optional_bigint("last_used_at"),
            ],
        )
        .foreign_key(&mut child_of("api_keys", "app_id", ("apps", "id")))
        .take(),
        table(
            "grants",
            [
                text("puid").primary_key().take(),
                text("app_id"),
                bigint("user_id"),
                flag("paused"),
                bigint("granted_at"),
            ],
        )
        .foreign_key(&mut child_of("grants", "app_id", ("apps", "id")))
        .foreign_key(&mut child_of("grants", "user_id", ("users", "id")))
        .take(),
        notifications(),
        idempotency(),
        table(
            "sessions",
            [
                blob("digest").primary_key().take(),
                bigint("user_id"),
                text("scope"),
                bigint("created_at"),
                bigint("expires_at"),
            ],
        )
        .foreign_key(&mut child_of("sessions", "user_id", ("users", "id")))
        .take(),
    ]
}

fn apps() -> TableCreateStatement {
    table(
        "apps",
        [
            text("id").primary_key().take(),
            bigint("owner"),
            text("name"),
            text("domain"),
            text("description"),
            text("state"),
            text("domain_key"),
            bigint("created_at"),
            optional_bigint("last_looked_at"),
        ],
    )
    .foreign_key(&mut child_of("apps", "owner", ("users", "id")))
    .take()
}

/// Returns the table of notifications. A deleted grant deletes its notifications.
fn notifications() -> TableCreateStatement {
    table(
        "notifications",
        [
            serial("seq"),
            text("id").unique_key().take(),
            text("app_id"),
            text("puid"),
            bigint("user_id"),
            text("message"),
            text("action"),
            bigint("sent_at"),
            bigint("expires_at"),
            integer("state"),
            flag("live_only"),
        ],
    )
    .foreign_key(&mut child_of("notifications", "puid", ("grants", "puid")))
    .take()
}

fn idempotency() -> TableCreateStatement {
    table(
        "idempotency",
        [
            text("puid"),
            text("key"),
            blob("body_digest"),
            text("notification_id"),
            integer("queue_size"),
            bigint("expires_at"),
        ],
    )
    .primary_key(Index::create().col("puid").col("key"))
    .foreign_key(&mut child_of("idempotency", "puid", ("grants", "puid")))
    .take()
}

fn indexes() -> [IndexCreateStatement; 12] {
    [
        index("apps_owner", "apps", &["owner"]),
        index("api_keys_prefix", "api_keys", &["prefix"]),
        index("api_keys_app", "api_keys", &["app_id"]),
        index("grants_app_user", "grants", &["app_id", "user_id"]).unique().take(),
        index("grants_app_puid", "grants", &["app_id", "puid"]),
        index("grants_user", "grants", &["user_id"]),
        index("notifications_user_state", "notifications", &["user_id", "state"]),
        index("notifications_puid_seq", "notifications", &["puid", "seq"]),
        index("notifications_expires_at", "notifications", &["expires_at"]),
        index("idempotency_expires_at", "idempotency", &["expires_at"]),
        index("sessions_user", "sessions", &["user_id"]),
        index("sessions_expires_at", "sessions", &["expires_at"]),
    ]
}

fn table<const N: usize>(name: &'static str, columns: [ColumnDef; N]) -> TableCreateStatement {
    let mut table = Table::create().table(name).take();
    for column in columns {
        table.col(column);
    }
    table
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
    parent: (&'static str, &'static str),
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to(parent.0, parent.1)
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

fn serial(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().auto_increment().primary_key().take()
}

fn integer(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().take()
}

fn bigint(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

fn optional_bigint(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}

fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

fn blob(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().take()
}

fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}
