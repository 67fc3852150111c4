//! Batched lookups of sessions: the lookups of many devices that connect at once share a few
//! statements.
//!
//! There is no task: the first caller runs the statements for all waiting callers, and the next one
//! for those that came in the meantime. If a caller is dropped while it runs them, the others
//! repeat their requests.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use presence_core::UnixMillis;
use presence_core::model::{Email, Session};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QuerySelect,
    QueryTrait, RelationTrait, Value,
};
use tokio::sync::oneshot;

use crate::bounded::BoundedPool;
use crate::error::StoreError;
use crate::rows::{CHUNK, email, is_one_of, padded, time_to_column};
use crate::statement_texts::StatementTexts;
use crate::tables::{session, user};

/// A session with the e-mail of its user.
#[derive(FromQueryResult)]
struct SessionRow {
    #[sea_orm(nested)]
    session: session::Model,
    email: String,
}

type Found = Option<(Session, Email)>;
type LookupResult = Result<Found, StoreError>;

struct LookupRequest {
    digest: [u8; 32],
    reply: oneshot::Sender<LookupResult>,
}

/// The waiting lookups. Only the number of connections bounds them.
#[derive(Default)]
pub(crate) struct SessionLookup {
    waiting: Mutex<Vec<LookupRequest>>,
    /// The lock of the caller that runs the statements.
    runner: tokio::sync::Mutex<()>,
}

impl SessionLookup {
    /// Returns the session with this token digest and the e-mail of its user, unless it has
    /// expired.
    pub(crate) async fn find(
        &self,
        digest: [u8; 32],
        now: UnixMillis,
        db: &BoundedPool,
    ) -> LookupResult {
        loop {
            let (reply, mut result) = oneshot::channel();
            self.with(|waiting| waiting.push(LookupRequest { digest, reply }));
            tokio::select! {
                biased;
                // A caller whose reply has come runs nothing for those that came later: else each
                // of a batch would wait for as many statements as there are callers before it.
                result = &mut result => if let Ok(result) = result { return result },
                runner = self.runner.lock() => {
                    // The tasks that are ready add their requests: the statements are then fewer.
                    tokio::task::yield_now().await;
                    reply_to_all(self.with(std::mem::take), now, db).await;
                    drop(runner);
                    if let Ok(result) = result.await {
                        return result;
                    }
                }
            }
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<LookupRequest>) -> T) -> T {
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn reply_to_all(requests: Vec<LookupRequest>, now: UnixMillis, db: &BoundedPool) {
    let mut digests: Vec<[u8; 32]> = requests.iter().map(|request| request.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    let found = sessions(&digests, now, db).await;
    for LookupRequest { digest, reply } in requests {
        let result = match &found {
            Ok(found) => Ok(found.get(&digest).cloned()),
            // Only the lookup of a corrupt row must fail.
            Err(_) => sessions(&[digest], now, db).await.map(|mut found| found.remove(&digest)),
        };
        // The caller may be gone.
        reply.send(result).ok();
    }
}

/// The texts of the statement.
static TEXTS: StatementTexts = StatementTexts::new();

async fn sessions(
    digests: &[[u8; 32]],
    now: UnixMillis,
    db: &BoundedPool,
) -> Result<HashMap<[u8; 32], (Session, Email)>, StoreError> {
    let mut found = HashMap::with_capacity(digests.len());
    let backend = db.get_database_backend();
    for chunk in digests.chunks(CHUNK) {
        let wanted = padded(chunk.iter().map(|digest| digest.to_vec()));
        let mut values: Vec<Value> = wanted.iter().cloned().map(Value::from).collect();
        values.push(time_to_column(now).into());
        let build = || {
            session::Entity::find()
                .join(JoinType::InnerJoin, session::Relation::User.def())
                .column(user::Column::Email)
                .filter(is_one_of(session::Column::Digest, wanted.iter().cloned()))
                .filter(session::Column::ExpiresAt.gt(time_to_column(now)))
                .build(backend)
        };
        let statement = TEXTS.statement((wanted.len(), values), backend, build);
        for row in SessionRow::find_by_statement(statement).all(db).await? {
            let session = Session::try_from(row.session)?;
            found.insert(session.digest, (session, email(&row.email)?));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn a_caller_whose_reply_has_come_waits_for_no_other_statement() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/t.db?mode=rwc", directory.path().display());
        let store = Store::open(&url, UnixMillis::new(0)).await.unwrap();
        let lookup = SessionLookup::default();
        let runner = lookup.runner.lock().await;
        let mut finding = pin!(lookup.find([1; 32], UnixMillis::new(0), store.read()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(finding.as_mut().poll(&mut context).is_pending());
        for request in lookup.with(std::mem::take) {
            request.reply.send(Ok(None)).unwrap();
        }
        // The statements for the next callers still run.
        assert!(matches!(finding.poll(&mut context), Poll::Ready(Ok(None))));
        drop(runner);
        assert!(lookup.find([1; 32], UnixMillis::new(0), store.read()).await.unwrap().is_none());
    }
}
