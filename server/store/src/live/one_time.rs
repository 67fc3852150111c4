//! Values that can be used once at all servers together, or for one purpose, by their digests:
//! tickets, used assertions, sessions of operators, finished sign-ins. None is forgotten before it
//! expires.

use presence_core::{UnixMillis, UserId};

use super::arrays::{bigints, blobs};
use super::{Live, execute, query};
use crate::error::StoreError;
use crate::rows::{digest, number_to_column, time_from_column, time_to_column};

/// The maximum number of values that one statement restores.
const RESTORED_TOGETHER: usize = 5_000;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneTimeKind {
    /// A ticket, whose content is the digest of its session.
    Ticket,
    /// A used assertion, whose content is its purpose.
    Assertion,
    /// The session of an operator, whose content is the digest of the operator's token.
    OperatorSession,
    /// A sign-in of a browser that was finished.
    SignIn,
}

/// A value to be stored.
pub struct NewOneTimeValue<'a> {
    /// The kind.
    pub kind: OneTimeKind,
    /// The digest.
    pub digest: [u8; 32],
    /// The user, or another number, whose quota it uses.
    pub owner: UserId,
    /// The content.
    pub content: &'a [u8],
    /// The time after which it is forgotten.
    pub expires_at: UnixMillis,
}

/// The outcome of an attempt to store a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OneTimeOutcome {
    /// It is stored.
    New,
    /// It was stored before, with this content.
    Known(Vec<u8>),
    /// Its owner has too many, of which the first one expires at this time.
    Full(UnixMillis),
}

impl OneTimeKind {
    fn code(self) -> i16 {
        match self {
            Self::Ticket => 0,
            Self::Assertion => 1,
            Self::OperatorSession => 2,
            Self::SignIn => 3,
        }
    }
}

impl Live {
    /// Stores a value, of which its owner may have `limit`.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn add_one_time(
        &self,
        value: NewOneTimeValue<'_>,
        limit: usize,
        now: UnixMillis,
    ) -> Result<OneTimeOutcome, StoreError> {
        let NewOneTimeValue { kind, digest, owner, content, expires_at } = value;
        let values = [
            kind.code().into(),
            digest.to_vec().into(),
            owner.0.into(),
            content.to_vec().into(),
            time_to_column(expires_at).into(),
            number_to_column(limit as u64).into(),
            time_to_column(now).into(),
        ];
        let sql = "SELECT known, first_end FROM presence_claim_1($1, $2, $3, $4, $5, $6, $7)";
        let rows = query(self.write(), sql, values).await?;
        let Some(row) = rows.first() else { return Ok(OneTimeOutcome::New) };
        if let Some(known) = row.try_get_by_index::<Option<Vec<u8>>>(0)? {
            return Ok(OneTimeOutcome::Known(known));
        }
        let first = time_from_column("one_time_values", row.try_get_by_index(1)?)?;
        Ok(OneTimeOutcome::Full(first))
    }

    /// Stores values with the same content, unless they are stored already, however many their
    /// owners have.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn restore_one_time(
        &self,
        (kind, content): (OneTimeKind, &[u8]),
        values: &[(UserId, ([u8; 32], UnixMillis))],
    ) -> Result<(), StoreError> {
        for values in values.chunks(RESTORED_TOGETHER) {
            let sql = "INSERT INTO one_time_values (kind, digest, owner, content, expires_at) \
                       SELECT $1, v.digest, v.owner, $2, v.expires_at \
                       FROM unnest($3, $4, $5) v(digest, owner, expires_at) \
                       ORDER BY v.digest ON CONFLICT DO NOTHING";
            let values = [
                kind.code().into(),
                content.to_vec().into(),
                blobs(values.iter().map(|(_, (digest, _))| digest.to_vec())),
                bigints(values.iter().map(|(owner, _)| owner.0)),
                bigints(values.iter().map(|(_, (_, expires_at))| time_to_column(*expires_at))),
            ];
            execute(self.write(), sql, values).await?;
        }
        Ok(())
    }

    /// Returns the content of a value that has not expired.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn one_time(
        &self,
        kind: OneTimeKind,
        digest: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT content FROM one_time_values \
                   WHERE kind = $1 AND digest = $2 AND expires_at > $3";
        let values = [kind.code().into(), digest.to_vec().into(), time_to_column(now).into()];
        let rows = query(self.write(), sql, values).await?;
        Ok(rows.first().map(|row| row.try_get_by_index(0)).transpose()?)
    }

    /// Removes a value, and returns its content if it has not expired. Of several calls one gets
    /// it.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn take_one_time(
        &self,
        kind: OneTimeKind,
        digest: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "DELETE FROM one_time_values \
                   WHERE kind = $1 AND digest = $2 AND expires_at > $3 RETURNING content";
        let values = [kind.code().into(), digest.to_vec().into(), time_to_column(now).into()];
        let rows = query(self.write(), sql, values).await?;
        Ok(rows.first().map(|row| row.try_get_by_index(0)).transpose()?)
    }

    /// Changes the content of those values of an owner that have a certain one. Returns them, each
    /// with the time after which it is forgotten.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn change_one_time(
        &self,
        (kind, owner): (OneTimeKind, UserId),
        from: &[u8],
        to: &[u8],
    ) -> Result<Vec<([u8; 32], UnixMillis)>, StoreError> {
        let sql = "UPDATE one_time_values SET content = $4 \
                   WHERE kind = $1 AND owner = $2 AND content = $3 RETURNING digest, expires_at";
        let values = [kind.code().into(), owner.0.into(), from.to_vec().into(), to.to_vec().into()];
        let rows = query(self.write(), sql, values).await?;
        rows.iter()
            .map(|row| {
                let bytes: Vec<u8> = row.try_get_by_index(0)?;
                let expires_at = time_from_column("one_time_values", row.try_get_by_index(1)?)?;
                Ok((digest("one_time_values", &bytes)?, expires_at))
            })
            .collect()
    }

    /// Removes values that have expired.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_expired_values(&self, now: UnixMillis) -> Result<u64, StoreError> {
        let sql = "DELETE FROM one_time_values WHERE expires_at <= $1";
        execute(self.write(), sql, [time_to_column(now).into()]).await
    }
}
