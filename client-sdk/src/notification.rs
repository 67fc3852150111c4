//! Live notifications to be sent, on the channel and over REST.

use std::time::Duration;

use presence_protocol::Puid;
use presence_protocol::app::NotifyItem;
use presence_protocol::limits::TTL_SECONDS;

/// A live notification to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// To whom.
    pub uid: Puid,
    /// The text, at most 512 characters.
    pub message: String,
    /// Empty, or the URL to open: `https`, or an app link of a scheme that the operator of the server allows. At most 512
    /// characters.
    pub action: String,
    /// How long it may wait, at most 30 days, which is what `None` means. Parts of a second count as a whole one; nothing means
    /// "only if a device is connected now".
    pub ttl: Option<Duration>,
    /// Once this one is queued, another of the same key for the same user within 24 hours is answered as this one was, and not
    /// queued again. At most 128 characters. Where it is `None`, one is made up for each time that it is sent, so that nothing is
    /// queued twice by the SDK's own doing.
    pub idempotency_key: Option<String>,
}

impl NewNotification {
    /// A text for somebody, with nothing to open, which may wait as long as possible.
    pub fn new(uid: Puid, message: impl Into<String>) -> Self {
        let (message, action) = (message.into(), String::new());
        Self { uid, message, action, ttl: None, idempotency_key: None }
    }

    /// As it is sent, with an idempotency key in any case.
    pub(crate) fn into_item(self) -> NotifyItem {
        NotifyItem {
            uid: self.uid,
            message: self.message,
            action: self.action,
            ttl: self.ttl.map_or(TTL_SECONDS, whole_seconds),
            idempotency_key: Some(self.idempotency_key.unwrap_or_else(made_up_key)),
        }
    }
}

/// Rounded up, since nothing at all means something else.
fn whole_seconds(ttl: Duration) -> u32 {
    let part = u64::from(ttl.subsec_nanos() > 0);
    u32::try_from(ttl.as_secs().saturating_add(part)).unwrap_or(u32::MAX)
}

fn made_up_key() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(ttl: Option<Duration>) -> NotifyItem {
        NewNotification { ttl, ..NewNotification::new(Puid::from_bits(1), "Hello") }.into_item()
    }

    #[test]
    fn a_part_of_a_second_is_not_nothing() {
        for (ttl, seconds) in [
            (None, TTL_SECONDS),
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
    fn every_notification_is_sent_with_a_key_of_its_own() {
        let (first, second) = (item(None).idempotency_key, item(None).idempotency_key);
        assert!(first.is_some() && first != second);
        let given = NewNotification {
            idempotency_key: Some("mine".to_owned()),
            ..NewNotification::new(Puid::from_bits(1), "Hello")
        };
        assert_eq!(given.into_item().idempotency_key.as_deref(), Some("mine"));
    }
}
