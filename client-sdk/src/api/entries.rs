//! The reading of lists whose entries a newer server may extend.

use presence_protocol::open::OpenList;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Reads a list. An entry that cannot be read is skipped and logged.
pub(super) fn entries<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let OpenList { items, skipped } = OpenList::deserialize(deserializer)?;
    if skipped > 0 {
        tracing::warn!(skipped, "entries of a reply cannot be read and are skipped");
    }
    Ok(items)
}
