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
        let sql = "INSERT INTO server_keys (name, key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        execute(self.write(), sql, [name.into(), new.to_vec().into()]).await?;
        let sql = "SELECT key FROM server_keys WHERE name = $1";
        let rows = query(self.write(), sql, [name.into()]).await?;
        let row = rows.first().ok_or(StoreError::CorruptRow("server_keys"))?;
        digest("server_keys", &row.try_get_by_index::<Vec<u8>>(0)?)
    }
}
