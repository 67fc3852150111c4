//! The records of ACME, which all servers of a database share. The caller seals what is secret in
//! them.

use presence_core::UnixMillis;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::error::StoreError;
use crate::rows::{time_from_column, time_to_column};
use crate::store::Store;
use crate::tables::acme;

/// The name of the only lease.
const LEASE: &str = "order";
/// The kind of the lease.
const LEASE_KIND: &str = "lease";

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcmeRecordKind {
    /// An account at a certificate authority.
    Account,
    /// A certificate with its key.
    Certificate,
    /// The answer to a challenge for a name.
    Challenge,
    /// The failed attempts, and the time before which there is no other.
    Attempt,
}

impl AcmeRecordKind {
    /// Returns the name of the kind in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Certificate => "certificate",
            Self::Challenge => "challenge",
            Self::Attempt => "attempt",
        }
    }
}

/// A record.
#[derive(Clone, PartialEq, Eq)]
pub struct AcmeRecord {
    /// The content, of which a part may be sealed.
    pub content: Vec<u8>,
    /// The time from which it may be deleted, `None` for never.
    pub expires_at: Option<UnixMillis>,
}

impl Store {
    /// Returns a record.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn acme_record(
        &self,
        kind: AcmeRecordKind,
        name: &str,
    ) -> Result<Option<AcmeRecord>, StoreError> {
        let key = (kind.name().to_owned(), name.to_owned());
        acme::Entity::find_by_id(key).one(self.read()).await?.map(record).transpose()
    }

    /// Returns the record of a kind that is the last to expire, with its name.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn last_acme_record(
        &self,
        kind: AcmeRecordKind,
    ) -> Result<Option<(String, AcmeRecord)>, StoreError> {
        let row = acme::Entity::find()
            .filter(acme::Column::Kind.eq(kind.name()))
            .filter(acme::Column::ExpiresAt.is_not_null())
            .order_by_desc(acme::Column::ExpiresAt)
            .one(self.read())
            .await?;
        row.map(|row| Ok((row.name.clone(), record(row)?))).transpose()
    }

    /// Stores a record in the place of an earlier one.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn put_acme_record(
        &self,
        (kind, name): (AcmeRecordKind, &str),
        record: AcmeRecord,
    ) -> Result<(), StoreError> {
        acme::Entity::insert(row((kind.name(), name), record))
            .on_conflict(replacing())
            .exec_without_returning(self.write())
            .await?;
        Ok(())
    }

    /// Deletes a record, if it is there.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn remove_acme_record(
        &self,
        kind: AcmeRecordKind,
        name: &str,
    ) -> Result<(), StoreError> {
        let key = (kind.name().to_owned(), name.to_owned());
        acme::Entity::delete_by_id(key).exec(self.write()).await?;
        Ok(())
    }

    /// Takes or extends the lease of the server that orders certificates. Returns false while
    /// another one has it.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn take_acme_lease(
        &self,
        holder: &[u8],
        now: UnixMillis,
        until: UnixMillis,
    ) -> Result<bool, StoreError> {
        let lease = AcmeRecord { content: holder.to_vec(), expires_at: Some(until) };
        let is_over = Expr::col(("acme", "expires_at")).lte(time_to_column(now));
        let is_own = Expr::col(("acme", "content")).eq(holder.to_vec());
        let taken = acme::Entity::insert(row((LEASE_KIND, LEASE), lease))
            .on_conflict(replacing().action_and_where(is_over.or(is_own)).to_owned())
            .exec_without_returning(self.write())
            .await?;
        Ok(taken > 0)
    }

    /// Gives the lease back, if this server has it.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn release_acme_lease(&self, holder: &[u8]) -> Result<(), StoreError> {
        acme::Entity::delete_many()
            .filter(acme::Column::Kind.eq(LEASE_KIND))
            .filter(acme::Column::Content.eq(holder.to_vec()))
            .exec(self.write())
            .await?;
        Ok(())
    }
}

fn row((kind, name): (&str, &str), record: AcmeRecord) -> acme::ActiveModel {
    acme::ActiveModel {
        kind: ActiveValue::Set(kind.to_owned()),
        name: ActiveValue::Set(name.to_owned()),
        content: ActiveValue::Set(record.content),
        expires_at: ActiveValue::Set(record.expires_at.map(time_to_column)),
    }
}

fn record(row: acme::Model) -> Result<AcmeRecord, StoreError> {
    let expires_at = row.expires_at.map(|time| time_from_column("acme", time)).transpose()?;
    Ok(AcmeRecord { content: row.content, expires_at })
}

fn replacing() -> OnConflict {
    OnConflict::columns([acme::Column::Kind, acme::Column::Name])
        .update_columns([acme::Column::Content, acme::Column::ExpiresAt])
        .to_owned()
}
