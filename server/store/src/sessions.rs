//! Sessions of users. Of their tokens only the digests are stored.

use presence_core::model::{Email, Session, UserId};
use presence_core::{Steady, UnixMillis};
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::credential_cache::{FoundSession, Owner};
use crate::error::StoreError;
use crate::row_lock::lock_user;
use crate::rows::{CHUNK, digest, is_one_of, number_to_column, time_to_column};
use crate::store::Store;
use crate::tables::session;

/// The limit of the sessions of a user.
#[derive(Clone, Copy)]
pub struct SessionLimit<'a> {
    /// The maximum number of sessions.
    pub max: usize,
    /// Returns the last use of a session, if there was one that is not recorded yet.
    pub last_use: &'a (dyn Fn(&[u8; 32]) -> Option<UnixMillis> + Sync),
}

impl Store {
    /// Adds a session. Its digest must be new, and its user must exist. If the user has the maximum
    /// number of sessions already, those end that were unused for the longest time. Returns their
    /// digests.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn insert_session(
        &self,
        session: &Session,
        limit: SessionLimit<'_>,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let _forgets = self.credentials().forget_after(Owner::User(session.user));
        self.in_transaction(|| async {
            let transaction = self.begin_writing().await?;
            lock_user(&transaction, session.user).await?;
            let ended = limit.excess(session, &transaction).await?;
            let is_excess = is_one_of(session::Column::Digest, ended.iter().map(|it| it.to_vec()));
            session::Entity::delete_many().filter(is_excess).exec(&transaction).await?;
            let row = row(session, self.is_development());
            session::Entity::insert(row).exec_without_returning(&transaction).await?;
            transaction.commit().await?;
            Ok(ended)
        })
        .await
    }

    /// Returns the session with this token digest, unless it has expired. One that was found lately
    /// is cached. For a device that connects it is too little: see [`Store::session_with_email`].
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn find_session(
        &self,
        digest: [u8; 32],
        (now, steady): (UnixMillis, Steady),
    ) -> Result<Option<FoundSession>, StoreError> {
        let read = async {
            let found = self.session_with_email(digest, now).await?;
            Ok(found.map(|(session, email)| {
                let Session { user, scope, expires_at, .. } = session;
                FoundSession { user, email, scope, expires_at }
            }))
        };
        let found = self.credentials().find(digest, steady, read).await?;
        Ok(found.filter(|session| session.expires_at > now))
    }

    /// Returns the session with this token digest and the e-mail of its user, unless it has
    /// expired. For devices that connect: concurrent calls share statements.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn session_with_email(
        &self,
        digest: [u8; 32],
        now: UnixMillis,
    ) -> Result<Option<(Session, Email)>, StoreError> {
        self.lookup().find(digest, now, self.read()).await
    }

    /// Deletes a session whose token nobody knows yet. Returns false if there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_new_session(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let delete = session::Entity::delete_by_id(digest.to_vec());
        Ok(delete.exec(self.write()).await?.rows_affected > 0)
    }

    /// Returns the sessions of a user that have not expired, the newest first.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn sessions_of(
        &self,
        user: UserId,
        now: UnixMillis,
    ) -> Result<Vec<Session>, StoreError> {
        let rows = session::Entity::find()
            .filter(session::Column::UserId.eq(user.0))
            .filter(session::Column::ExpiresAt.gt(time_to_column(now)))
            .order_by_desc(session::Column::CreatedAt)
            .all(self.read())
            .await?;
        rows.into_iter().map(Session::try_from).collect()
    }

    /// Returns those of these digests that are sessions.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn existing_sessions(
        &self,
        digests: &[[u8; 32]],
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut existing = Vec::with_capacity(digests.len());
        for chunk in digests.chunks(CHUNK) {
            let rows = session::Entity::find()
                .filter(is_one_of(session::Column::Digest, chunk.iter().map(|it| it.to_vec())))
                .all(self.read())
                .await?;
            for row in rows {
                existing.push(digest("sessions", &row.digest)?);
            }
        }
        Ok(existing)
    }

    /// Deletes those of these sessions that belong to a user.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_sessions(
        &self,
        user: UserId,
        digests: &[[u8; 32]],
    ) -> Result<u64, StoreError> {
        let _forgets = self.credentials().forget_after(Owner::User(user));
        let delete =
            session::Entity::delete_many().filter(session::Column::UserId.eq(user.0)).filter(
                is_one_of(session::Column::Digest, digests.iter().map(|digest| digest.to_vec())),
            );
        Ok(delete.exec(self.write()).await?.rows_affected)
    }

    /// Deletes all sessions of a user, and returns their number.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn delete_sessions_of(&self, user: UserId) -> Result<u64, StoreError> {
        let _forgets = self.credentials().forget_after(Owner::User(user));
        let delete = session::Entity::delete_many().filter(session::Column::UserId.eq(user.0));
        Ok(delete.exec(self.write()).await?.rows_affected)
    }
}

impl SessionLimit<'_> {
    /// Returns the sessions of the user that must end before a new one is added: the expired ones
    /// first, then those that were unused for the longest time.
    async fn excess<C: ConnectionTrait>(
        self,
        new: &Session,
        db: &C,
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let of_user = session::Entity::find().filter(session::Column::UserId.eq(new.user.0));
        let now = time_to_column(new.created_at);
        let mut sessions = Vec::new();
        for row in of_user.all(db).await? {
            let digest = digest("sessions", &row.digest)?;
            let recorded = row.last_used_at.unwrap_or(row.created_at);
            let last_use = (self.last_use)(&digest).map_or(recorded, time_to_column).max(recorded);
            sessions.push((row.expires_at > now, last_use, digest));
        }
        sessions.sort_unstable();
        let excess = (sessions.len() + 1).saturating_sub(self.max.max(1));
        Ok(sessions.into_iter().take(excess).map(|(_, _, digest)| digest).collect())
    }
}

fn row(session: &Session, development: bool) -> session::ActiveModel {
    let generation = session.generation.as_ref();
    session::ActiveModel {
        digest: ActiveValue::Set(session.digest.to_vec()),
        user_id: ActiveValue::Set(session.user.0),
        scope: ActiveValue::Set(session.scope.name().to_owned()),
        created_at: ActiveValue::Set(time_to_column(session.created_at)),
        expires_at: ActiveValue::Set(time_to_column(session.expires_at)),
        issuer: ActiveValue::Set(generation.map(|of| of.issuer.to_string())),
        generation: ActiveValue::Set(generation.map(|of| number_to_column(of.number))),
        last_used_at: ActiveValue::Set(None),
        development: ActiveValue::Set(development),
        ended_devices: ActiveValue::Set(session.ended_devices.to_string()),
    }
}
