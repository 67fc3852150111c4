//! The log on standard error: it names users by ids, and never holds an e-mail, an assertion or a
//! key.
//!
//! Writing a line never waits and never fails: lines go through a [`BackgroundWriter`], so that
//! neither a full disk nor a stuck reader of the log stops a task that logs.

pub(crate) mod background_writer;

pub(crate) mod json_line;

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use presence_core::TRACE_TARGET;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use self::background_writer::BackgroundWriter;
use self::json_line::json_line;
use crate::settings::{LogFormat, Settings};

/// The target of the lines of the access log.
pub(crate) const ACCESS_TARGET: &str = "presence_access";
/// The prefix of the targets of this project's crates.
const OWN_TARGETS: &str = "presence_";
/// The most detailed level of all other crates: below it, libraries log headers, addresses and the
/// bytes of frames, which hold credentials and texts.
const MAX_LIBRARY_LEVEL: Level = Level::INFO;
/// The time that the log may take to be written when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A layer that sees all spans, and has a filter of its own.
pub(crate) type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The writer of the log, once it is started.
static WRITER: OnceLock<BackgroundWriter> = OnceLock::new();

/// Starts the log, and lets the layer of traces see its spans, if there is one.
///
/// # Errors
///
/// The reason in one line, if the filter cannot be parsed or standard error cannot be used.
pub(crate) fn start(settings: &Settings, traces: Option<SpanLayer>) -> Result<(), String> {
    let filter = filter(settings)?;
    let started = |problem: String| format!("the log cannot be started: {problem}");
    let writer =
        BackgroundWriter::start(std::io::stderr()).map_err(|error| started(error.to_string()))?;
    let writer = WRITER.get_or_init(|| writer);
    let registry = tracing_subscriber::registry();
    match traces {
        // Without traces, the filters are asked once for each place that logs.
        None => registry
            .with(filter)
            .with(filter_fn(is_permitted))
            .with(lines(settings.log_format, writer))
            .try_init(),
        Some(traces) => registry
            .with(traces)
            .with(
                lines(settings.log_format, writer).with_filter(filter.and(filter_fn(is_permitted))),
            )
            .try_init(),
    }
    .map_err(|error| started(error.to_string()))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Returns the layer that writes lines.
fn lines<S>(format: LogFormat, writer: &'static BackgroundWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| writer.clone())
        .with_ansi(std::io::stderr().is_terminal())
        // The library would print its own errors to standard error, and panic if it cannot.
        .log_internal_errors(false);
    match format {
        LogFormat::Pretty => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}

/// Returns the filter of the settings. Whether there is an access log, it does not decide.
fn filter(settings: &Settings) -> Result<EnvFilter, String> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|error| format!("log is not a filter: {error}"))?;
    let access = if settings.access_log { Level::INFO.into() } else { LevelFilter::OFF };
    let access = format!("{ACCESS_TARGET}={access}").parse();
    Ok(filter.add_directive(access.map_err(|error| format!("the access log: {error}"))?))
}

/// Waits until all lines are written, for a bounded time.
pub(crate) fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(FLUSH_TIMEOUT);
    }
}

/// Returns the number of lines that were dropped, because the log could not be written.
pub(crate) fn dropped_lines() -> u64 {
    WRITER.get().map_or(0, BackgroundWriter::dropped_lines)
}

/// Returns true if lines and spans of a target and level may be logged, whatever the filter says.
/// Spans of traces are for traces only.
fn is_permitted(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target != TRACE_TARGET
        && (target.starts_with(OWN_TARGETS) || *metadata.level() <= MAX_LIBRARY_LEVEL)
}

/// Writes a panic before the log has started as a line of the JSON log, instead of as text.
pub(crate) fn catch_early_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = format!("panicked: {panic}");
        if let Ok(errors) = BackgroundWriter::start(std::io::stderr()) {
            errors.write_line(&json_line(Level::ERROR, &message));
            errors.flush(FLUSH_TIMEOUT);
        }
    }));
}

/// Logs a panic like any other line. The default hook would write to standard error itself, and
/// wait for its reader.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("no text");
    let place = panic.location().map(tracing::field::display);
    tracing::error!(reason, place, "panicked");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::Value;

    use super::*;

    /// Set in a process that panics, by the time: before or after the log has started.
    const PANICS: &str = "PRESENCE_SERVER_TEST_PANICS";

    #[test]
    fn a_panic_is_a_line_of_the_json_log_before_and_after_its_start() {
        for time in ["before", "after"] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "logging::tests::panics_if_asked", "--nocapture"])
                .env(PANICS, time)
                .output()
                .unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            let lines: Vec<Value> =
                errors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), 1, "{errors}");
            assert_eq!(lines[0]["level"], "ERROR", "{errors}");
            assert!(errors.contains("panicked") && errors.contains("a fault"), "{errors}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the environment of this process")]
    fn panics_if_asked() {
        let Ok(time) = std::env::var(PANICS) else { return };
        catch_early_panics();
        if time == "after" {
            start(&Settings { log_format: LogFormat::Json, ..Settings::default() }, None).unwrap();
        }
        let panicked = std::panic::catch_unwind(|| panic!("a fault"));
        flush();
        assert!(panicked.is_err());
    }
}
