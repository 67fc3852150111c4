//! A back end that watches its users and prints each change of their presence.
//!
//! `PRESENCE_APPID` and `PRESENCE_API_KEY` are the Application. Without them a new one is
//! registered, which needs a server in development mode.
#![expect(clippy::print_stdout, reason = "the program prints its results")]

use std::error::Error;

use presence_client::{
    AppServiceChannel, AppServiceEvent, AppServiceOptions, PresenceApi, PresenceChange, PresenceMap,
};
use presence_examples::development::{self, ANY_PORT};
use presence_examples::settings;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = settings::server()?;
    let api = PresenceApi::new(server.clone())?;
    let (appid, api_key) = development::application(&api, "Watch", ANY_PORT).await?;
    println!("the Application is {appid}");

    let options = AppServiceOptions::new(server, appid, api_key);
    let (_channel, mut events) = AppServiceChannel::open(options)?;
    let mut users = PresenceMap::new();
    // After a reconnect the map is corrected, and the corrections are changes too.
    while let Some(event) = events.next().await {
        if let AppServiceEvent::State(state) = &event {
            println!("{state:?}");
        }
        for change in users.apply(&event) {
            println!("{}", describe(&change));
        }
    }
    Ok(())
}

fn describe(change: &PresenceChange) -> String {
    let after = &change.after;
    if after.revoked {
        return format!("{} has revoked the grant", after.uid);
    }
    let text = match &after.cause {
        Some(cause) => format!("({cause})"),
        None => after.message.clone().unwrap_or_default(),
    };
    format!("{} is {:?} {text}", after.uid, after.status).trim_end().to_owned()
}
