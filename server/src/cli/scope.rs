//! The commands that use no settings of the server: their help does not list them, and they refuse
//! them, so that none is given in vain.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::settings::Settings;

/// The commands without settings.
const WITHOUT_SETTINGS: [&str; 8] =
    ["admin-token", "completions", "device", "init", "listen", "man", "openapi", "prove-domain"];
/// The end of the help of these commands.
const NOTE: &str =
    "The settings of the server have no effect here; presence-server --help lists them.";

/// Hides the settings from the help of the commands that use none.
pub(super) fn limit(definition: Command) -> Command {
    let global = definition.get_arguments().filter(|argument| argument.is_global_set());
    let hidden: Vec<_> = global.map(|argument| argument.clone().hide(true)).collect();
    definition.mut_subcommands(|command| {
        if WITHOUT_SETTINGS.contains(&command.get_name()) {
            command.args(hidden.clone()).after_help(NOTE)
        } else {
            command
        }
    })
}

/// Refuses a setting of a command that uses none.
pub(super) fn check(matches: &ArgMatches, definition: &Command) -> Result<(), clap::Error> {
    let Some(command) = matches.subcommand_name() else { return Ok(()) };
    let is_given = |name: &&&str| matches.value_source(name) == Some(ValueSource::CommandLine);
    let given = Settings::NAMES.iter().find(is_given);
    let Some(name) = given.filter(|_| WITHOUT_SETTINGS.contains(&command)) else { return Ok(()) };
    let flag = name.replace('_', "-");
    let text = format!("--{flag} is a setting of the server, and {command} uses none");
    Err(definition.clone().error(ErrorKind::ArgumentConflict, text))
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;

    fn limited() -> Command {
        limit(Cli::definition())
    }

    fn help_of(command: &str) -> String {
        let arguments = ["presence-server", "help", command];
        limited().try_get_matches_from(arguments).unwrap_err().render().to_string()
    }

    #[test]
    fn a_command_without_settings_shows_its_own_options_only() {
        for command in WITHOUT_SETTINGS {
            let help = help_of(command);
            assert!(help.contains(NOTE) && help.lines().count() < 60, "{command}: {help}");
            assert!(!help.contains("--grace-seconds"), "{command}: {help}");
        }
        assert!(help_of("device").contains("--status"));
        assert!(help_of("check").contains("--grace-seconds"));
    }

    #[test]
    fn a_setting_that_a_command_does_not_use_is_refused() {
        let checked = |arguments: &[&str]| {
            let all = [&["presence-server"], arguments].concat();
            limited().try_get_matches_from(all).and_then(|matches| check(&matches, &limited()))
        };
        for arguments in [
            &["listen", "--listen=127.0.0.1:1"][..],
            &["--listen=127.0.0.1:1", "listen"],
            &["prove-domain", "--key=x", "--domain-http=true"],
            &["openapi", "--dev"],
        ] {
            let error = checked(arguments).unwrap_err().to_string();
            assert!(error.contains("is a setting of the server, and"), "{error}");
        }
        for arguments in [&["listen"][..], &["check", "--dev"], &["--dev"], &["man"]] {
            assert!(checked(arguments).is_ok(), "{arguments:?}");
        }
    }
}
