//! The manual page, made from the definitions of the command line.

use std::io;

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

const SETTINGS: &str = "Each setting is a flag, an environment variable and a line of the settings \
    file: --status-burst 9, PRESENCE_STATUS_BURST=9, status_burst = 9. A flag overrides the \
    environment, and the environment overrides the file.";

const EXIT_CODES: [(&str, &str); 3] = [
    ("0", "Success, or a requested stop of the server."),
    ("1", "A failure, with its reason in one line on standard error."),
    ("2", "Wrong arguments or settings, with the reason in one line on standard error."),
];

/// Returns the manual page in the language of roff.
///
/// # Errors
///
/// None, since memory can be written.
pub(super) fn page(command: Command) -> io::Result<Vec<u8>> {
    let version = command.get_version().unwrap_or_default();
    let source = format!("{} {version}", command.get_name());
    let commands = commands(&command);
    // The list of all flags in the synopsis would be longer than a screen.
    let usage = format!("{} [OPTIONS] [COMMAND]", command.get_name());
    // A page without a date is the same in each build. An empty one would be left out.
    let manual =
        Man::new(command.override_usage(usage)).date(" ").source(source).manual("Presence");
    let mut page = Vec::new();
    manual.render_title(&mut page)?;
    manual.render_name_section(&mut page)?;
    manual.render_synopsis_section(&mut page)?;
    manual.render_description_section(&mut page)?;
    commands.to_writer(&mut page)?;
    manual.render_options_section(&mut page)?;
    end().to_writer(&mut page)?;
    Ok(page)
}

/// Returns the section of the commands, with the flags that only they have.
fn commands(command: &Command) -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["COMMANDS"]);
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let mut head = vec![bold(command.get_name())];
        command.get_arguments().for_each(|argument| head.extend(usage(argument)));
        section.control("TP", []).text(head);
        section.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let name = name(argument);
            section.control("br", []).text([italic(name), roman(format!(": {help}"))]);
        }
    }
    section
}

/// Returns the usage of an argument, such as `--to FILE`, in brackets if it can be left out.
fn usage(argument: &Arg) -> Vec<Inline> {
    let (start, end) = if argument.is_required_set() { (" ", "") } else { (" [", "]") };
    let mut usage = vec![roman(start)];
    if let Some(long) = argument.get_long() {
        usage.push(bold(format!("--{long}")));
    }
    if argument.get_action().takes_values() {
        let space = argument.get_long().map(|_| roman(" "));
        usage.extend(space.into_iter().chain([italic(name(argument))]));
    }
    usage.push(roman(end));
    usage
}

/// Returns the name of the value of an argument, or the flag if it has none.
fn name(argument: &Arg) -> String {
    if let (Some(long), false) = (argument.get_long(), argument.get_action().takes_values()) {
        return format!("--{long}");
    }
    let names = argument.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| argument.get_id().as_str().to_uppercase(), ToString::to_string)
}

/// Returns the sections after the flags.
fn end() -> Roff {
    let mut sections = Roff::new();
    sections.control("SH", ["SETTINGS"]).text([roman(SETTINGS)]);
    sections.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        sections.control("TP", []).text([bold(code)]).text([roman(meaning)]);
    }
    sections
}
