//! The connection of a client to a server: its address, calls, and the upgrade to a WebSocket.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, StatusCode};
use presence_protocol::ApiError;
use presence_protocol::error::RawReply;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Upgraded};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

use crate::cli::output::{CommandError, failure};
use crate::lifecycle::error::with_causes;
use crate::settings::values::is_loopback;

/// The time limit of an answer, with the connection before it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of bytes of an answer that is no upgrade.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// The maximum number of bytes of a frame.
const MAX_FRAME_BYTES: usize = 16 << 20;

/// An open WebSocket.
pub(super) type ClientSocket = WebSocketStream<Upgraded>;

/// The flag that names the server.
#[derive(Debug, Args)]
pub(super) struct ServerArgument {
    /// The URL of the server.
    #[arg(
        long = "server",
        env = "PRESENCE_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(super) address: ServerAddress,
}

/// The URL of a server, whose path ends with a slash.
#[derive(Debug, Clone)]
pub(crate) struct ServerAddress(Url);

impl FromStr for ServerAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let mut url = url.ok_or("write a URL such as https://presence.example.org")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL of a server has no user");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("a URL of a server has no query and no fragment");
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl ServerAddress {
    /// Returns the URL of a path that begins without a slash.
    fn join(&self, path: &str) -> Result<Url, CommandError> {
        self.0.join(path).map_err(|_| failure(format!("{path} is no path of a server")))
    }

    /// Returns the URL without the slash at its end.
    fn shown(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    fn client(&self) -> Result<Client, CommandError> {
        let mut builder = Client::builder().redirect(Policy::none());
        // A proxy of the environment does not reach the servers of this machine.
        if self.0.host().is_some_and(|host| is_loopback(&host)) {
            builder = builder.no_proxy();
        }
        // Without TLS there need not be any authorities on this machine.
        if self.0.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let unusable = |error| failure(format!("HTTP cannot be used: {}", with_causes(&error)));
        builder.build().map_err(unusable)
    }
}

/// Calls the REST API of a server with a body, and returns the JSON of a successful answer. `needs`
/// explains a server that does not have the call.
pub(super) async fn post(
    server: &ServerAddress,
    path: &str,
    body: &serde_json::Value,
    needs: &str,
) -> Result<serde_json::Value, CommandError> {
    let request = server.client()?.post(server.join(path)?);
    let request = request.header("content-type", "application/json").body(body.to_string());
    let response = send(server, request).await?;
    if response.status() == StatusCode::NOT_FOUND {
        return Err(failure(format!("{}: {needs}", server.shown())));
    }
    if !response.status().is_success() {
        return Err(refusal(server, response).await);
    }
    let text = read(response).await;
    serde_json::from_str(&text)
        .map_err(|_| failure(format!("{} answers with no JSON", server.shown())))
}

/// Opens a WebSocket.
///
/// # Errors
///
/// One line with the error of the server, or with the reason why none answers.
pub(super) async fn open(
    server: &ServerAddress,
    path: &str,
    headers: HeaderMap,
) -> Result<ClientSocket, CommandError> {
    let key = generate_key();
    let request = server
        .client()?
        .get(server.join(path)?)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &key)
        .headers(headers);
    let response = send(server, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(server, response).await);
    }
    let accept = response.headers().get(SEC_WEBSOCKET_ACCEPT).cloned();
    if accept.is_none_or(|accept| accept != derive_accept_key(key.as_bytes()).as_str()) {
        return Err(failure(format!("{} is no Presence server", server.shown())));
    }
    let stream = response.upgrade().await.map_err(|error| unreachable(server, error))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES));
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
}

/// Describes an error of the server in a line.
pub(super) fn describe(error: &ApiError) -> String {
    format!("errno {}: {}", error.errno.number(), error.text)
}

async fn send(server: &ServerAddress, request: RequestBuilder) -> Result<Response, CommandError> {
    let answered = timeout(ANSWER_TIMEOUT, request.send()).await;
    let seconds = ANSWER_TIMEOUT.as_secs();
    let late = |_| failure(format!("{} has not answered in {seconds} s", server.shown()));
    answered.map_err(late)?.map_err(|error| unreachable(server, error))
}

fn unreachable(server: &ServerAddress, error: reqwest::Error) -> CommandError {
    let causes = with_causes(&error.without_url());
    failure(format!("no server answers at {}: {causes}", server.shown()))
}

/// Returns the error in an answer, or its status if it is of another program.
async fn refusal(server: &ServerAddress, response: Response) -> CommandError {
    let (status, text) = (response.status(), read(response).await);
    let error = serde_json::from_str::<RawReply>(&text).ok().and_then(RawReply::into_error);
    let problem =
        error.map_or_else(|| format!("status {}", status.as_u16()), |error| describe(&error));
    failure(format!("{} refuses: {problem}", server.shown()))
}

/// Reads the body of an answer, within limits of time and size.
async fn read(mut response: Response) -> String {
    let mut bytes = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER_BYTES {
                return;
            }
        }
    };
    // A body that is not complete in time is no JSON.
    let _ = timeout(ANSWER_TIMEOUT, reading).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_url_of_the_server() {
        for (given, expected) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/presence"),
            ("https://presence.example.org/", "https://presence.example.org/presence"),
            ("https://example.org/below", "https://example.org/below/presence"),
        ] {
            let server: ServerAddress = given.parse().unwrap();
            assert!(server.join("presence").is_ok_and(|url| url.as_str() == expected), "{given}");
        }
    }

    #[test]
    fn a_url_that_is_none_of_a_server_is_refused() {
        for given in ["", "127.0.0.1:8080", "ftp://a.example", "http://", "http://a:b@c.example"] {
            assert!(given.parse::<ServerAddress>().is_err(), "{given}");
        }
        assert!("https://a.example/?b=c".parse::<ServerAddress>().is_err());
    }
}
