//! The output of the command line: results on standard output, one line for a failure.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use crate::logging::background_writer::BackgroundWriter;

/// The time that the reason of a failure may take to be written.
const ERROR_TIMEOUT: Duration = Duration::from_secs(1);

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

/// Prints a result of a command. A reader that is gone wants no more of it, which is no failure.
///
/// # Errors
///
/// Exit code 1 if standard output cannot be written, for example on a full disk.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{text}").and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(failure(format!("standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The announcements of a running server on standard output, which it does not wait for.
pub(super) struct Announcements(BackgroundWriter);

impl Announcements {
    /// Starts to write to standard output.
    ///
    /// # Errors
    ///
    /// An error of the operating system.
    pub(super) fn start() -> std::io::Result<Self> {
        BackgroundWriter::start(std::io::stdout()).map(Self)
    }

    /// Writes lines in the background.
    pub(super) fn print(&self, text: &str) {
        self.0.write_line(text);
    }
}

/// Prints the reason of a failure in one line. Waits only for a bounded time, since the process
/// must end although nobody reads its errors.
pub(super) fn print_error(text: &str) {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Ok(errors) = BackgroundWriter::start(std::io::stderr()) {
        errors.write_line(&format!("presence-server: {line}"));
        errors.flush(ERROR_TIMEOUT);
    }
}
