//! The format of the log in arguments that may be wrong, so that the reason is written in it.

use std::ffi::OsString;

use clap::Command;

use crate::settings::{Flags, LogFormat, Settings};

const FLAG: &str = "--log-format";
const JSON: &str = "json";
/// The command that is the server itself.
const SERVE: &str = "serve";

/// Returns true if the arguments, or else the environment, ask for JSON, and name no other command
/// than the server: the lines of other commands are for a person.
pub(super) fn is_json(arguments: &[OsString], definition: &Command) -> bool {
    let arguments: Vec<&str> = arguments.iter().filter_map(|text| text.to_str()).collect();
    let is_command = |name: &str| arguments.contains(&name);
    let mut commands = definition.get_subcommands().map(Command::get_name);
    if commands.any(|name| name != SERVE && is_command(name)) {
        return false;
    }
    let flag = arguments.iter().enumerate().rev().find_map(|(place, argument)| {
        let rest = argument.strip_prefix(FLAG)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None => arguments.get(place + 1).copied().filter(|_| rest.is_empty()),
        }
    });
    match flag {
        Some(format) => format == JSON,
        None => Settings::log_format(&Flags::default(), None) == Some(LogFormat::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;

    #[test]
    fn json_is_found_in_arguments_that_are_wrong() {
        let is_json = |text: &str| {
            let arguments: Vec<OsString> = text.split(' ').map(OsString::from).collect();
            is_json(&arguments, &Cli::definition())
        };
        assert!(is_json("presence-server --log-format json --no-such-flag"));
        assert!(is_json("presence-server serv --log-format=json"));
        assert!(!is_json("presence-server --log-format=pretty serv"));
        assert!(!is_json("presence-server --log-formats json"));
        assert!(!is_json("presence-server --log-format"));
        assert!(is_json("presence-server serve --log-format=json --no-such-flag"));
        assert!(!is_json("presence-server check --log-format=json --no-such-flag"));
    }
}
