//! The command `device`: a phone or browser that reports the presence of its user.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use http::HeaderMap;
use presence_protocol::Status;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value};

use super::channel::{self, Lines};
use super::connection::{self, ServerArgument};
use super::development;
use crate::cli::output::{CommandError, usage_error};
use crate::settings::client_secret;

/// The environment variable of the assertion.
const ASSERTION: &str = "PRESENCE_ASSERTION";

/// The arguments of the command `device`.
#[derive(Debug, Args)]
pub(crate) struct DeviceArguments {
    #[command(flatten)]
    server: ServerArgument,
    /// The e-mail. Without an assertion, that of a user at dev.localhost: a server in development
    /// mode makes the assertion.
    #[arg(long)]
    email: Option<String>,
    /// The file with an assertion or ID token. It can be in `PRESENCE_ASSERTION` instead.
    #[arg(long, value_name = "FILE")]
    assertion_file: Option<PathBuf>,
    /// The name of the device. A later device of the user with the same name replaces this one.
    #[arg(long, default_value = "terminal")]
    name: String,
    /// The status to report.
    #[arg(long, value_parser = status_parser(), default_value = Status::Online.as_str())]
    status: Status,
    /// The text of the status.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    /// Reads further statuses from standard input, such as `unavailable in a meeting`. The end of
    /// the input ends the channel.
    #[arg(long)]
    stdin: bool,
}

fn status_parser() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(Status::ALL.map(Status::as_str)).try_map(|text| text.parse())
}

/// Opens the channel, and follows it.
pub(super) async fn run(arguments: DeviceArguments) -> Result<(), CommandError> {
    let DeviceArguments { server, email, assertion_file, name, status, message, stdin } = arguments;
    let server = server.address;
    let given = client_secret(assertion_file.as_deref(), ASSERTION).map_err(usage_error)?;
    let assertion = match (given, &email) {
        (Some(assertion), _) => assertion,
        (None, Some(email)) => development::assertion(&server, email, None).await?,
        (None, None) => {
            return Err(usage_error(format!(
                "give --email alice@dev.localhost for a server in development mode, or an \
                 assertion in --assertion-file or {ASSERTION}"
            )));
        }
    };
    let mut frame = status_frame(status, message.as_deref());
    frame.insert("device".to_owned(), name.into());
    frame.insert("assertion".to_owned(), assertion.expose_secret().into());
    if let Some(email) = email {
        frame.insert("email".to_owned(), email.into());
    }
    let socket = connection::open(&server, "presence", HeaderMap::new()).await?;
    let lines: Lines = if stdin { channel::standard_input()? } else { None };
    channel::follow(socket, Some(Value::Object(frame).to_string()), lines, frame_of_line).await
}

fn status_frame(status: Status, message: Option<&str>) -> Map<String, Value> {
    let mut frame = Map::new();
    frame.insert("status".to_owned(), status.as_str().into());
    if let Some(message) = message {
        frame.insert("message".to_owned(), message.into());
    }
    frame
}

/// Returns the frame of a line with a status and an optional text.
fn frame_of_line(line: &str) -> Result<String, String> {
    let (status, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let status: Status =
        status.parse().map_err(|error| format!("a line is a status and a text: {error}"))?;
    let text = Some(text.trim()).filter(|text| !text.is_empty());
    Ok(Value::Object(status_frame(status, text)).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_a_status_and_a_text() {
        let frame = |line: &str| serde_json::from_str::<Value>(&frame_of_line(line).unwrap());
        let meeting = json!({"status": "unavailable", "message": "in a meeting"});
        assert_eq!(frame("unavailable  in a meeting").unwrap(), meeting);
        assert_eq!(frame("offline").unwrap(), json!({"status": "offline"}));
        assert!(frame_of_line("asleep").is_err() && frame_of_line("").is_err());
    }
}
