//! Adds the devices that users have ended, and the assertions that let these in.

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, ForeignKey, ForeignKeyAction, Index, MigrationName, MigrationTrait,
    SchemaManager, Table, async_trait,
};

pub(super) struct AddEndedDevices;

impl MigrationName for AddEndedDevices {
    fn name(&self) -> &'static str {
        "m0009_ended_devices"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddEndedDevices {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let devices = ColumnDef::new("ended_devices").text().not_null().default("").take();
        manager.alter_table(Table::alter().table("sessions").add_column(devices).take()).await?;
        let mut of_user = ForeignKey::create()
            .from("ended_assertions", "user_id")
            .to("users", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let assertions = Table::create()
            .table("ended_assertions")
            .col(ColumnDef::new("digest").blob().not_null().primary_key())
            .col(ColumnDef::new("user_id").big_integer().not_null())
            .col(ColumnDef::new("expires_at").big_integer().not_null())
            .foreign_key(&mut of_user)
            .take();
        manager.create_table(assertions).await?;
        for column in ["user_id", "expires_at"] {
            let name = format!("ended_assertions_{column}");
            let index = Index::create().name(name).table("ended_assertions").col(column).take();
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
