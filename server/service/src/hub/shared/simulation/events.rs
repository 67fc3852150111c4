//! The events of a run, for comparison and for the text of a failure.

/// The number of events that a failure shows, unless the environment says another one.
const SHOWN: usize = 60;
/// The environment variable with the number of events that a failure shows.
const GIVEN: &str = "PRESENCE_SIMULATION_EVENTS";

/// The events so far.
#[derive(Default)]
pub(super) struct Events {
    all: Vec<String>,
    /// The number of steps so far.
    pub(super) steps: usize,
}

impl Events {
    pub(super) fn add(&mut self, event: impl FnOnce() -> String) {
        self.all.push(format!("{} {}", self.steps, event()));
    }

    /// Returns all events.
    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// Returns the last events as a text.
    pub(super) fn last(&self) -> String {
        let given = std::env::var_os(GIVEN).and_then(|value| value.to_str()?.parse().ok());
        self.all[self.all.len().saturating_sub(given.unwrap_or(SHOWN))..].join("\n")
    }
}
