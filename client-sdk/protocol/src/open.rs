//! The values of frames as a client reads them, open to what a newer server adds.
//!
//! A value that this version does not know is `Unknown`, a field of an unknown form is absent, and
//! an entry of a list that cannot be read is skipped and counted. Texts are not validated again.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::app::ReceiptState;
use crate::error::ApiError;
use crate::id::{NotificationId, Puid};
use crate::lenient::{lenient, whole_number};
use crate::presence::{OfflineCause, Status};
use crate::time::UnixMillis;

macro_rules! open_names {
    ($(#[doc = $doc:literal])+ $name:ident of $known:ident {
        $($(#[doc = $variant_doc:literal])+ $variant:ident = $text:literal,)+
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[doc = $variant_doc])+ $variant,)+
            /// A value that this version does not know, with its text.
            Unknown(String),
        }

        impl $name {
            /// Returns the text on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Unknown(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    _ => Self::Unknown(text.to_owned()),
                }
            }
        }

        impl From<$known> for $name {
            fn from(known: $known) -> Self {
                match known {
                    $($known::$variant => Self::$variant,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Ok(Self::from(&*text))
            }
        }
    };
}

open_names! {
    /// A status of a user or a device.
    OpenStatus of Status {
        /// The user cannot be reached, or is hidden.
        Offline = "offline",
        /// The user can be reached, but does not want to be disturbed.
        Unavailable = "unavailable",
        /// The user can be reached.
        Online = "online",
    }
}

open_names! {
    /// The cause of a change to offline.
    OpenOfflineCause of OfflineCause {
        /// An intended change: a device was closed in order or ended, it reported offline, the user
        /// hides, the grant was paused or revoked, or the Application was deactivated or blocked.
        /// All of these look alike.
        Left = "left",
        /// The connection of the last device was lost, and its grace time ran out.
        Lost = "lost",
    }
}

open_names! {
    /// The final state of a notification.
    OpenReceiptState of ReceiptState {
        /// It was written to a device that does not acknowledge notifications.
        Delivered = "delivered",
        /// A device has acknowledged it.
        Acked = "acked",
        /// Its time to live has passed.
        Expired = "expired",
        /// The queue was full, or no device was connected and its time to live is 0.
        Dropped = "dropped",
        /// The user has revoked the grant.
        Revoked = "revoked",
    }
}

/// The presence of one user for one Application.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpenPresence {
    /// The user.
    pub uid: Puid,
    /// The merged status over all devices that this Application may see.
    pub status: OpenStatus,
    /// The cause of a change to offline. Nothing else has one: no other change, no snapshot, and no
    /// reply.
    #[serde(default, deserialize_with = "lenient")]
    pub cause: Option<OpenOfflineCause>,
    /// The version of this user's presence. It grows with every change, also over restarts. An
    /// update with a version that is not greater is to be ignored.
    #[serde(deserialize_with = "whole_number")]
    pub version: u64,
    /// The time of the change.
    #[serde(default)]
    pub since: UnixMillis,
    /// The status text.
    #[serde(default)]
    pub message: Option<String>,
    /// Set if the user has revoked the grant. The PUID is invalid from then on.
    #[serde(default, deserialize_with = "lenient")]
    pub revoked: bool,
}

/// The receipt of a notification. There is one for each notification.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OpenReceipt {
    /// The notification.
    pub id: NotificationId,
    /// The user.
    pub uid: Puid,
    /// The final state.
    pub state: OpenReceiptState,
}

/// An entry of the reply to a query.
#[derive(Debug, Clone, PartialEq)]
pub enum OpenQueryResult {
    /// The presence of the user.
    Known(OpenPresence),
    /// The Application has no such PUID. The text is that of the request.
    Unknown(String),
    /// The server gave another error for this user, or an entry that cannot be read.
    Refused {
        /// The PUID, as the server repeats it.
        uid: String,
        /// The error.
        error: ApiError,
    },
}

/// The entries of a list that can be read, and the number of those that cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenList<T> {
    /// The entries, in order.
    pub items: Vec<T>,
    /// The number of entries that were skipped.
    pub skipped: u64,
}

impl<T> Default for OpenList<T> {
    fn default() -> Self {
        Self { items: Vec::new(), skipped: 0 }
    }
}

impl<T: DeserializeOwned> OpenList<T> {
    /// Reads the JSON text of a list. A value that is no list counts as one skipped entry.
    pub fn read(json: &str) -> Self {
        if let Ok(items) = serde_json::from_str(json) {
            return Self { items, skipped: 0 };
        }
        let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(json) else {
            return Self { items: Vec::new(), skipped: 1 };
        };
        let items: Vec<T> =
            entries.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect();
        let skipped = (entries.len() - items.len()) as u64;
        Self { items, skipped }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OpenList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
        Ok(raw.map_or_else(Self::default, |raw| Self::read(raw.get())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(fields: &str) -> OpenList<OpenPresence> {
        let uid = Puid::from_bits(1);
        OpenList::read(&format!(r#"[{{"uid":"{uid}",{fields}}}]"#))
    }

    #[test]
    fn an_unknown_value_keeps_its_text() {
        let read = presence(r#""status":"asleep","version":1,"since":1"#);
        assert_eq!(read.items[0].status, OpenStatus::Unknown("asleep".to_owned()));
        assert_eq!(read.items[0].status.to_string(), "asleep");
        let state: OpenReceiptState = serde_json::from_str(r#""read\u0021""#).unwrap();
        assert_eq!(state, OpenReceiptState::Unknown("read!".to_owned()));
        let read = presence(r#""status":"offline","cause":"asleep","version":1"#);
        assert_eq!(read.items[0].cause, Some(OpenOfflineCause::Unknown("asleep".to_owned())));
        for status in [Status::Offline, Status::Unavailable, Status::Online] {
            let text = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<OpenStatus>(&text).unwrap(), status.into());
            assert_eq!(serde_json::to_string(&OpenStatus::from(status)).unwrap(), text);
        }
    }

    #[test]
    fn texts_of_any_length_and_times_with_a_fraction_are_read() {
        let long = "x".repeat(1_000);
        let read = presence(&format!(
            r#""status":"online","version":2.0,"since":1500.75,"message":"{long}\n","new":{{}}"#
        ));
        assert_eq!(read.skipped, 0);
        assert_eq!((read.items[0].version, read.items[0].since), (2, UnixMillis::new(1500)));
        assert_eq!(read.items[0].message.as_deref(), Some(&*format!("{long}\n")));
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_skipped_and_counted() {
        let uid = Puid::from_bits(1);
        let known = format!(r#"{{"uid":"{uid}","status":"online","version":1,"since":1}}"#);
        for unreadable in ["7", "null", "{}", r#"{"uid":"x"}"#, r#"{"uid":{"new":1}}"#] {
            let read: OpenList<OpenPresence> =
                OpenList::read(&format!("[{known},{unreadable},{known}]"));
            assert_eq!((read.items.len(), read.skipped), (2, 1), "{unreadable}");
        }
        assert_eq!(OpenList::<OpenPresence>::read(r#"{"new":1}"#).skipped, 1);
    }
}
