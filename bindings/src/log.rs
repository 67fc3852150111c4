//! The log of the SDK, delivered to the app. No line contains a secret, because the SDK logs none.
//!
//! Lines go through a bounded queue to one thread, and only that thread calls into the app. A slow
//! log delays nothing else. Lines that do not fit into the queue are dropped and counted.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::error::PresenceError;

/// The maximum number of lines that wait for the app.
const MAX_QUEUED_LINES: usize = 256;

/// The severity of a log line, and the least severity that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, uniffi::Enum)]
pub enum LogLevel {
    /// An error that needs attention.
    Error,
    /// A possible fault.
    Warn,
    /// A change of a connection.
    Info,
    /// The reason for a change.
    Debug,
    /// A frame, without its content.
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
    /// The severity.
    pub level: LogLevel,
    /// The part of the SDK that logged the line.
    pub target: String,
    /// The text, followed by its fields as `name=value`.
    pub text: String,
}

/// Receives the log of the SDK. The app implements it. It is called from one thread only, and may
/// be slow.
#[uniffi::export(foreign)]
pub trait LogSink: Send + Sync {
    /// Receives one line. An error that it throws is ignored.
    fn log(&self, line: LogLine) -> Result<(), PresenceError>;
}

/// Sends the log of the SDK to this sink from now on, in place of the earlier one. Without a sink,
/// the log is dropped. Lines less severe than `level` are not logged.
///
/// # Errors
///
/// `Unexpected` if other code in this process already receives the log.
#[uniffi::export]
pub fn set_log_sink(sink: Option<Arc<dyn LogSink>>, level: LogLevel) -> Result<(), PresenceError> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| install().map_err(|error| error.clone()));
    installed.clone().map_err(|reason| PresenceError::Unexpected { reason })?;
    ENABLED_LEVELS.store(if sink.is_some() { level as u8 + 1 } else { 0 }, Ordering::Relaxed);
    *SINK.write().unwrap_or_else(PoisonError::into_inner) = sink;
    Ok(())
}

static SINK: RwLock<Option<Arc<dyn LogSink>>> = RwLock::new(None);
/// The number of levels that are logged, beginning with `Error`.
static ENABLED_LEVELS: AtomicU8 = AtomicU8::new(0);

fn install() -> Result<(), String> {
    let (sender, queue) = mpsc::sync_channel(MAX_QUEUED_LINES);
    let subscriber = Arc::new(QueueingSubscriber {
        sender,
        dropped: AtomicU64::new(0),
        next_span_id: AtomicU64::new(1),
    });
    tracing::subscriber::set_global_default(Arc::clone(&subscriber))
        .map_err(|error| error.to_string())?;
    std::thread::Builder::new()
        .name("presence-log".to_owned())
        .spawn(move || deliver(&queue, &subscriber.dropped))
        .map_err(|error| error.to_string())?;
    Ok(())
}

fn deliver(queue: &Receiver<LogLine>, dropped: &AtomicU64) {
    for line in queue {
        // Cloned out of the lock, so that a sink can call `set_log_sink`.
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sink) = sink else { continue };
        let dropped = dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let text = format!("{dropped} log lines were dropped because the log is slow");
            let _ = sink.log(LogLine { level: LogLevel::Warn, target: line.target.clone(), text });
        }
        let _ = sink.log(line);
    }
}

/// The subscriber of `tracing`. It puts each line into the queue.
struct QueueingSubscriber {
    sender: SyncSender<LogLine>,
    dropped: AtomicU64,
    next_span_id: AtomicU64,
}

impl Subscriber for QueueingSubscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("presence_")
            && (LogLevel::from(*metadata.level()) as u8) < ENABLED_LEVELS.load(Ordering::Relaxed)
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // Never cached, because the level can change at any time.
        tracing::subscriber::Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = LineText::default();
        event.record(&mut text);
        let line = LogLine {
            level: (*event.metadata().level()).into(),
            target: event.metadata().target().to_owned(),
            text: text.message + &text.fields,
        };
        if self.sender.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.next_span_id.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct LineText {
    message: String,
    fields: String,
}

impl Visit for LineText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a `String` cannot fail.
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

    struct ChannelSink(Sender<LogLine>);

    impl LogSink for ChannelSink {
        fn log(&self, line: LogLine) -> Result<(), PresenceError> {
            self.0.send(line).map_err(|_| PresenceError::Cancelled)
        }
    }

    fn collect_lines() -> Receiver<LogLine> {
        let (sender, lines) = channel();
        set_log_sink(Some(Arc::new(ChannelSink(sender))), LogLevel::Info).unwrap();
        lines
    }

    fn line(level: LogLevel, text: &str) -> LogLine {
        LogLine { level, target: "presence_client".to_owned(), text: text.to_owned() }
    }

    fn log_lines_that_are_filtered_out() {
        tracing::debug!(target: "presence_client", "below the level");
        tracing::info!(target: "another_crate", "of another crate");
    }

    fn log_error(text: &str) {
        tracing::error!(target: "presence_client", "{text}");
    }

    #[test]
    fn lines_of_the_enabled_levels_reach_the_sink_in_order() {
        let lines = collect_lines();
        log_lines_that_are_filtered_out();
        tracing::info!(target: "presence_client", attempt = 2, "connecting");
        log_error("done");
        let next = || lines.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(next(), line(LogLevel::Info, "connecting attempt=2"));
        assert_eq!(next(), line(LogLevel::Error, "done"));

        // A line that is logged without a sink is not kept for a later sink.
        set_log_sink(None, LogLevel::Info).unwrap();
        log_error("without a sink");
        let lines = collect_lines();
        log_error("again");
        let next = lines.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(next, line(LogLevel::Error, "again"));
    }
}
