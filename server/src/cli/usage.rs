//! The errors of the command line, each in one line.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::settings::ADDRESS;

/// The words of the parser for a value that cannot be read, and what to write instead.
const PARSER_PROBLEMS: [(&str, &str); 5] = [
    ("invalid socket address syntax", ADDRESS),
    ("invalid float literal", NUMBER),
    ("cannot parse float from empty string", NUMBER),
    ("invalid digit found in string", WHOLE_NUMBER),
    ("cannot parse integer from empty string", WHOLE_NUMBER),
];
const NUMBER: &str = "a number such as 2.5";
const WHOLE_NUMBER: &str = "a whole number, such as 5";

/// Describes wrong arguments in one line, with what could be meant instead of a wrong one.
pub(super) fn describe(
    error: &clap::Error,
    arguments: &[OsString],
    definition: &Command,
) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let mut line = line.strip_prefix("error: ").unwrap_or(line).to_owned();
    for (problem, form) in PARSER_PROBLEMS {
        line = line.replace(problem, &format!("write {form}"));
    }
    let suggestion =
        suggestion(error).or_else(|| flag_with_one_hyphen(error, arguments, definition));
    let choice = choice(error, definition, suggestion.is_some())
        .map(|choice| format!("; {choice}"))
        .unwrap_or_default();
    let suggestion = suggestion.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    format!("{line}{suggestion}{choice} (try --help)")
}

/// Returns the first suggestion of the parser.
fn suggestion(error: &clap::Error) -> Option<String> {
    const KINDS: [ContextKind; 3] =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let value = KINDS.iter().find_map(|kind| error.get(*kind))?;
    if let ContextValue::String(name) = value {
        return Some(name.clone());
    }
    if let ContextValue::Strings(names) = value {
        return names.first().cloned();
    }
    None
}

/// Returns the flag that was written with one hyphen, which the parser reads as single letters.
fn flag_with_one_hyphen(
    error: &clap::Error,
    arguments: &[OsString],
    definition: &Command,
) -> Option<String> {
    let Some(ContextValue::String(letter)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let all = definition.get_subcommands().flat_map(Command::get_arguments);
    let known: Vec<&str> =
        all.chain(definition.get_arguments()).filter_map(clap::Arg::get_long).collect();
    let given = arguments.iter().filter_map(|argument| argument.to_str());
    let mut names = given.filter(|argument| argument.starts_with(letter.as_str())).map(|given| {
        let name = given.trim_start_matches('-');
        name.split_once('=').map_or(name, |(name, _)| name)
    });
    let name = names.find(|name| known.contains(name))?;
    Some(format!("--{name}"))
}

/// Returns the values to choose from, or the commands if none of them is suggested.
fn choice(error: &clap::Error, definition: &Command, is_suggested: bool) -> Option<String> {
    if error.kind() == ErrorKind::InvalidSubcommand && !is_suggested {
        let commands = definition.get_subcommands().map(Command::get_name);
        return Some(format!("the commands are {}", commands.collect::<Vec<_>>().join(", ")));
    }
    let Some(ContextValue::Strings(values)) = error.get(ContextKind::ValidValue) else {
        return None;
    };
    (!values.is_empty()).then(|| format!("write one of {}", values.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;

    fn described(arguments: &[&str]) -> String {
        let all: Vec<OsString> =
            ["presence-server"].iter().chain(arguments).map(OsString::from).collect();
        let error = Cli::definition().try_get_matches_from(&all).unwrap_err();
        describe(&error, &all, &Cli::definition())
    }

    #[test]
    fn a_wrong_argument_is_described_with_what_to_write() {
        for (arguments, expected) in [
            (&["-dev"][..], "did you mean --dev?"),
            (&["-listen=127.0.0.1:1"], "did you mean --listen?"),
            (&["device", "-email", "alice@dev.localhost"], "did you mean --email?"),
            (&["help", "nope"], "; the commands are serve, openapi, "),
            (&["xyzzy"], "; the commands are serve, openapi, "),
            (&["device", "--status=busy"], "; write one of online, unavailable, offline (try"),
            (&["--log-format=text"], "; write one of pretty, json (try --help)"),
            (&["--log-format=jsn"], "did you mean json?; write one of pretty, json"),
            (&["--browserid-discovery=x"], "; write one of off, allow-listed, open"),
            (&["--dev=yes"], "; write one of true, false"),
            (&["--grace-seconds=ten"], "'--grace-seconds <GRACE_SECONDS>': write a number such as"),
            (&["--status-burst=x"], "'--status-burst <STATUS_BURST>': write a whole number, such"),
            (&["--commit-group", "-1"], "write a whole number, such"),
            (
                &["--listen=localhost:80"],
                "'--listen <LISTEN>': write an IP address and port such as",
            ),
            (
                &["--oidc-issuers=[{name}]"],
                "must be a JSON list of issuers with the fields of SIGN",
            ),
        ] {
            let line = described(arguments);
            assert!(line.contains(expected), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn a_negative_number_is_a_value() {
        let arguments = ["presence-server", "--grace-seconds", "-1"];
        assert!(Cli::definition().try_get_matches_from(arguments).is_ok());
    }
}
