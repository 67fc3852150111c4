//! The room's side of presence: what it hears, and the ping that it sends.

use std::time::Duration;

use presence_client::{
    AppServiceChannel, AppServiceEvents, Error, NewNotification, QueuedNotification,
};

use crate::room::{Ping, Room};

/// A ping that nobody took by then is not worth taking.
const WORTH: Duration = Duration::from_hours(12);

/// Tells the room all that happens, until the channel ends for good; gives the reason.
pub(crate) async fn follow(mut events: AppServiceEvents, room: &Room) -> String {
    let mut last = None;
    while let Some(event) = events.next().await {
        last = room.hears(&event).or(last);
    }
    last.unwrap_or_else(|| "the channel has ended".to_owned())
}

/// Sends a ping that leads back to the room.
pub(crate) async fn ping(
    channel: &AppServiceChannel,
    Ping { from, uid, key }: Ping,
    room: &str,
) -> Result<QueuedNotification, Error> {
    let mut ping = NewNotification::new(uid, format!("{from} is in the room and pings you"));
    ping.action = format!("{room}/");
    ping.ttl = Some(WORTH);
    // Two of the same key, as after a double click, are one.
    ping.idempotency_key = Some(key);
    channel.notify_one(ping).await
}
