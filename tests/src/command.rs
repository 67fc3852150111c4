//! Runs the server's binary as a command that ends by itself.

use std::path::Path;
use std::process::Stdio;

use tokio::time::timeout;

use crate::{TIMEOUT, binary, child_command};

/// The output and the exit code of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// The exit code; `None` if a signal ended the command.
    pub code: Option<i32>,
    /// The text on standard output.
    pub out: String,
    /// The text on standard error.
    pub err: String,
}

impl CommandOutput {
    /// Checks that the command failed with this exit code and a single line on standard error that
    /// contains the text.
    #[track_caller]
    pub fn failed(&self, code: i32, text: &str) {
        assert_eq!((self.code, self.err.lines().count()), (Some(code), 1), "{self:?}");
        assert!(self.err.contains(text), "{text:?} is not in {self:?}");
        assert!(self.out.is_empty(), "{self:?}");
    }
}

/// Runs the binary in a directory, with arguments and an environment, until it ends.
pub async fn run(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> CommandOutput {
    run_with_output(directory, arguments, environment, Stdio::piped()).await
}

/// Runs the binary as [`run`] does, with a given standard output.
pub async fn run_with_output(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    output: Stdio,
) -> CommandOutput {
    let mut command = child_command(binary::server_binary());
    command.args(arguments).envs(environment.iter().copied()).current_dir(directory);
    command.stdout(output).stderr(Stdio::piped()).stdin(Stdio::null());
    let child = command.spawn().unwrap();
    let ended = timeout(TIMEOUT, child.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    CommandOutput {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}
