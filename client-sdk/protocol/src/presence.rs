//! The statuses of users, and the updates that Applications get.

use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Puid;
use crate::limits::MAX_STATUS_TEXT_CHARS;
use crate::text::{TEXT_RULE, displays_as_written};
use crate::time::UnixMillis;

/// A status. `Offline` is less than `Unavailable`, and that is less than `Online`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The user cannot be reached, or is hidden.
    #[default]
    Offline,
    /// The user can be reached, but does not want to be disturbed.
    Unavailable,
    /// The user can be reached.
    Online,
}

/// The error for a text that is not a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is online, unavailable or offline")]
pub struct InvalidStatus;

impl Status {
    /// All statuses, the greatest first.
    pub const ALL: [Self; 3] = [Self::Online, Self::Unavailable, Self::Offline];

    /// Returns the text on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Unavailable => "unavailable",
            Self::Offline => "offline",
        }
    }
}

impl FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(InvalidStatus)
    }
}

/// A status text: at most 128 characters that follow the rule of [`text`](crate::text).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusText(Arc<str>);

/// The error for a text that is not a valid status text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a string of at most 128 characters, {TEXT_RULE}")]
pub struct InvalidStatusText;

impl StatusText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for StatusText {
    type Error = InvalidStatusText;

    fn try_from(text: &str) -> Result<Self, InvalidStatusText> {
        let too_long = text.chars().nth(MAX_STATUS_TEXT_CHARS).is_some();
        if too_long || !displays_as_written(text) {
            return Err(InvalidStatusText);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for StatusText {
    type Error = InvalidStatusText;

    fn try_from(text: String) -> Result<Self, InvalidStatusText> {
        Self::try_from(text.as_str())
    }
}

impl From<StatusText> for String {
    fn from(text: StatusText) -> Self {
        text.as_str().to_owned()
    }
}

/// The cause of a change to offline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflineCause {
    /// An intended change: a device was closed in order or ended, it reported offline, the user
    /// hides, the grant was paused or revoked, or the Application was deactivated or blocked. All
    /// of these look alike.
    Left,
    /// The connection of the last device was lost, and its grace time ran out.
    Lost,
}

/// The presence of one user for one Application:
/// `{"uid","status","cause"?,"version","since","message"?,"revoked"?}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceUpdate {
    /// The user.
    pub uid: Puid,
    /// The merged status over all devices that this Application may see.
    pub status: Status,
    /// The cause of a change to offline. Nothing else has one: no other change, no snapshot, and no
    /// reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<OfflineCause>,
    /// The version of this user's presence. It grows with every change, also over restarts. An
    /// update with a version that is not greater is to be ignored.
    pub version: u64,
    /// The time of the change, rounded down to a whole second.
    pub since: UnixMillis,
    /// The status text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<StatusText>,
    /// Set if the user has revoked the grant. The PUID is invalid from then on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub revoked: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_status_text_is_counted_in_characters() {
        assert!(StatusText::try_from("é".repeat(128)).is_ok());
        assert!(StatusText::try_from("é".repeat(129)).is_err());
    }

    #[test]
    fn a_status_text_cannot_change_how_its_line_is_displayed() {
        for text in ["a\nb", "\u{202e}evil", "\u{2066}", "\0", "\u{85}", "\u{2028}", "\u{200b}"] {
            assert!(StatusText::try_from(text).is_err(), "{text:?}");
        }
        assert!(StatusText::try_from("שלום, at lunch 🍜").is_ok());
    }

    #[test]
    fn online_is_greater_than_unavailable_and_unavailable_than_offline() {
        assert!(Status::Online > Status::Unavailable && Status::Unavailable > Status::Offline);
    }

    #[test]
    fn a_status_has_one_text_for_the_wire_and_for_people() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("Online".parse::<Status>(), Err(InvalidStatus));
    }

    #[test]
    fn an_update_has_the_format_of_2013() {
        let update = PresenceUpdate {
            uid: Puid::from_bits(1),
            status: Status::Online,
            cause: None,
            version: 2,
            since: UnixMillis::new(3000),
            message: None,
            revoked: false,
        };
        assert_eq!(
            serde_json::to_string(&update).unwrap(),
            r#"{"uid":"00000000000000000000000000000001","status":"online","version":2,"since":3000}"#
        );
    }
}
