//! Assertions that were used, so that none is used twice, also over a restart.

use presence_core::model::Millis;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::rows::stored;
use crate::store::Store;
use crate::tables::used_assertion;

/// Whether an assertion was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It was not; from now on it is.
    Fresh,
    /// It was, for the same binding.
    SameBinding,
    /// It was, for another binding.
    OtherBinding,
}

impl Store {
    /// Claims an assertion (by its digest) for a binding, say an e-mail and a device, until it expires. Of two
    /// that claim at once, one is `Fresh`. Only a digest of the binding is kept.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn claim_assertion(
        &self,
        digest: &[u8; 32],
        binding: &str,
        expires_at: Millis,
        now: Millis,
    ) -> Result<Claim, StoreError> {
        let binding = Sha256::digest(binding).to_vec();
        if let Some(claim) = claimed(self.read(), digest, &binding, now).await? {
            return Ok(claim);
        }
        let row = used_assertion::ActiveModel {
            digest: ActiveValue::Set(digest.to_vec()),
            binding: ActiveValue::Set(binding.clone()),
            expires_at: ActiveValue::Set(stored(expires_at)),
        };
        let over_expired = OnConflict::column(used_assertion::Column::Digest)
            .update_columns([used_assertion::Column::Binding, used_assertion::Column::ExpiresAt])
            .action_and_where(used_assertion::Column::ExpiresAt.lte(stored(now)))
            .to_owned();
        let insert = used_assertion::Entity::insert(row).on_conflict(over_expired);
        if insert.exec_without_returning(self.write()).await? > 0 {
            return Ok(Claim::Fresh);
        }
        let claim = claimed(self.write(), digest, &binding, now).await?;
        claim.ok_or(StoreError::Nonsense("used_assertions"))
    }
}

async fn claimed<C: ConnectionTrait>(
    db: &C,
    digest: &[u8; 32],
    binding: &[u8],
    now: Millis,
) -> Result<Option<Claim>, StoreError> {
    let row = used_assertion::Entity::find_by_id(digest.to_vec())
        .filter(used_assertion::Column::ExpiresAt.gt(stored(now)))
        .one(db)
        .await?;
    Ok(row.map(|row| if row.binding == binding { Claim::SameBinding } else { Claim::OtherBinding }))
}
