//! A chat room: the back end of an Application with a web page.
//!
//! The page shows which members can be reached even though they have closed the page, and a member
//! can ping them. Everything is kept in memory, because the example is about presence.

mod chat_room;
mod grant;
mod html;
mod pages;
mod presence;
mod updates;

use std::error::Error;
use std::sync::Arc;

use poem::Server;
use poem::listener::{Listener, TcpListener};
use presence_client::{AppServiceChannel, AppServiceOptions, PresenceApi};
use presence_examples::{development, settings};

use crate::chat_room::ChatRoom;
use crate::pages::Site;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "prints the URL of the page")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, listen) = (settings::server()?, settings::chatroom_address()?);
    let api = PresenceApi::new(server.clone())?;
    let (appid, api_key) = development::application(&api, "Chat room", listen).await?;

    let mut options = AppServiceOptions::new(server.clone(), appid, api_key);
    options.receipts = true;
    let (channel, events) = AppServiceChannel::open(options)?;
    let room = Arc::new(ChatRoom::new());

    let acceptor = TcpListener::bind(listen).into_acceptor().await?;
    let url = format!("http://{}", development::address(&acceptor)?);
    println!("The chat room is at {url}/");
    println!("A phone of a member: cargo run -p presence-examples --bin device alice");
    let site = Site { room: Arc::clone(&room), channel: channel.clone(), server, appid, url };
    tokio::select! {
        reason = presence::apply_events(events, &room) => Err(reason.into()),
        result = Server::new_with_acceptor(acceptor).run(pages::routes(site)) => Ok(result?),
        _ = tokio::signal::ctrl_c() => {
            channel.close().await;
            Ok(())
        }
    }
}
