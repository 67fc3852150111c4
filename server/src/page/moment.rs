//! A moment, as pages show it: in UTC, until a script shows it in the reader's own zone.

use std::fmt;

use presence_core::UnixMillis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(UnixMillis);

impl Moment {
    /// The moment of a wall-clock time.
    pub(crate) fn new(at: UnixMillis) -> Self {
        Self(at)
    }

    /// For machines: `2026-11-25T13:05:00Z`.
    pub(crate) fn machine(self) -> String {
        self.date_time().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
    }

    fn date_time(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(i64::try_from(self.0.as_secs()).ok()?).ok()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(at) = self.date_time() else { return f.write_str("at some time") };
        let (day, month, year) = (at.day(), at.month(), at.year());
        write!(f, "{day} {month} {year}, {:02}:{:02} UTC", at.hour(), at.minute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_to_people_and_to_machines() {
        let moment = Moment::new(UnixMillis::new(1_795_611_900_123));
        assert_eq!(moment.to_string(), "25 November 2026, 13:05 UTC");
        assert_eq!(moment.machine(), "2026-11-25T13:05:00Z");
        assert_eq!(Moment::new(UnixMillis::new(u64::MAX)).to_string(), "at some time");
    }
}
