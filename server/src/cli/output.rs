//! The output of the command line: results on standard output, one line for a failure.

use std::fmt::Display;

/// A failed command: its exit code and the reason.
pub(super) struct CommandError(pub(super) u8, pub(super) String);

/// The exit code for wrong arguments or settings.
pub(super) const EXIT_USAGE: u8 = 2;
/// The exit code for any other failure.
pub(super) const EXIT_FAILURE: u8 = 1;

/// Makes an error with exit code 2.
pub(super) fn usage_error(error: impl Display) -> CommandError {
    CommandError(EXIT_USAGE, error.to_string())
}

/// Makes an error with exit code 1.
pub(super) fn failure(error: impl Display) -> CommandError {
    CommandError(EXIT_FAILURE, error.to_string())
}

/// Prints the result of a command.
#[expect(clippy::print_stdout, reason = "the result of a command goes to standard output")]
pub(super) fn print(text: &str) {
    println!("{text}");
}

/// Prints the reason of a failure in one line.
#[expect(clippy::print_stderr, reason = "the reason of a failure goes to standard error")]
pub(super) fn print_error(text: &str) {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    eprintln!("presence-server: {line}");
}
