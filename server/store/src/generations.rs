//! The greatest credential generation of each user and issuer. A greater one ends the sessions that
//! were opened with a smaller one.

use presence_core::model::{CredentialGeneration, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter};

use crate::credential_cache::Owner;
use crate::error::StoreError;
use crate::row_lock::lock_user;
use crate::rows::{digest, number_from_column, number_to_column};
use crate::store::Store;
use crate::tables::{generation, session};

/// The result of recording a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenerationOutcome {
    /// A greater one is recorded: the proof is outdated.
    Outdated,
    /// It equals the recorded one.
    Unchanged,
    /// It is the first or a greater one, and is recorded now. The sessions that were opened with a
    /// smaller one are deleted; these were their digests.
    Raised(Vec<[u8; 32]>),
}

impl Store {
    /// Records a generation if it is greater than the recorded one, and deletes the sessions that
    /// were opened with a smaller one. Writes only in that case.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn record_generation(
        &self,
        user: UserId,
        given: &CredentialGeneration,
    ) -> Result<GenerationOutcome, StoreError> {
        if let Some(outcome) = compare(self.greatest_generation(user, &given.issuer).await?, given)
        {
            return Ok(outcome);
        }
        let _forgets = self.credentials().forget_after(Owner::User(user));
        self.in_transaction(|| self.raise_generation(user, given)).await
    }

    async fn raise_generation(
        &self,
        user: UserId,
        given: &CredentialGeneration,
    ) -> Result<GenerationOutcome, StoreError> {
        let transaction = self.begin_writing().await?;
        lock_user(&transaction, user).await?;
        // Read again, since another device may have been faster.
        let recorded = greatest(&transaction, user, &given.issuer).await?;
        if let Some(outcome) = compare(recorded, given) {
            return Ok(outcome);
        }
        generation::Entity::insert(generation::ActiveModel {
            user_id: ActiveValue::Set(user.0),
            issuer: ActiveValue::Set(given.issuer.to_string()),
            generation: ActiveValue::Set(number_to_column(given.number)),
        })
        .on_conflict(
            OnConflict::columns([generation::Column::UserId, generation::Column::Issuer])
                .update_column(generation::Column::Generation)
                .to_owned(),
        )
        .exec_without_returning(&transaction)
        .await?;
        let deleted = delete_older_sessions(&transaction, user, given).await?;
        transaction.commit().await?;
        Ok(GenerationOutcome::Raised(deleted))
    }

    /// Returns the greatest generation that an issuer has given for a user.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn greatest_generation(
        &self,
        user: UserId,
        issuer: &str,
    ) -> Result<Option<u64>, StoreError> {
        greatest(self.read(), user, issuer).await
    }
}

/// Returns the outcome if nothing has to be written.
fn compare(recorded: Option<u64>, given: &CredentialGeneration) -> Option<GenerationOutcome> {
    match recorded {
        Some(recorded) if recorded > given.number => Some(GenerationOutcome::Outdated),
        Some(recorded) if recorded == given.number => Some(GenerationOutcome::Unchanged),
        Some(_) | None => None,
    }
}

async fn greatest<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    issuer: &str,
) -> Result<Option<u64>, StoreError> {
    let row = generation::Entity::find_by_id((user.0, issuer.to_owned())).one(db).await?;
    row.map(|row| number_from_column("generations", row.generation)).transpose()
}

async fn delete_older_sessions<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    given: &CredentialGeneration,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let older = session::Column::UserId
        .eq(user.0)
        .and(session::Column::Issuer.eq(&*given.issuer))
        .and(session::Column::Generation.lt(number_to_column(given.number)));
    let rows = session::Entity::find().filter(older.clone()).all(db).await?;
    session::Entity::delete_many().filter(older).exec(db).await?;
    rows.iter().map(|row| digest("sessions", &row.digest)).collect()
}
