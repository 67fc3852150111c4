//! A device: reports a status, and prints and acknowledges notifications.
//!
//! `device NAME [APPID]` is a device of `NAME@dev.localhost`, who first grants the Application, if
//! there is one. Enter a status and an optional text, such as `unavailable in a meeting`. The end
//! of the input closes the channel, and Applications see the user offline at once. After Ctrl-C
//! they see it after a grace time.
#![expect(clippy::print_stdout, reason = "the program prints its results")]

use std::error::Error;
use std::sync::Arc;

use presence_client::{
    AppId, DeviceChannel, DeviceEvent, DeviceOptions, PresenceApi, Status, StatusText,
};
use presence_examples::{development, settings};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("usage: device NAME [APPID]")?;
    let email = format!("{name}@dev.localhost");
    let server = settings::server()?;
    let api = PresenceApi::new(server.clone())?;
    if let Some(appid) = arguments.next() {
        let appid: AppId = appid.parse()?;
        println!("{appid} can see {name} as {}", development::grant(&api, &email, appid).await?);
    }

    let mut options = DeviceOptions::new(server, "example".parse()?);
    options.credential_provider = Some(Arc::new(development::assertions(api, email)));
    let (device, mut events) = DeviceChannel::open(options)?;
    let mut input = input_lines();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(DeviceEvent::State(state)) => println!("{state:?}"),
                Some(DeviceEvent::Notification(notification)) => {
                    let (from, domain) = (&notification.source, &notification.domain);
                    println!("{from} ({domain}): {} {}", notification.message, notification.action);
                    // The acknowledgement comes last: after a crash the server delivers again.
                    device.acknowledge(notification.id);
                }
                Some(_) => {}
                None => return Ok(()),
            },
            line = input.recv() => {
                let Some(line) = line else {
                    device.close().await;
                    return Ok(());
                };
                match parse_status(&line) {
                    // It is sent now, or after the next reconnect.
                    Ok((status, text)) => device.set_status(status, text),
                    Err(error) => println!("{error}"),
                }
            }
        }
    }
}

/// Parses a status and an optional text.
fn parse_status(line: &str) -> Result<(Status, Option<StatusText>), Box<dyn Error>> {
    let (status, text) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let status = match status {
        "online" => Status::Online,
        "unavailable" => Status::Unavailable,
        "offline" => Status::Offline,
        _ => return Err("enter online, unavailable or offline, and an optional text".into()),
    };
    let text = Some(text.trim()).filter(|text| !text.is_empty()).map(StatusText::try_from);
    Ok((status, text.transpose()?))
}

/// Returns the lines of the standard input. A thread reads them, because reading blocks.
fn input_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
