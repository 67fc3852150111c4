//! Statuses, as an app says and hears them.

use presence_client::{PresenceUpdate, Status, StatusText, UnixMillis};

use crate::error::PresenceError;

/// How well a user can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum PresenceStatus {
    /// Can be reached.
    Online,
    /// Can be reached, and would rather not be.
    Unavailable,
    /// Cannot be reached, or does not want to be seen.
    Offline,
}

impl From<PresenceStatus> for Status {
    fn from(status: PresenceStatus) -> Self {
        match status {
            PresenceStatus::Online => Self::Online,
            PresenceStatus::Unavailable => Self::Unavailable,
            PresenceStatus::Offline => Self::Offline,
        }
    }
}

impl From<Status> for PresenceStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Online => Self::Online,
            Status::Unavailable => Self::Unavailable,
            Status::Offline => Self::Offline,
        }
    }
}

/// What an Application knows of one user.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct UserPresence {
    /// The user's name for this Application, its PUID.
    pub uid: String,
    /// The merged status over all devices that this Application may see.
    pub status: PresenceStatus,
    /// Grows with every change of this user.
    pub version: u64,
    /// When it changed: milliseconds since 1970 UTC, in whole seconds.
    pub since_ms: i64,
    /// The status text.
    pub message: Option<String>,
    /// The user revoked the grant: this PUID is dead.
    pub revoked: bool,
}

impl From<PresenceUpdate> for UserPresence {
    fn from(presence: PresenceUpdate) -> Self {
        Self {
            uid: presence.uid.to_string(),
            status: presence.status.into(),
            version: presence.version,
            since_ms: milliseconds(presence.since.get()),
            message: presence.message.map(String::from),
            revoked: presence.revoked,
        }
    }
}

impl TryFrom<UserPresence> for PresenceUpdate {
    type Error = PresenceError;

    fn try_from(presence: UserPresence) -> Result<Self, PresenceError> {
        Ok(Self {
            uid: id(&presence.uid, "uid")?,
            status: presence.status.into(),
            version: presence.version,
            since: UnixMillis::new(u64::try_from(presence.since_ms).unwrap_or(0)),
            message: status_text(presence.message)?,
            revoked: presence.revoked,
        })
    }
}

/// Both languages want their times signed.
pub(crate) fn milliseconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// Reads an id out of an app's text.
pub(crate) fn id<Id: std::str::FromStr>(text: &str, what: &str) -> Result<Id, PresenceError> {
    text.parse().map_err(|_| PresenceError::argument(format!("{what} is not an id of this kind")))
}

pub(crate) fn ids<Id: std::str::FromStr>(
    texts: &[String],
    what: &str,
) -> Result<Vec<Id>, PresenceError> {
    texts.iter().map(|text| id(text, what)).collect()
}

/// Reads a status text; an empty one is none.
pub(crate) fn status_text(text: Option<String>) -> Result<Option<StatusText>, PresenceError> {
    text.filter(|text| !text.is_empty())
        .map(StatusText::try_from)
        .transpose()
        .map_err(|error| PresenceError::argument(format!("the status text must be {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_survives_the_way_to_the_app_and_back() {
        let presence = PresenceUpdate {
            uid: presence_client::Puid::from_bits(7),
            status: Status::Unavailable,
            version: u64::MAX,
            since: UnixMillis::new(1_700_000_000_000),
            message: Some(StatusText::try_from("at lunch").unwrap()),
            revoked: false,
        };
        let exported = UserPresence::from(presence.clone());
        assert_eq!(PresenceUpdate::try_from(exported), Ok(presence));
    }

    #[test]
    fn an_empty_status_text_is_none_and_a_bad_one_is_refused() {
        assert_eq!(status_text(Some(String::new())), Ok(None));
        let refused = status_text(Some("a\nb".to_owned()));
        assert!(matches!(refused, Err(PresenceError::InvalidArgument { .. })), "{refused:?}");
    }
}
