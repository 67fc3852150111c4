//! Marks the sessions and the verified domains of development mode, in which anyone is any user.

use sea_orm::Condition;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm_migration::prelude::{
    Alias, ColumnDef, DbErr, MigrationName, MigrationTrait, SchemaManager, Table, async_trait,
};

/// The e-mail addresses of development mode.
const EMAILS: &str = "%@dev.localhost";
/// The domains that only development mode verifies.
const DOMAINS: [&str; 4] = ["localhost", "localhost:%", "127.0.0.1", "127.0.0.1:%"];

pub(super) struct MarkDevelopment;

impl MigrationName for MarkDevelopment {
    fn name(&self) -> &'static str {
        "m0008_development"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for MarkDevelopment {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sessions", "apps"] {
            let development =
                ColumnDef::new("development").boolean().not_null().default(false).take();
            manager.alter_table(Table::alter().table(table).add_column(development).take()).await?;
        }
        let users = Query::select()
            .column(Alias::new("id"))
            .from(Alias::new("users"))
            .and_where(Expr::col(Alias::new("email")).like(EMAILS))
            .take();
        let of_users =
            |column: &'static str| Expr::col(Alias::new(column)).in_subquery(users.clone());
        let local = DOMAINS.iter().fold(Condition::any(), |any, domain| {
            any.add(Expr::col(Alias::new("domain")).like(*domain))
        });
        for (table, marked) in [
            ("sessions", Condition::any().add(of_users("user_id"))),
            ("apps", local.add(of_users("owner"))),
        ] {
            let mark = Query::update()
                .table(Alias::new(table))
                .value(Alias::new("development"), true)
                .cond_where(marked)
                .take();
            manager.exec_stmt(mark).await?;
        }
        Ok(())
    }
}
