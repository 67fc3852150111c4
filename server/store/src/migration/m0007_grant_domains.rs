//! Notes for each grant the domain of the Application, and the time since which the Application has
//! another one. Grants of earlier versions get the domain of today.

use sea_orm_migration::prelude::{
    ColumnDef, ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager, Table,
    async_trait,
};

pub(super) struct AddGrantDomains;

/// The query builder has no partial index and no subquery in an update.
const STATEMENTS: [&str; 2] = [
    "UPDATE grants SET domain = (SELECT a.domain FROM apps a WHERE a.id = grants.app_id)",
    "CREATE INDEX \"grants_waiting_since\" ON \"grants\" (\"waiting_since\") \
     WHERE \"waiting_since\" IS NOT NULL",
];

impl MigrationName for AddGrantDomains {
    fn name(&self) -> &'static str {
        "m0007_grant_domains"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddGrantDomains {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            ColumnDef::new("domain").text().not_null().default("").take(),
            ColumnDef::new("waiting_since").big_integer().null().take(),
        ] {
            manager.alter_table(Table::alter().table("grants").add_column(column).take()).await?;
        }
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
