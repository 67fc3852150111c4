//! Adds what servers with certificates by ACME share: the account, certificates with their keys,
//! answers to challenges, the time of the next attempt, and the lease of the server that orders.

use sea_orm_migration::prelude::{
    ColumnDef, DbErr, Index, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};

pub(super) struct AddAcme;

impl MigrationName for AddAcme {
    fn name(&self) -> &'static str {
        "m0011_acme"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddAcme {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut key = Index::create().col("kind").col("name").primary().take();
        let records = Table::create()
            .table("acme")
            .col(ColumnDef::new("kind").text().not_null())
            .col(ColumnDef::new("name").text().not_null())
            .col(ColumnDef::new("content").blob().not_null())
            .col(ColumnDef::new("expires_at").big_integer().null())
            .primary_key(&mut key)
            .take();
        manager.create_table(records).await
    }
}
