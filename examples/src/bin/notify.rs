//! The way of a notification, from the back end's side: send it, and receive what became of it.
//!
//! `notify NAME MESSAGE [ACTION]` sends to `NAME@dev.localhost`, who lets this Application see them first. Start `device NAME` to take it; until
//! then it waits.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::time::Duration;

use presence_client::{
    AppServiceChannel, AppServiceEvent, AppServiceOptions, NewNotification, PresenceApi,
};
use presence_examples::development::{self, ANY_PORT};
use presence_examples::settings;

/// How long it may wait for a device. Nobody wants to be asked to lunch in the evening.
const WORTH: Duration = Duration::from_hours(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(name), Some(message)) = (words.next(), words.next()) else {
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
    notification.action = words.next().unwrap_or_default();
    notification.ttl = Some(WORTH);
    // From here on it is safe: it is on the server's disk.
    let queued = channel.notify_one(notification).await?;
    println!("queued as {}, {} waiting", queued.id, queued.queue_size);

    while let Some(event) = events.next().await {
        let AppServiceEvent::Receipts(news) = event else { continue };
        if let Some(receipt) = news.receipts.iter().find(|receipt| receipt.id == queued.id) {
            println!("{:?}", receipt.state);
            break;
        }
    }
    channel.close().await;
    Ok(())
}
