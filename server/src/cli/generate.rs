//! The commands that write what is made from the definitions of the command line and the settings:
//! completions, the manual page, and a settings file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use clap_complete::Shell;

use super::manual;
use super::output::{CommandError, failure, print};
use crate::settings::template;

/// A command that needs no settings.
#[derive(Debug, Subcommand)]
pub(super) enum GenerateCommand {
    /// Writes a new settings file, with the description and the default of each setting.
    Init {
        /// The file to create; an existing file is not overwritten.
        #[arg(long, value_name = "FILE", default_value = "presence.toml")]
        out: PathBuf,
    },
    /// Prints the completions of commands and flags for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints the manual page: `presence-server man | man -l -`.
    Man,
}

/// Runs a command. `arguments` is the definition of the command line.
pub(super) fn run(command: GenerateCommand, arguments: clap::Command) -> Result<(), CommandError> {
    match command {
        GenerateCommand::Init { out } => {
            write_new(&out)?;
            let file = out.display();
            print(&format!(
                "settings: {file}, with all settings as comments\n\
                 Set public_url and an identity provider there, and run:\n\n    \
                 presence-server check --config {file}"
            ))
        }
        GenerateCommand::Completions { shell } => print(completions(shell, arguments).trim_end()),
        GenerateCommand::Man => {
            let page = manual::page(arguments).map_err(failure)?;
            print(String::from_utf8_lossy(&page).trim_end())
        }
    }
}

/// Returns the script of a shell.
fn completions(shell: Shell, mut arguments: clap::Command) -> String {
    let name = arguments.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments, &name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    if shell != Shell::Bash {
        return script;
    }
    // clap_complete 4.6 writes a name with a hyphen in two ways, so that bash would not find the
    // flags of the commands.
    let name = name.replace('-', "__");
    script.replace(&name.replace("__", "__subcmd__"), &name)
}

/// Writes a new settings file. Only its owner may read it, since it can get secrets.
fn write_new(path: &Path) -> Result<(), CommandError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(template().as_bytes())).map_err(|error| {
        let problem = if error.kind() == ErrorKind::AlreadyExists {
            "exists already".to_owned()
        } else {
            format!("cannot be written: {error}")
        };
        failure(format!("the settings file {} {problem}", path.display()))
    })
}
