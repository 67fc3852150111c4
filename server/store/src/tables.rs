//! The entities of the tables. `rows` converts them, and `migration` creates the tables.
//!
//! Ids are 32 hexadecimal digits, digests are blobs, times are milliseconds since 1970 UTC.

/// The only row with facts about the database itself.
pub(crate) mod meta {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "meta")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i32,
        pub(crate) epoch: i64,
        pub(crate) devices_connected: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod user {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: i64,
        pub(crate) email: String,
        pub(crate) revision: i64,
        pub(crate) created_at: i64,
    }

    // Implemented by hand, so that no e-mail gets into debug output.
    impl std::fmt::Debug for Model {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("user").field("id", &self.id).finish_non_exhaustive()
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod app {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "apps")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: String,
        pub(crate) owner: i64,
        pub(crate) name: String,
        pub(crate) domain: String,
        pub(crate) description: String,
        pub(crate) state: String,
        pub(crate) domain_key: String,
        pub(crate) created_at: i64,
        pub(crate) last_looked_at: Option<i64>,
        pub(crate) blocked_at: Option<i64>,
        /// The name before the last change.
        pub(crate) previous_name: Option<String>,
        /// The time of the last change of the name.
        pub(crate) renamed_at: Option<i64>,
        /// Is true if a server in development mode verified the domain.
        pub(crate) development: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The skeletons of the names of Applications: see `presence_core::lookalike`.
pub(crate) mod name_skeleton {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "name_skeletons")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) skeleton: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) app_id: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod api_key {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "api_keys")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: i64,
        pub(crate) app_id: String,
        pub(crate) prefix: String,
        pub(crate) digest: Vec<u8>,
        pub(crate) created_at: i64,
        pub(crate) last_used_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The live grants. A revoked one is deleted.
pub(crate) mod grant {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "grants")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) id: i64,
        pub(crate) puid: String,
        pub(crate) app_id: String,
        pub(crate) user_id: i64,
        pub(crate) paused: bool,
        pub(crate) granted_at: i64,
        /// The domain of the Application for which the user gave the grant.
        pub(crate) domain: String,
        /// The time since which the Application has another domain.
        pub(crate) waiting_since: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::app::Entity",
            from = "Column::AppId",
            to = "super::app::Column::Id"
        )]
        App,
        #[sea_orm(
            belongs_to = "super::user::Entity",
            from = "Column::UserId",
            to = "super::user::Column::Id"
        )]
        User,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The notifications that are accepted and have no receipt yet.
pub(crate) mod notification {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "notifications")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub(crate) seq: i64,
        pub(crate) id: String,
        pub(crate) grant_id: i64,
        pub(crate) message: String,
        pub(crate) action: String,
        pub(crate) sent_at: i64,
        pub(crate) expires_at: i64,
        /// See `rows::NotificationState`.
        pub(crate) state: i32,
        /// Is true if it came with `ttl: 0`: only for devices that were connected at that time.
        pub(crate) live_only: bool,
        /// The sender that the AppService gave. If it is empty, devices see the name of the
        /// Application.
        pub(crate) source: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::grant::Entity",
            from = "Column::GrantId",
            to = "super::grant::Column::Id"
        )]
        Grant,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The replies to requests with an `idempotency_key`. A grant belongs to one Application, so the
/// key needs no Application.
pub(crate) mod idempotency {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) grant_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) key: String,
        pub(crate) body_digest: Vec<u8>,
        pub(crate) notification_id: String,
        pub(crate) queue_size: i32,
        pub(crate) expires_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod session {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "sessions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) digest: Vec<u8>,
        pub(crate) user_id: i64,
        pub(crate) scope: String,
        pub(crate) created_at: i64,
        pub(crate) expires_at: i64,
        /// The issuer of the generation, `None` without one.
        pub(crate) issuer: Option<String>,
        pub(crate) generation: Option<i64>,
        /// The last use, to the minute, `None` before the first one.
        pub(crate) last_used_at: Option<i64>,
        /// Is true if a server in development mode opened it.
        pub(crate) development: bool,
        /// The devices that it does not open, with spaces between them, or `*` for all.
        pub(crate) ended_devices: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "super::user::Entity",
            from = "Column::UserId",
            to = "super::user::Column::Id"
        )]
        User,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The assertions that let devices in which their users have ended.
pub(crate) mod ended_assertion {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "ended_assertions")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) digest: Vec<u8>,
        pub(crate) user_id: i64,
        pub(crate) expires_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The greatest generation that an issuer has given for a user.
pub(crate) mod generation {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "generations")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) user_id: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) issuer: String,
        pub(crate) generation: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The records of ACME.
pub(crate) mod acme {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, DeriveEntityModel)]
    #[sea_orm(table_name = "acme")]
    pub(crate) struct Model {
        /// See `AcmeRecordKind`; one more kind is the lease.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) kind: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) name: String,
        pub(crate) content: Vec<u8>,
        pub(crate) expires_at: Option<i64>,
    }

    // Implemented by hand, so that no key gets into debug output.
    impl std::fmt::Debug for Model {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("acme").field("kind", &self.kind).finish_non_exhaustive()
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
