//! Whose session a token opens: for the many devices that come at once, a few statements for all of them.

use std::collections::HashMap;

use presence_core::model::{Email, Session, UserId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::answer::Ask;
use super::round::Round;
use crate::error::StoreError;
use crate::rows::{CHUNK, email, padded, stored};
use crate::tables::{session, user};

/// A question by the digest of a token.
pub(super) type AskSession = Ask<[u8; 32], Option<(Session, Email)>>;

/// Finds the sessions that have not expired, each with the e-mail of its user.
pub(super) async fn sessions(
    round: &Round<'_>,
    asks: &mut [&mut AskSession],
) -> Result<(), StoreError> {
    let mut digests: Vec<[u8; 32]> = asks.iter().map(|ask| ask.question).collect();
    digests.sort_unstable();
    digests.dedup();
    let mut found: HashMap<[u8; 32], (Session, Email)> = HashMap::with_capacity(digests.len());
    for chunk in digests.chunks(CHUNK) {
        let rows = session::Entity::find()
            .filter(session::Column::Digest.is_in(padded(chunk.iter().map(|it| it.to_vec()))))
            .filter(session::Column::ExpiresAt.gt(stored(round.now)))
            .all(round.db)
            .await?;
        let emails = emails(round, rows.iter().map(|row| row.user_id)).await?;
        for row in rows {
            let session = Session::try_from(row)?;
            if let Some(email) = emails.get(&session.user) {
                found.insert(session.digest, (session, email.clone()));
            }
        }
    }
    for ask in asks {
        ask.answer = Some(found.get(&ask.question).cloned());
    }
    Ok(())
}

async fn emails(
    round: &Round<'_>,
    users: impl Iterator<Item = i64>,
) -> Result<HashMap<UserId, Email>, StoreError> {
    let rows =
        user::Entity::find().filter(user::Column::Id.is_in(padded(users))).all(round.db).await?;
    rows.into_iter().map(|row| Ok((UserId(row.id), email(&row.email)?))).collect()
}
