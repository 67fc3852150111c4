//! The format of the log in arguments that may be wrong, so that the reason is written in it.

use std::ffi::OsString;

use crate::settings::{Flags, LogFormat, Settings};

const FLAG: &str = "--log-format";
const JSON: &str = "json";

/// Returns true if the arguments, or else the environment, ask for JSON.
pub(super) fn is_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let arguments: Vec<String> = arguments.filter_map(|text| text.into_string().ok()).collect();
    let flag = arguments.iter().enumerate().rev().find_map(|(place, argument)| {
        let rest = argument.strip_prefix(FLAG)?;
        match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None => arguments.get(place + 1).map(String::as_str).filter(|_| rest.is_empty()),
        }
    });
    match flag {
        Some(format) => format == JSON,
        None => Settings::log_format(&Flags::default(), None) == Some(LogFormat::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_found_in_arguments_that_are_wrong() {
        let is_json = |text: &str| is_json(text.split(' ').map(OsString::from));
        assert!(is_json("presence-server --log-format json --no-such-flag"));
        assert!(is_json("presence-server serv --log-format=json"));
        assert!(!is_json("presence-server --log-format=pretty serv"));
        assert!(!is_json("presence-server --log-formats json"));
        assert!(!is_json("presence-server --log-format"));
    }
}
