//! The keys that all servers must have.

use super::{Live, execute, query};
use crate::error::StoreError;
use crate::rows::digest;

impl Live {
    /// Returns the key of this name. The first call for a name stores the key `new`.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn server_key(&self, name: &str, new: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        digest("server_keys", &self.share_key(name, new.to_vec()).await?)
    }

    /// Returns the key of this name, of any length. The first call for a name stores the key `new`.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `CorruptRow`.
    pub async fn share_key(&self, name: &str, new: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let sql = "INSERT INTO server_keys (name, key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        execute(self.write(), sql, [name.into(), new.into()]).await?;
        self.find_key(name).await?.ok_or(StoreError::CorruptRow("server_keys"))
    }

    /// Returns the key of this name, if it is stored.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn find_key(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT key FROM server_keys WHERE name = $1";
        let rows = query(self.write(), sql, [name.into()]).await?;
        Ok(rows.first().map(|row| row.try_get_by_index(0)).transpose()?)
    }
}
