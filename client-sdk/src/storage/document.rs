//! The documents that are kept: JSON with a version and a kind.

use presence_protocol::NotificationId;
use presence_protocol::open::{OpenPresence, OpenStatus};
use presence_protocol::{Puid, UnixMillis};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::file_storage::MAX_BYTES;

/// The version of the documents that this version of the SDK writes. It reads no newer ones.
const VERSION: u32 = 1;

/// The content of a document of one kind.
pub(crate) trait Document: Serialize + DeserializeOwned + Send + 'static {
    /// The name of the kind.
    const KIND: &'static str;
}

/// The first fields of a document, which every version has.
#[derive(Deserialize)]
struct Header {
    version: u32,
    kind: String,
}

/// A document, with its content beside the first fields.
#[derive(Serialize)]
struct Envelope<'a, D> {
    version: u32,
    kind: &'static str,
    #[serde(flatten)]
    content: &'a D,
}

/// Returns the text of a document.
pub(super) fn encode<D: Document>(content: &D) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Envelope { version: VERSION, kind: D::KIND, content })
}

/// Reads a document. Returns `None` if it is damaged, too large, of another kind or of a newer
/// version.
pub(super) fn decode<D: Document>(document: &[u8]) -> Option<D> {
    if document.len() as u64 > MAX_BYTES {
        return None;
    }
    let header: Header = serde_json::from_slice(document).ok()?;
    if header.version > VERSION || header.kind != D::KIND {
        return None;
    }
    serde_json::from_slice(document).ok()
}

/// The content of the document of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredDevice {
    /// The acknowledgements that the server has not confirmed.
    pub(crate) acknowledged: Vec<NotificationId>,
    /// The notifications that the user has seen and that are not acknowledged.
    pub(crate) shown: Vec<NotificationId>,
}

impl Document for StoredDevice {
    const KIND: &'static str = "device";
}

/// The content of the document of a back end: users and the cursor that belongs to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredUsers {
    /// The place in the stream up to which the users are complete.
    pub(crate) cursor: Option<String>,
    users: Vec<StoredUser>,
}

impl Document for StoredUsers {
    const KIND: &'static str = "users";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredUser {
    uid: Puid,
    status: OpenStatus,
    version: u64,
    since: UnixMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl StoredUsers {
    pub(crate) fn new<'a>(
        cursor: Option<String>,
        users: impl Iterator<Item = &'a OpenPresence>,
    ) -> Self {
        let users = users.map(|user| StoredUser {
            uid: user.uid,
            status: user.status.clone(),
            version: user.version,
            since: user.since,
            message: user.message.clone(),
        });
        Self { cursor, users: users.collect() }
    }

    /// Returns the users.
    pub(crate) fn into_users(self) -> impl Iterator<Item = OpenPresence> {
        self.users.into_iter().map(|user| OpenPresence {
            uid: user.uid,
            status: user.status,
            cause: None,
            version: user.version,
            since: user.since,
            message: user.message,
            revoked: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_back_unchanged() {
        let device = StoredDevice {
            acknowledged: vec![NotificationId::from_bits(1)],
            shown: vec![NotificationId::from_bits(u128::MAX)],
        };
        let document = encode(&device).unwrap();
        assert_eq!(decode(&document), Some(device));
    }

    #[test]
    fn the_form_of_a_document_is_fixed() {
        let user = OpenPresence {
            uid: Puid::from_bits(7),
            status: OpenStatus::Unknown("asleep".to_owned()),
            cause: None,
            version: 3,
            since: UnixMillis::from_secs(1),
            message: Some("at lunch".to_owned()),
            revoked: false,
        };
        let users = StoredUsers::new(Some("c1".to_owned()), std::iter::once(&user));
        let expected = r#"{"version":1,"kind":"users","cursor":"c1","users":[{"uid":"00000000000000000000000000000007","status":"asleep","version":3,"since":1000,"message":"at lunch"}]}"#;
        let document = encode(&users).unwrap();
        assert_eq!(String::from_utf8(document.clone()).unwrap(), expected);
        let read: StoredUsers = decode(&document).unwrap();
        assert_eq!(read.into_users().collect::<Vec<_>>(), [user]);
    }

    #[test]
    fn a_damaged_a_foreign_and_a_newer_document_are_not_read() {
        let good = r#"{"version":1,"kind":"device","acknowledged":[],"shown":[],"later":1}"#;
        assert!(decode::<StoredDevice>(good.as_bytes()).is_some());
        for bad in [
            "",
            "{}",
            &good[..good.len() - 1],
            &good.replace(":1,\"kind", ":2,\"kind"),
            &good.replace("device", "users"),
            &good.replace("[]", "[7]"),
        ] {
            assert_eq!(decode::<StoredDevice>(bad.as_bytes()), None, "{bad}");
        }
    }
}
