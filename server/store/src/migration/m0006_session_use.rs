//! Adds the time of the last use of a session.

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};

pub(super) struct AddSessionUse;

impl MigrationName for AddSessionUse {
    fn name(&self) -> &'static str {
        "m0006_session_use"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddSessionUse {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let last_used_at = ColumnDef::new("last_used_at").big_integer().null().take();
        manager.alter_table(Table::alter().table("sessions").add_column(last_used_at).take()).await
    }
}
