//! The notifications that an AppService sends, on its channel and over REST.

use std::time::Duration;

use presence_protocol::Puid;
use presence_protocol::app::NotifyItem;
use presence_protocol::limits::MAX_TTL_SECONDS;

/// A notification to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// The user.
    pub uid: Puid,
    /// The sender, at most 200 characters, such as the name or e-mail address of a user of the
    /// Application. If it is empty, devices show the name of the Application.
    pub source: String,
    /// The text, at most 512 characters: one line, without invisible characters.
    pub message: String,
    /// The URL to open, or empty. The URL is `https`, or an app link whose scheme the operator of
    /// the server allows. At most 512 characters.
    pub action: String,
    /// The time for which the notification may wait, at most 30 days; `None` means 30 days. A
    /// fraction of a second is rounded up. Zero means that it is dropped unless a device is
    /// connected now.
    pub ttl: Option<Duration>,
    /// The idempotency key, 1 to 128 characters; by default random. A further notification with the
    /// same key for the same user within 24 hours gets the same result, and is not queued again. So
    /// a call that failed can be repeated with the same notification or a clone of it.
    pub idempotency_key: String,
}

impl NewNotification {
    /// Returns a notification without a source and a URL that may wait for the maximum time, with a
    /// random idempotency key.
    pub fn new(uid: Puid, message: impl Into<String>) -> Self {
        let (source, message, action) = (String::new(), message.into(), String::new());
        let idempotency_key = random_idempotency_key();
        Self { uid, source, message, action, ttl: None, idempotency_key }
    }

    /// Returns the item of a frame.
    pub(crate) fn into_item(self) -> NotifyItem {
        NotifyItem {
            uid: self.uid,
            source: self.source,
            message: self.message,
            action: self.action,
            ttl: self.ttl.map_or(MAX_TTL_SECONDS, seconds_rounded_up),
            idempotency_key: Some(self.idempotency_key),
        }
    }
}

/// Returns the seconds, rounded up, because zero has a special meaning.
fn seconds_rounded_up(ttl: Duration) -> u32 {
    let fraction = u64::from(ttl.subsec_nanos() > 0);
    u32::try_from(ttl.as_secs().saturating_add(fraction)).unwrap_or(u32::MAX)
}

fn random_idempotency_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(ttl: Option<Duration>) -> NotifyItem {
        NewNotification { ttl, ..NewNotification::new(Puid::from_bits(1), "Hello") }.into_item()
    }

    #[test]
    fn a_part_of_a_second_is_rounded_up() {
        for (ttl, seconds) in [
            (None, MAX_TTL_SECONDS),
            (Some(Duration::ZERO), 0),
            (Some(Duration::from_millis(1)), 1),
            (Some(Duration::from_mins(1)), 60),
            (Some(Duration::from_millis(60_001)), 61),
            (Some(Duration::MAX), u32::MAX),
        ] {
            assert_eq!(item(ttl).ttl, seconds, "{ttl:?}");
        }
    }

    #[test]
    fn every_notification_has_its_own_idempotency_key() {
        let (first, second) = (item(None).idempotency_key, item(None).idempotency_key);
        assert!(first.is_some() && first != second);
        let made_once = NewNotification::new(Puid::from_bits(1), "Hello");
        assert_eq!(made_once.clone().into_item(), made_once.into_item());
        let given = NewNotification {
            idempotency_key: "mine".to_owned(),
            ..NewNotification::new(Puid::from_bits(1), "Hello")
        };
        assert_eq!(given.into_item().idempotency_key.as_deref(), Some("mine"));
    }
}
