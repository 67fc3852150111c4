//! A back end that sends a notification and waits for the receipt.
//!
//! `notify NAME MESSAGE [ACTION]` sends to `NAME@dev.localhost`, who first grants this Application.
//! The notification waits until `device NAME` is started.
#![expect(clippy::print_stdout, reason = "the program prints its results")]

use std::error::Error;
use std::time::Duration;

use presence_client::{
    AppServiceChannel, AppServiceEvent, AppServiceOptions, NewNotification, PresenceApi,
};
use presence_examples::development::{self, ANY_PORT};
use presence_examples::settings;

/// The time for which the notification waits for a device.
const TTL: Duration = Duration::from_hours(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(message)) = (arguments.next(), arguments.next()) else {
        return Err("usage: notify NAME MESSAGE [ACTION]".into());
    };
    let server = settings::server()?;
    let api = PresenceApi::new(server.clone())?;
    let (appid, api_key) = development::application(&api, "Notify", ANY_PORT).await?;
    let uid = development::grant(&api, &format!("{name}@dev.localhost"), appid).await?;

    let mut options = AppServiceOptions::new(server, appid, api_key);
    options.receipts = true;
    let (channel, mut events) = AppServiceChannel::open(options)?;
    let mut notification = NewNotification::new(uid, message);
    notification.action = arguments.next().unwrap_or_default();
    notification.ttl = Some(TTL);
    // The server replies after it has written the notification to its disk.
    let queued = channel.notify_one(notification).await?;
    println!("queued as {}, {} waiting", queued.id, queued.queue_size);
    println!("waiting for a device to take it, and for the receipt");
    println!("(held for up to 30 s after the Application began to see the user)");

    while let Some(event) = events.next().await {
        let AppServiceEvent::Receipts(event) = event else { continue };
        if let Some(receipt) = event.receipts.iter().find(|receipt| receipt.id == queued.id) {
            println!("{:?}", receipt.state);
            break;
        }
    }
    channel.close().await;
    Ok(())
}
