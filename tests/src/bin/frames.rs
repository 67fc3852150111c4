//! The subset of `websocat` that the walkthrough in the README uses: `-n [--protocol P] [-H HEADER]
//! URL`. Each line of standard input is sent as a frame, each received frame is printed as a line,
//! and the end of the input does not close the socket.
#![expect(clippy::print_stdout, reason = "the program prints frames")]

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, Request};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let request = request(std::env::args().skip(1))?;
    let address = request.uri().authority().ok_or("the URL has no host")?.as_str().to_owned();
    let (mut socket, _) = client_async(request, TcpStream::connect(address).await?).await?;
    let (typed, mut lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    });
    loop {
        tokio::select! {
            Some(line) = lines.recv() => socket.send(Message::text(line)).await?,
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => println!("{text}"),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}

fn request(mut words: impl Iterator<Item = String>) -> Result<Request<()>, Box<dyn Error>> {
    let mut headers = Vec::new();
    let mut url = None;
    while let Some(word) = words.next() {
        match word.as_str() {
            "-n" => {}
            "--protocol" => {
                let value = words.next().ok_or("--protocol needs a value")?;
                headers.push(("sec-websocket-protocol".to_owned(), value));
            }
            "-H" => {
                let header = words.next().ok_or("-H needs a value")?;
                let (name, value) = header.split_once(':').ok_or("a header has a colon")?;
                headers.push((name.to_lowercase(), value.trim().to_owned()));
            }
            _ => url = Some(word),
        }
    }
    let mut request = url.ok_or("no URL")?.into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    Ok(request)
}
