//! Adds the time since which the operator blocks an Application.

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};

pub(super) struct AddBlockedAt;

impl MigrationName for AddBlockedAt {
    fn name(&self) -> &'static str {
        "m0003_blocked"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddBlockedAt {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let blocked_at = ColumnDef::new("blocked_at").big_integer().null().take();
        manager.alter_table(Table::alter().table("apps").add_column(blocked_at).take()).await
    }
}
