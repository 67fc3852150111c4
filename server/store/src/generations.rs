//! The greatest generation that each issuer has given of a user, and the end of what was opened with a smaller one.

use presence_core::model::{CredentialGeneration, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter};

use crate::error::StoreError;
use crate::rows::{digest, number, stored_number};
use crate::store::Store;
use crate::tables::{generation, session};

/// What a generation is beside those seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raised {
    /// A greater one was seen: the proof is outdated.
    Outdated,
    /// The greatest, as it was before.
    Same,
    /// Greater than all before, or the first. The sessions that were opened with a smaller one are gone; these were their digests.
    Ended(Vec<[u8; 32]>),
}

impl Store {
    /// Remembers a generation that is greater than all before, and ends the sessions that were opened with a smaller one. Writes
    /// only then.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn raise_generation(
        &self,
        user: UserId,
        given: &CredentialGeneration,
    ) -> Result<Raised, StoreError> {
        if let Some(raised) = beside(self.greatest_generation(user, &given.issuer).await?, given) {
            return Ok(raised);
        }
        let transaction = self.begin_writing().await?;
        // Looked up again, since another device may have been faster.
        let known = greatest(&transaction, user, &given.issuer).await?;
        if let Some(raised) = beside(known, given) {
            return Ok(raised);
        }
        generation::Entity::insert(generation::ActiveModel {
            user_id: ActiveValue::Set(user.0),
            issuer: ActiveValue::Set(given.issuer.to_string()),
            generation: ActiveValue::Set(stored_number(given.number)),
        })
        .on_conflict(
            OnConflict::columns([generation::Column::UserId, generation::Column::Issuer])
                .update_column(generation::Column::Generation)
                .to_owned(),
        )
        .exec_without_returning(&transaction)
        .await?;
        let ended = end_older_sessions(&transaction, user, given).await?;
        transaction.commit().await?;
        Ok(Raised::Ended(ended))
    }

    /// The greatest generation that an issuer has given of a user.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Nonsense`.
    pub async fn greatest_generation(
        &self,
        user: UserId,
        issuer: &str,
    ) -> Result<Option<u64>, StoreError> {
        greatest(self.read(), user, issuer).await
    }
}

/// What is to be said without writing anything.
fn beside(known: Option<u64>, given: &CredentialGeneration) -> Option<Raised> {
    match known {
        Some(known) if known > given.number => Some(Raised::Outdated),
        Some(known) if known == given.number => Some(Raised::Same),
        Some(_) | None => None,
    }
}

async fn greatest<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    issuer: &str,
) -> Result<Option<u64>, StoreError> {
    let row = generation::Entity::find_by_id((user.0, issuer.to_owned())).one(db).await?;
    row.map(|row| number("generations", row.generation)).transpose()
}

async fn end_older_sessions<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    given: &CredentialGeneration,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let older = session::Column::UserId
        .eq(user.0)
        .and(session::Column::Issuer.eq(&*given.issuer))
        .and(session::Column::Generation.lt(stored_number(given.number)));
    let rows = session::Entity::find().filter(older.clone()).all(db).await?;
    session::Entity::delete_many().filter(older).exec(db).await?;
    rows.iter().map(|row| digest("sessions", &row.digest)).collect()
}
