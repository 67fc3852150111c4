//! The model of whether an Application is on: its developer switches it off and on again.

use presence_protocol::CloseCode;

/// The state of an Application, on or off, as far as it is known.
pub(super) struct KnownSwitch {
    /// The possible states.
    states: Vec<bool>,
    /// The states that were asked for without an answer. They may still come until the next rest.
    late: Vec<bool>,
    /// Set while a change has no answer.
    pub(super) is_busy: bool,
    /// The step since which the Application is off for certain.
    pub(super) off_since: Option<usize>,
    /// Set if it may have been off since the last rest.
    pub(super) was_off: bool,
}

impl Default for KnownSwitch {
    fn default() -> Self {
        let (states, late) = (vec![true], Vec::new());
        Self { states, late, is_busy: false, off_since: None, was_off: false }
    }
}

impl KnownSwitch {
    /// Notes that the Application is being switched on or off.
    pub(super) fn begin(&mut self, active: bool) {
        self.is_busy = true;
        self.off_since = None;
        self.was_off |= !active;
    }

    /// Notes the answer at a step.
    pub(super) fn end(&mut self, active: bool, (is_done, now): (bool, usize)) {
        self.is_busy = false;
        if is_done {
            self.states.clear();
        } else {
            self.late.push(active);
        }
        for state in self.late.iter().copied().chain([active]) {
            if !self.states.contains(&state) {
                self.states.push(state);
            }
        }
        if self.is_off() {
            self.off_since = Some(now);
        }
    }

    /// Returns true if the Application may be on.
    pub(super) fn may_be_on(&self) -> bool {
        self.states.contains(&true)
    }

    /// Returns true if the Application is off for certain.
    pub(super) fn is_off(&self) -> bool {
        self.states == [false]
    }

    /// Notes the state at rest.
    ///
    /// # Errors
    ///
    /// The states that were possible.
    pub(super) fn settle(&mut self, found: bool) -> Result<(), String> {
        let states = std::mem::replace(&mut self.states, vec![found]);
        self.late.clear();
        self.was_off = !found;
        if states.contains(&found) { Ok(()) } else { Err(format!("{found} is none of {states:?}")) }
    }

    /// Checks the reason for which a server closes a socket of the Application.
    ///
    /// # Errors
    ///
    /// The code, if there is no reason for it. `was_emptied` tells whether the live tables were.
    pub(super) fn check_close(&self, code: CloseCode, was_emptied: bool) -> Result<(), String> {
        let is_right = (code == CloseCode::ApplicationClosed && self.was_off)
            || (code == CloseCode::Restart && was_emptied);
        if is_right { Ok(()) } else { Err(format!("a socket is closed with {code:?}")) }
    }
}
