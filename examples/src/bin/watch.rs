//! A back end that watches its users: prints who comes and who goes.
//!
//! `PRESENCE_APPID` and `PRESENCE_API_KEY` name the Application; without them a new one is registered with a development server.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;

use presence_client::{
    AppServiceChannel, AppServiceEvent, AppServiceOptions, PresenceApi, PresenceChange,
    PresenceMap, StatusText,
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
    // Connections come and go behind this; the map is mended by itself, and the changes are all that happened.
    while let Some(event) = events.next().await {
        if let AppServiceEvent::State(state) = &event {
            println!("{state:?}");
        }
        for change in users.apply(&event) {
            println!("{}", sentence(&change));
        }
    }
    Ok(())
}

fn sentence(change: &PresenceChange) -> String {
    let now = &change.now;
    if now.revoked {
        return format!("{} may not be seen any more", now.uid);
    }
    let text = now.message.as_ref().map(StatusText::as_str).unwrap_or_default();
    format!("{} is {:?} {text}", now.uid, now.status).trim_end().to_owned()
}
