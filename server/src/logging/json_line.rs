//! A line in the form of the JSON log, for what is written without the log: the announcements of a
//! server, the reason why it does not start, and a panic before the log has started.

use serde_json::json;
use tracing::Level;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// The target of these lines.
const TARGET: &str = "presence_server";

/// Returns a line with a message, without its end.
pub(crate) fn json_line(level: Level, message: &str) -> String {
    let mut timestamp = String::new();
    // Writing to a text does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let (level, fields) = (level.as_str(), json!({ "message": message }));
    let line = json!({
        "timestamp": timestamp,
        "level": level,
        "fields": fields,
        "target": TARGET,
    });
    line.to_string()
}
