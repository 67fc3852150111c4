//! The chat room: an Application's back end with a page that shows which members can be reached though they have not got it open, and
//! pings them.
//!
//! It keeps everything in memory, since what it shows is the way of presence through an Application, not how to keep a chat.

mod consent;
mod html;
mod live;
mod pages;
mod presence;
mod room;

use std::error::Error;
use std::sync::Arc;

use poem::Server;
use poem::listener::{Listener, TcpListener};
use presence_client::{AppServiceChannel, AppServiceOptions, PresenceApi};
use presence_examples::{development, settings};

use crate::pages::Site;
use crate::room::Room;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "says where the room is")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, listen) = (settings::server()?, settings::chatroom()?);
    let api = PresenceApi::new(server.clone())?;
    let (appid, api_key) = development::application(&api, "The room", listen).await?;

    let mut options = AppServiceOptions::new(server, appid, api_key);
    options.receipts = true;
    let (channel, events) = AppServiceChannel::open(options)?;
    let room = Arc::new(Room::new());

    let acceptor = TcpListener::bind(listen).into_acceptor().await?;
    let url = format!("http://{}", development::address(&acceptor)?);
    println!("The room is at {url}/");
    println!("Its members' phones: cargo run -p presence-examples --bin device alice");
    let site = Site { room: Arc::clone(&room), channel: channel.clone(), api, appid, url };
    tokio::select! {
        ended = presence::follow(events, &room) => Err(ended.into()),
        ended = Server::new_with_acceptor(acceptor).run(pages::routes(site)) => Ok(ended?),
        _ = tokio::signal::ctrl_c() => {
            channel.close().await;
            Ok(())
        }
    }
}
