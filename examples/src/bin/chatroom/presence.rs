//! The use of presence by the chat room: it applies the events of its channel, and sends pings.

use std::time::Duration;

use presence_client::{
    AppServiceChannel, AppServiceEvents, Error, NewNotification, QueuedNotification,
};

use crate::chat_room::{ChatRoom, Ping};

/// The time for which a ping waits for a device.
const PING_TTL: Duration = Duration::from_hours(12);

/// Applies all events to the chat room until the channel ends. Returns the reason for the end.
pub(crate) async fn apply_events(mut events: AppServiceEvents, room: &ChatRoom) -> String {
    let mut end = None;
    while let Some(event) = events.next().await {
        end = room.apply(&event).or(end);
    }
    end.unwrap_or_else(|| "the channel has ended".to_owned())
}

/// Sends a ping with a link to the chat room.
pub(crate) async fn send_ping(
    channel: &AppServiceChannel,
    Ping { from, uid, idempotency_key }: Ping,
    chatroom_url: &str,
) -> Result<QueuedNotification, Error> {
    let mut ping = NewNotification::new(uid, format!("{from} is in the chat room and pings you"));
    ping.action = format!("{chatroom_url}/");
    ping.ttl = Some(PING_TTL);
    // A double click sends two pings with the same key, of which the server queues one.
    ping.idempotency_key = idempotency_key;
    channel.notify_one(ping).await
}
