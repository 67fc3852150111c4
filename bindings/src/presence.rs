//! Statuses of users, and the parsing of ids and status texts.

use presence_client::{OfflineCause, Status, StatusText, UnixMillis};

use crate::error::PresenceError;

/// The status of a user: whether they can be reached.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum PresenceStatus {
    /// The user can be reached.
    Online,
    /// The user can be reached, but does not want to be disturbed.
    Unavailable,
    /// The user cannot be reached, or is hidden.
    Offline,
    /// A status of a newer server.
    Unknown {
        /// The name of the status.
        text: String,
    },
}

impl From<PresenceStatus> for Status {
    fn from(status: PresenceStatus) -> Self {
        match status {
            PresenceStatus::Online => Self::Online,
            PresenceStatus::Unavailable => Self::Unavailable,
            PresenceStatus::Offline => Self::Offline,
            PresenceStatus::Unknown { text } => Self::Unknown(text),
        }
    }
}

impl From<Status> for PresenceStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Online => Self::Online,
            Status::Unavailable => Self::Unavailable,
            Status::Offline => Self::Offline,
            Status::Unknown(text) => Self::Unknown { text },
        }
    }
}

/// The cause of a change to offline.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum PresenceOfflineCause {
    /// An intended change: a device was closed in order or ended, it reported offline, the user
    /// hides, the grant was paused or revoked, or the Application was deactivated or blocked. All
    /// of these look alike.
    Left,
    /// The connection of the last device was lost, and its grace time ran out.
    Lost,
    /// A cause of a newer server.
    Unknown {
        /// The name of the cause.
        text: String,
    },
}

impl From<PresenceOfflineCause> for OfflineCause {
    fn from(cause: PresenceOfflineCause) -> Self {
        match cause {
            PresenceOfflineCause::Left => Self::Left,
            PresenceOfflineCause::Lost => Self::Lost,
            PresenceOfflineCause::Unknown { text } => Self::Unknown(text),
        }
    }
}

impl From<OfflineCause> for PresenceOfflineCause {
    fn from(cause: OfflineCause) -> Self {
        match cause {
            OfflineCause::Left => Self::Left,
            OfflineCause::Lost => Self::Lost,
            OfflineCause::Unknown(text) => Self::Unknown { text },
        }
    }
}

/// The presence of one user, as one Application sees it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct PresenceUpdate {
    /// The PUID: the id of the user for this Application.
    pub uid: String,
    /// The merged status of all devices that this Application may see.
    pub status: PresenceStatus,
    /// The cause of a change to offline. Nothing else has one.
    pub cause: Option<PresenceOfflineCause>,
    /// The version. It grows with every change of this user.
    pub version: u64,
    /// The time of the change, rounded down to a whole second: milliseconds since 1970 UTC.
    pub since_ms: i64,
    /// The status text.
    pub message: Option<String>,
    /// Is true if the user has revoked the grant. The PUID is not valid any more.
    pub revoked: bool,
}

impl From<presence_client::PresenceUpdate> for PresenceUpdate {
    fn from(presence: presence_client::PresenceUpdate) -> Self {
        Self {
            uid: presence.uid.to_string(),
            status: presence.status.into(),
            cause: presence.cause.map(Into::into),
            version: presence.version,
            since_ms: signed_millis(presence.since),
            message: presence.message,
            revoked: presence.revoked,
        }
    }
}

impl TryFrom<PresenceUpdate> for presence_client::PresenceUpdate {
    type Error = PresenceError;

    fn try_from(presence: PresenceUpdate) -> Result<Self, PresenceError> {
        Ok(Self {
            uid: parse_id(&presence.uid, "uid")?,
            status: presence.status.into(),
            cause: presence.cause.map(Into::into),
            version: presence.version,
            since: UnixMillis::new(u64::try_from(presence.since_ms).unwrap_or(0)),
            message: presence.message,
            revoked: presence.revoked,
        })
    }
}

/// Returns a time as signed milliseconds, since Kotlin and Swift use signed integers.
pub(crate) fn signed_millis(time: UnixMillis) -> i64 {
    i64::try_from(time.get()).unwrap_or(i64::MAX)
}

/// Parses an id. `name` is the name of the argument, for the error.
pub(crate) fn parse_id<Id: std::str::FromStr>(text: &str, name: &str) -> Result<Id, PresenceError> {
    text.parse().map_err(|_| PresenceError::invalid_argument(format!("{name} is not a valid id")))
}

/// Parses several ids. `name` is the name of the argument, for the error.
pub(crate) fn parse_ids<Id: std::str::FromStr>(
    texts: &[String],
    name: &str,
) -> Result<Vec<Id>, PresenceError> {
    texts.iter().map(|text| parse_id(text, name)).collect()
}

/// Parses a status text. An empty text is no text.
pub(crate) fn parse_status_text(text: Option<String>) -> Result<Option<StatusText>, PresenceError> {
    text.filter(|text| !text.is_empty()).map(StatusText::try_from).transpose().map_err(|error| {
        PresenceError::invalid_argument(format!("the status text must be {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_presence_update_is_converted_back_unchanged() {
        let update = presence_client::PresenceUpdate {
            uid: presence_client::Puid::from_bits(7),
            status: Status::Unknown("asleep".to_owned()),
            cause: Some(OfflineCause::Unknown("vanished".to_owned())),
            version: u64::MAX,
            since: UnixMillis::new(1_700_000_000_000),
            message: Some("at lunch\n".repeat(100)),
            revoked: false,
        };
        let exported = PresenceUpdate::from(update.clone());
        assert_eq!(exported.try_into(), Ok(update));
    }

    #[test]
    fn an_empty_status_text_is_none_and_an_invalid_one_is_refused() {
        assert_eq!(parse_status_text(Some(String::new())), Ok(None));
        let refused = parse_status_text(Some("a\nb".to_owned()));
        assert!(matches!(refused, Err(PresenceError::InvalidArgument { .. })), "{refused:?}");
    }
}
