//! Adds the sender of notifications, the previous names of Applications, and the skeletons by which
//! names that look alike are found.
//!
//! Names and descriptions lose the characters that no text may have any more.

use presence_core::lookalike::skeletons;
use presence_protocol::text::cleaned;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use sea_orm_migration::prelude::{
    ColumnDef, DbErr, ForeignKey, ForeignKeyAction, Index, MigrationName, MigrationTrait,
    SchemaManager, Table, async_trait,
};

use crate::tables::{app, name_skeleton};

pub(super) struct AddSources;

/// The name of an Application whose name had only characters that are removed.
const NAMELESS: &str = "Application";

impl MigrationName for AddSources {
    fn name(&self) -> &'static str {
        "m0005_sources"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait hides it, and async_trait then tells the two apart"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddSources {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("notifications", ColumnDef::new("source").text().not_null().default("").take()),
            ("apps", ColumnDef::new("previous_name").text().null().take()),
            ("apps", ColumnDef::new("renamed_at").big_integer().null().take()),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        let mut of_app = ForeignKey::create()
            .from("name_skeletons", "app_id")
            .to("apps", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let table = Table::create()
            .table("name_skeletons")
            .col(ColumnDef::new("skeleton").text().not_null())
            .col(ColumnDef::new("app_id").text().not_null())
            .primary_key(Index::create().col("skeleton").col("app_id"))
            .foreign_key(&mut of_app)
            .take();
        manager.create_table(table).await?;
        let index =
            Index::create().name("name_skeletons_app").table("name_skeletons").col("app_id").take();
        manager.create_index(index).await?;
        convert_apps(manager).await
    }
}

/// Cleans the texts of all Applications, and stores the skeletons of their names.
async fn convert_apps(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let apps: Vec<(String, String, String)> = app::Entity::find()
        .select_only()
        .columns([app::Column::Id, app::Column::Name, app::Column::Description])
        .into_tuple()
        .all(db)
        .await?;
    for (id, old_name, old_description) in apps {
        let (mut name, description) = (cleaned(&old_name), cleaned(&old_description));
        if name.trim().is_empty() {
            NAMELESS.clone_into(&mut name);
        }
        for skeleton in skeletons(&name) {
            name_skeleton::Entity::insert(name_skeleton::ActiveModel {
                skeleton: ActiveValue::Set(skeleton),
                app_id: ActiveValue::Set(id.clone()),
            })
            .exec_without_returning(db)
            .await?;
        }
        if name != old_name || description != old_description {
            app::Entity::update_many()
                .col_expr(app::Column::Name, name.into())
                .col_expr(app::Column::Description, description.into())
                .filter(app::Column::Id.eq(id))
                .exec(db)
                .await?;
        }
    }
    Ok(())
}
