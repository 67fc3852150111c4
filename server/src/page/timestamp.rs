//! Times as pages show them: in UTC, until a script converts them to the reader's time zone.

use std::fmt;

use presence_core::UnixMillis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp(UnixMillis);

impl Timestamp {
    /// Converts a wall-clock time.
    pub(crate) fn new(at: UnixMillis) -> Self {
        Self(at)
    }

    /// Returns the time for the attribute `datetime`, such as `2026-11-25T13:05:00Z`.
    pub(crate) fn rfc3339(self) -> String {
        self.date_time().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
    }

    fn date_time(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(i64::try_from(self.0.as_secs()).ok()?).ok()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.date_time() else { return f.write_str("unknown time") };
        let (day, month, year) = (at.day(), at.month(), at.year());
        write!(f, "{day} {month} {year}, {:02}:{:02} UTC", at.hour(), at.minute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_people_and_to_machines() {
        let time = Timestamp::new(UnixMillis::new(1_795_611_900_123));
        assert_eq!(time.to_string(), "25 November 2026, 13:05 UTC");
        assert_eq!(time.rfc3339(), "2026-11-25T13:05:00Z");
        assert_eq!(Timestamp::new(UnixMillis::new(u64::MAX)).to_string(), "unknown time");
    }
}
