//! The last changes of a channel's state.

use std::collections::VecDeque;

use crate::state::{ConnectionState, StateChange};
use crate::wall_clock;

/// The maximum number of changes that are kept. Beyond it the oldest one is forgotten.
const MAX_CHANGES: usize = 20;

/// The last changes of a channel's state, the oldest one first.
#[derive(Debug)]
pub(crate) struct RecentStates(VecDeque<StateChange>);

impl RecentStates {
    pub(crate) fn new(state: &ConnectionState) -> Self {
        let mut recent = Self(VecDeque::new());
        recent.record(state);
        recent
    }

    pub(crate) fn record(&mut self, state: &ConnectionState) {
        if self.0.len() == MAX_CHANGES {
            self.0.pop_front();
        }
        self.0.push_back(StateChange { at: wall_clock::now(), state: state.clone() });
    }

    pub(crate) fn to_vec(&self) -> Vec<StateChange> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_twenty_changes_are_kept_in_order() {
        let mut recent = RecentStates::new(&ConnectionState::Connecting { attempt: 0 });
        for attempt in 1..100 {
            recent.record(&ConnectionState::Connecting { attempt });
        }
        let attempts: Vec<_> = recent.to_vec().into_iter().map(|change| change.state).collect();
        let expected: Vec<_> =
            (80..100).map(|attempt| ConnectionState::Connecting { attempt }).collect();
        assert_eq!(attempts, expected);
    }
}
