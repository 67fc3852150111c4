//! The output of the command line: results on standard output, one line for a failure.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Level;

use crate::logging::background_writer::BackgroundWriter;
use crate::logging::json_line::json_line;
use crate::settings::LogFormat;

/// The time that the reason of a failure may take to be written.
const ERROR_TIMEOUT: Duration = Duration::from_secs(1);

/// The format of announcements and of the reason of a failure, once it is known.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Sets the format of announcements and of the reason of a failure. The first one counts.
pub(super) fn set_format(format: LogFormat) {
    FORMAT.get_or_init(|| format);
}

/// Returns lines in the format of the log.
fn in_format(level: Level, text: &str) -> String {
    match FORMAT.get() {
        Some(LogFormat::Json) => {
            text.lines().map(|line| json_line(level, line)).collect::<Vec<_>>().join("\n")
        }
        Some(LogFormat::Pretty) | None => text.to_owned(),
    }
}

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

    /// Writes lines in the background, in the format of the log.
    pub(super) fn print(&self, text: &str) {
        self.0.write_line(&in_format(Level::INFO, text));
    }
}

/// Prints the reason of a failure in one line, in the format of the log. Waits only for a bounded
/// time, since the process must end although nobody reads its errors.
pub(super) fn print_error(text: &str) {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Ok(errors) = BackgroundWriter::start(std::io::stderr()) {
        errors.write_line(&in_format(Level::ERROR, &format!("presence-server: {line}")));
        errors.flush(ERROR_TIMEOUT);
    }
}
