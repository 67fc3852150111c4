//! The settings, from environment variables. API keys are not arguments, because all users of a
//! machine can read arguments.

use std::error::Error;
use std::net::SocketAddr;

use presence_client::{AppId, SecretString, ServerUrl};

/// An Application that is registered and active.
pub type Application = (AppId, SecretString);

/// Returns `PRESENCE_SERVER`, by default `http://127.0.0.1:8080`.
///
/// # Errors
///
/// If it is not the URL of a server.
pub fn server() -> Result<ServerUrl, Box<dyn Error>> {
    Ok(read("PRESENCE_SERVER").as_deref().unwrap_or("http://127.0.0.1:8080").parse()?)
}

/// Returns `PRESENCE_APPID` and `PRESENCE_API_KEY`, if they are set.
///
/// # Errors
///
/// If the first is not a valid id, or one of them is missing.
pub fn application() -> Result<Option<Application>, Box<dyn Error>> {
    match (read("PRESENCE_APPID"), read("PRESENCE_API_KEY")) {
        (None, None) => Ok(None),
        (Some(appid), Some(api_key)) => Ok(Some((appid.parse()?, api_key.into()))),
        (Some(_), None) | (None, Some(_)) => {
            Err("PRESENCE_APPID and PRESENCE_API_KEY need each other: set both, or none".into())
        }
    }
}

/// Returns `CHATROOM_LISTEN`: the address of the chat room, by default `127.0.0.1:9090`.
///
/// # Errors
///
/// If it is not an address with a port.
pub fn chatroom_address() -> Result<SocketAddr, Box<dyn Error>> {
    Ok(read("CHATROOM_LISTEN").as_deref().unwrap_or("127.0.0.1:9090").parse()?)
}

#[expect(clippy::disallowed_methods, reason = "only this function reads the environment")]
fn read(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
