//! Adds credential generations: a password change ends the sessions that were opened before it.

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, ForeignKey, ForeignKeyAction, Index, MigrationName, MigrationTrait,
    SchemaManager, Table, async_trait,
};

pub(super) struct AddGenerations;

impl MigrationName for AddGenerations {
    fn name(&self) -> &'static str {
        "m0002_generations"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddGenerations {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut of_user = ForeignKey::create()
            .from("generations", "user_id")
            .to("users", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let generations = Table::create()
            .table("generations")
            .col(ColumnDef::new("user_id").big_integer().not_null())
            .col(ColumnDef::new("issuer").text().not_null())
            .col(ColumnDef::new("generation").big_integer().not_null())
            .primary_key(Index::create().col("user_id").col("issuer"))
            .foreign_key(&mut of_user)
            .take();
        manager.create_table(generations).await?;
        // SQLite adds one column per statement.
        for column in [
            ColumnDef::new("issuer").text().take(),
            ColumnDef::new("generation").big_integer().take(),
        ] {
            manager.alter_table(Table::alter().table("sessions").add_column(column).take()).await?;
        }
        Ok(())
    }
}
