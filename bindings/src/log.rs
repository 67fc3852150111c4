//! What the SDK logs, for the app's own log. No line holds a secret, since nothing below logs one.
//!
//! Lines go through a bounded queue to one thread, which alone calls into the app: a slow log holds nothing up, and what does
//! not fit is counted and said.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::error::PresenceError;

/// How many lines may wait for the app's log.
const QUEUE: usize = 256;

/// How much to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum LogLevel {
    /// What somebody must look at.
    Error,
    /// What may be a fault.
    Warn,
    /// Each change of a connection.
    Info,
    /// Why it changed.
    Debug,
    /// Each frame, without what it holds.
    Trace,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warn,
            Level::INFO => Self::Info,
            Level::DEBUG => Self::Debug,
            Level::TRACE => Self::Trace,
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// Which part of the SDK says it.
    pub target: String,
    /// The text, with its fields as `name=value`.
    pub text: String,
}

/// Takes the SDK's log; implemented by the app. It is called from one thread, never from two at once, and may take its time.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// Takes one line. What it throws is ignored.
    fn log(&self, line: LogLine) -> Result<(), PresenceError>;
}

/// Sends what the SDK logs from now on to this sink, in place of the one before; without a sink nowhere.
///
/// # Errors
///
/// `Unexpected` where something else in this process already collects what Rust code logs.
#[uniffi::export]
pub fn set_log_sink(sink: Option<Arc<dyn LogSink>>, level: LogLevel) -> Result<(), PresenceError> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| install().map_err(|error| error.clone()));
    installed.clone().map_err(|reason| PresenceError::Unexpected { reason })?;
    MOST.store(if sink.is_some() { level as u8 + 1 } else { 0 }, Ordering::Relaxed);
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
    Ok(())
}

static SINK: RwLock<Option<Arc<dyn LogSink>>> = RwLock::new(None);
/// How many of the levels are wanted.
static MOST: AtomicU8 = AtomicU8::new(0);

fn install() -> Result<(), String> {
    let (lines, queue) = mpsc::sync_channel(QUEUE);
    let dispatcher =
        Arc::new(Dispatcher { lines, lost: AtomicU64::new(0), spans: AtomicU64::new(1) });
    tracing::subscriber::set_global_default(Arc::clone(&dispatcher))
        .map_err(|error| error.to_string())?;
    std::thread::Builder::new()
        .name("presence-log".to_owned())
        .spawn(move || deliver(&queue, &dispatcher.lost))
        .map_err(|error| error.to_string())?;
    Ok(())
}

fn deliver(queue: &Receiver<LogLine>, lost: &AtomicU64) {
    for line in queue {
        // Taken out of the lock, so that a sink may set another sink.
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sink) = sink else { continue };
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!("{lost} lines were lost, since the log is slow");
            let _ = sink.log(LogLine { level: LogLevel::Warn, target: line.target.clone(), text });
        }
        let _ = sink.log(line);
    }
}

/// What `tracing` hands every event to.
struct Dispatcher {
    lines: SyncSender<LogLine>,
    lost: AtomicU64,
    spans: AtomicU64,
}

impl Subscriber for Dispatcher {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("presence_")
            && (LogLevel::from(*metadata.level()) as u8) < MOST.load(Ordering::Relaxed)
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The level can change at any time.
        tracing::subscriber::Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let line = LogLine {
            level: (*event.metadata().level()).into(),
            target: event.metadata().target().to_owned(),
            text: text.message + &text.fields,
        };
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;

    struct Told(Sender<LogLine>);

    impl LogSink for Told {
        fn log(&self, line: LogLine) -> Result<(), PresenceError> {
            self.0.send(line).map_err(|_| PresenceError::Cancelled)
        }
    }

    fn listen() -> Receiver<LogLine> {
        let (told, lines) = channel();
        set_log_sink(Some(Arc::new(Told(told))), LogLevel::Info).unwrap();
        lines
    }

    fn line(level: LogLevel, text: &str) -> LogLine {
        LogLine { level, target: "presence_client".to_owned(), text: text.to_owned() }
    }

    fn say_what_nobody_wants() {
        tracing::debug!(target: "presence_client", "not wanted");
        tracing::info!(target: "elsewhere", "not ours");
    }

    fn say(text: &str) {
        tracing::error!(target: "presence_client", "{text}");
    }

    #[test]
    fn lines_of_the_wanted_levels_reach_the_sink_in_order() {
        let lines = listen();
        say_what_nobody_wants();
        tracing::info!(target: "presence_client", attempt = 2, "connecting");
        say("done");
        let next = || lines.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(next(), line(LogLevel::Info, "connecting attempt=2"));
        assert_eq!(next(), line(LogLevel::Error, "done"));

        // Without a sink nothing is kept for a later one.
        set_log_sink(None, LogLevel::Info).unwrap();
        say("to nobody");
        let lines = listen();
        say("again");
        let next = lines.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(next, line(LogLevel::Error, "again"));
    }
}
