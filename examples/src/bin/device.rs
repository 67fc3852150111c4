//! A device: reports a status, prints the notifications that come, and acknowledges them.
//!
//! `device NAME [APPID]` is a phone of `NAME@dev.localhost`, who lets the Application see them where one is named. Type a status, and
//! a text if you like (`unavailable in a meeting`). The end of the input says good-bye, and Applications see it at once; without a
//! good-bye (Ctrl-C) they see it after a grace time.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::error::Error;
use std::sync::Arc;

use presence_client::{
    AppId, DeviceChannel, DeviceEvent, DeviceOptions, PresenceApi, Status, StatusText,
};
use presence_examples::{development, settings};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let name = words.next().ok_or("usage: device NAME [APPID]")?;
    let email = format!("{name}@dev.localhost");
    let server = settings::server()?;
    let api = PresenceApi::new(server.clone())?;
    if let Some(appid) = words.next() {
        let appid: AppId = appid.parse()?;
        println!("{appid} knows {name} as {}", development::grant(&api, &email, appid).await?);
    }

    let mut options = DeviceOptions::new(server, "example".parse()?);
    options.credential_provider = Some(Arc::new(development::assertions(api, email)));
    let (device, mut events) = DeviceChannel::open(options)?;
    let mut typed = typed();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(DeviceEvent::State(state)) => println!("{state:?}"),
                Some(DeviceEvent::Notification(notification)) => {
                    println!("{}: {} {}", notification.source, notification.message, notification.action);
                    // Not before: what an app has not taken when it dies comes again.
                    device.acknowledge(notification.id);
                }
                Some(_) => {}
                None => return Ok(()),
            },
            line = typed.recv() => {
                let Some(line) = line else {
                    device.close().await;
                    return Ok(());
                };
                match wish(&line) {
                    // It is told now, or as soon as there is a connection again.
                    Ok((status, text)) => device.set_status(status, text),
                    Err(error) => println!("{error}"),
                }
            }
        }
    }
}

/// Reads a status and perhaps a text.
fn wish(line: &str) -> Result<(Status, Option<StatusText>), Box<dyn Error>> {
    let (status, text) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let status = match status {
        "online" => Status::Online,
        "unavailable" => Status::Unavailable,
        "offline" => Status::Offline,
        _ => return Err("online, unavailable or offline, and perhaps a text".into()),
    };
    let text = Some(text.trim()).filter(|text| !text.is_empty()).map(StatusText::try_from);
    Ok((status, text.transpose()?))
}

/// The lines of standard input, which only a thread can wait for.
fn typed() -> mpsc::Receiver<String> {
    let (read, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if read.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
