//! Whose sessions tokens open: asked together by the many devices that come at once, a few statements for all of them.
//!
//! There is no task: whoever asks first finds the answers for all that have asked meanwhile, and the next one those that came while
//! it did. One that is dropped while it does leaves the others to ask again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use presence_core::UnixMillis;
use presence_core::model::{Email, Session};
use sea_orm::{
    ColumnTrait, DatabaseConnection, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QuerySelect, RelationTrait,
};
use tokio::sync::oneshot;

use crate::error::StoreError;
use crate::rows::{CHUNK, email, padded, stored};
use crate::tables::{session, user};

/// A session, and whose it is.
#[derive(FromQueryResult)]
struct SessionRow {
    #[sea_orm(nested)]
    session: session::Model,
    email: String,
}

type Found = Option<(Session, Email)>;
type Answer = Result<Found, StoreError>;

struct Ask {
    digest: [u8; 32],
    reply: oneshot::Sender<Answer>,
}

/// Those who ask. Nothing bounds them but the number of connections.
#[derive(Default)]
pub(crate) struct Lookup {
    waiting: Mutex<Vec<Ask>>,
    turn: tokio::sync::Mutex<()>,
}

impl Lookup {
    /// The session that is known by this, unless it has expired, with the e-mail of its user.
    pub(crate) async fn find(
        &self,
        digest: [u8; 32],
        now: UnixMillis,
        db: &DatabaseConnection,
    ) -> Answer {
        loop {
            let (reply, answer) = oneshot::channel();
            self.with(|waiting| waiting.push(Ask { digest, reply }));
            let turn = self.turn.lock().await;
            let asks = self.with(std::mem::take);
            if !asks.is_empty() {
                answer_all(asks, now, db).await;
            }
            drop(turn);
            if let Ok(answer) = answer.await {
                return answer;
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Ask>) -> T) -> T {
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer_all(asks: Vec<Ask>, now: UnixMillis, db: &DatabaseConnection) {
    let mut digests: Vec<[u8; 32]> = asks.iter().map(|ask| ask.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    let found = sessions(&digests, now, db).await;
    for Ask { digest, reply } in asks {
        let answer = match &found {
            Ok(found) => Ok(found.get(&digest).cloned()),
            // Only who asks for the row that cannot be read is to be told so.
            Err(_) => sessions(&[digest], now, db).await.map(|mut found| found.remove(&digest)),
        };
        // It does not matter whether anybody still listens.
        reply.send(answer).ok();
    }
}

async fn sessions(
    digests: &[[u8; 32]],
    now: UnixMillis,
    db: &DatabaseConnection,
) -> Result<HashMap<[u8; 32], (Session, Email)>, StoreError> {
    let mut found = HashMap::with_capacity(digests.len());
    for chunk in digests.chunks(CHUNK) {
        let rows = session::Entity::find()
            .join(JoinType::InnerJoin, session::Relation::User.def())
            .column(user::Column::Email)
            .filter(session::Column::Digest.is_in(padded(chunk.iter().map(|it| it.to_vec()))))
            .filter(session::Column::ExpiresAt.gt(stored(now)))
            .into_model::<SessionRow>()
            .all(db)
            .await?;
        for row in rows {
            let session = Session::try_from(row.session)?;
            found.insert(session.digest, (session, email(&row.email)?));
        }
    }
    Ok(found)
}
