//! The stored form of a roster: a byte with the number of the format, then the value in the format
//! of postcard. An empty roster is no bytes.

use presence_core::roster::{Roster, StoredRoster};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// The number of the format.
const FORMAT: u8 = 1;

/// The connection of a device, as all servers know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedHandle {
    /// The server that holds the connection.
    pub node: i64,
    /// The digests of the sessions that let the device in, from its first connection on.
    pub admissions: Vec<[u8; 32]>,
    /// The digests of the proofs that hold the connection open.
    pub proofs: Vec<[u8; 32]>,
}

/// A roster that all servers share. Its times are those of the database's clock, in milliseconds
/// since 1970.
pub type SharedRoster = Roster<SharedHandle>;

/// Returns the bytes of a roster.
pub(super) fn encode(roster: &SharedRoster) -> Vec<u8> {
    if roster.is_empty() {
        return Vec::new();
    }
    // Writing into a growing list cannot fail, and the value has no map and no sequence of unknown
    // length, which the format refuses.
    let value = postcard::to_extend(&roster.to_stored(), vec![FORMAT]);
    value.unwrap_or_default()
}

/// Returns the roster of these bytes.
///
/// # Errors
///
/// `CorruptRow`.
pub(super) fn decode(bytes: &[u8]) -> Result<SharedRoster, StoreError> {
    let corrupt = || StoreError::CorruptRow("live_users");
    let Some((format, value)) = bytes.split_first() else { return Ok(Roster::default()) };
    if *format != FORMAT {
        return Err(corrupt());
    }
    let stored: StoredRoster<SharedHandle> = postcard::from_bytes(value).map_err(|_| corrupt())?;
    Roster::try_from(stored).map_err(|_| corrupt())
}
