//! The flags of the settings as the command line needs them: with their defaults in the help, and
//! with negative numbers as values, which then have an error that names the setting.

use clap::Command;
use serde_json::Value;

use super::definition::Settings;

/// Adds the default of each setting to the help of its flag. The flags themselves have none, since
/// the environment and the file come before the default. Lets a number begin with a minus sign.
pub(crate) fn show_defaults(command: Command) -> Command {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    command.mut_args(|flag| {
        let default = defaults.get(flag.get_id().as_str());
        let flag = flag.allow_negative_numbers(default.is_some_and(Value::is_number));
        let Some(default) = default.and_then(shown) else { return flag };
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        flag.help(format!("{help} [default: {default}]"))
    })
}

/// Returns a default as a flag would give it, if there is one to show.
fn shown(default: &Value) -> Option<String> {
    match default {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => {
            let text = number.to_string();
            Some(text.strip_suffix(".0").map_or(text.clone(), str::to_owned))
        }
        Value::Bool(value) => Some(value.to_string()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::super::Flags;
    use super::*;

    #[test]
    fn the_help_has_the_groups_and_the_defaults_of_the_settings() {
        let command = show_defaults(Flags::augment_args(Command::new("server")));
        let mut names = Vec::new();
        for flag in command.get_arguments() {
            names.push(flag.get_id().as_str());
            assert!(flag.get_help_heading().is_some(), "{}", flag.get_id());
        }
        assert_eq!(names, Settings::NAMES);
        let help_of = |name: &str| {
            let mut flags = command.get_arguments();
            let flag = flags.find(|flag| flag.get_id() == name).unwrap();
            flag.get_help().unwrap().to_string()
        };
        assert!(help_of("listen").ends_with(" [default: 127.0.0.1:8080]"));
        assert!(help_of("grace_seconds").ends_with(" [default: 10]"));
        assert!(help_of("dev").ends_with(" [default: false]"));
        assert!(!help_of("public_url").contains("[default"));
    }
}
