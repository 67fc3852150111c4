//! The command `listen`: the back end of an Application, which receives presence.

use std::path::PathBuf;

use clap::Args;
use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};
use presence_protocol::AppId;
use presence_protocol::app::SUBPROTOCOL;
use secrecy::ExposeSecret as _;
use url::form_urlencoded::Serializer;

use super::channel;
use super::connection::{self, ServerArgument};
use crate::cli::output::{CommandError, usage_error};
use crate::settings::client_secret;

/// The environment variable of the API key.
const API_KEY: &str = "PRESENCE_API_KEY";

/// The arguments of the command `listen`.
#[derive(Debug, Args)]
pub(crate) struct ListenArguments {
    #[command(flatten)]
    server: ServerArgument,
    /// The id of the Application. Without it the key says which one it is.
    #[arg(long, env = "PRESENCE_APPID", value_name = "ID")]
    appid: Option<AppId>,
    /// The file with the API key. It can be in `PRESENCE_API_KEY` instead, and is no argument,
    /// since all users of a machine can read arguments.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Continues after the frame with this cursor.
    #[arg(long)]
    cursor: Option<String>,
    /// Receives receipts of notifications too.
    #[arg(long)]
    receipts: bool,
}

/// Opens the channel, and follows it.
pub(super) async fn run(arguments: ListenArguments) -> Result<(), CommandError> {
    let ListenArguments { server, appid, key_file, cursor, receipts } = arguments;
    let key = client_secret(key_file.as_deref(), API_KEY).map_err(usage_error)?;
    let key =
        key.ok_or_else(|| usage_error(format!("give an API key in --key-file or {API_KEY}")))?;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()));
    let mut bearer = bearer.map_err(|_| usage_error("the API key has characters of no key"))?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    let path = path(appid, cursor.as_deref(), receipts);
    let socket = connection::open(&server.address, &path, headers).await?;
    channel::follow(socket, None, None, |_| Err(String::new())).await
}

/// Returns the path of the channel with its query.
fn path(appid: Option<AppId>, cursor: Option<&str>, receipts: bool) -> String {
    let appid = appid.map(|appid| appid.to_string()).unwrap_or_default();
    let mut query = Serializer::new(String::new());
    query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
    query.extend_pairs(receipts.then_some(("receipts", "true")));
    let query = query.finish();
    if query.is_empty() { format!("myapps/{appid}") } else { format!("myapps/{appid}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_has_what_is_asked_for() {
        let appid: AppId = "0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(path(None, None, false), "myapps/");
        assert_eq!(path(Some(appid), None, false), format!("myapps/{appid}"));
        assert_eq!(path(None, Some("a b"), true), "myapps/?cursor=a+b&receipts=true");
    }
}
