//! The holds of receipts.
//!
//! When an Application begins to see a user, it gets none of the user's receipts for a while, and
//! then all of them together, in the order of ids. So it cannot tell what a device had taken while
//! the user was hidden from what a device has taken since then.

use hashbrown::HashMap;
use presence_protocol::Puid;
use presence_protocol::app::Receipt;

use crate::clock::Steady;

/// The result of an attempt to end a hold.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldEnd {
    /// The hold is over, or ends with a release that was requested before.
    Over,
    /// The hold ends with a release of the user's taken notifications, which is to be requested.
    Release,
    /// The hold began anew, and ends at this time.
    Later(Steady),
}

/// The phase of a hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum HoldPhase {
    /// The Application does not see the user any more. The hold is only kept since the call at its
    /// end is still to come.
    #[default]
    Cancelled,
    /// The receipts are held, until a time once it is set.
    Held(Option<Steady>),
    /// The time is over, and the taken notifications of the user are being released.
    Releasing,
}

#[derive(Debug, Default)]
struct Hold {
    phase: HoldPhase,
    receipts: Vec<Receipt>,
    /// Set if the call at the end is still to come.
    is_scheduled: bool,
}

/// The holds of one Application, at most one for each grant. A hold has at most the receipts that
/// the Application causes itself: of notifications that are dropped or expire.
#[derive(Debug, Default)]
pub(crate) struct ReceiptHolds(HashMap<Puid, Hold>);

impl ReceiptHolds {
    /// Begins the hold of a user.
    pub(crate) fn begin(&mut self, puid: Puid) {
        self.0.entry(puid).or_default().phase = HoldPhase::Held(None);
    }

    /// Sets the end. Returns true if the call at the end is to be scheduled.
    pub(crate) fn set_end(&mut self, puid: Puid, until: Steady) -> bool {
        let Some(hold) = self.0.get_mut(&puid) else { return false };
        if matches!(hold.phase, HoldPhase::Held(_)) {
            hold.phase = HoldPhase::Held(Some(until));
        }
        !std::mem::replace(&mut hold.is_scheduled, true)
    }

    /// Returns true if no release of this user may begin, and no settlement gives a receipt.
    pub(crate) fn is_held(&self, puid: &Puid) -> bool {
        self.0.get(puid).is_some_and(|hold| matches!(hold.phase, HoldPhase::Held(_)))
    }

    /// Keeps a receipt back. Returns false if the Application gets it at once.
    pub(crate) fn hold(&mut self, receipt: Receipt) -> bool {
        let hold = self.0.get_mut(&receipt.uid);
        let Some(hold) = hold.filter(|hold| hold.phase != HoldPhase::Cancelled) else {
            return false;
        };
        hold.receipts.push(receipt);
        true
    }

    /// Returns the reason why the hold of a user does not end now, if there is one.
    pub(crate) fn check_end(&mut self, puid: &Puid, now: Steady) -> Option<HoldEnd> {
        let Some(hold) = self.0.get_mut(puid) else { return Some(HoldEnd::Over) };
        match hold.phase {
            HoldPhase::Held(Some(until)) if until > now => Some(HoldEnd::Later(until)),
            HoldPhase::Held(_) => {
                hold.is_scheduled = false;
                None
            }
            HoldPhase::Releasing => {
                hold.is_scheduled = false;
                Some(HoldEnd::Over)
            }
            HoldPhase::Cancelled => {
                self.0.remove(puid);
                Some(HoldEnd::Over)
            }
        }
    }

    /// Lets the taken notifications of a user be released.
    pub(crate) fn begin_release(&mut self, puid: &Puid) {
        if let Some(hold) = self.0.get_mut(puid) {
            hold.phase = HoldPhase::Releasing;
        }
    }

    /// Ends a hold whose taken notifications were released, and returns what was held.
    pub(crate) fn finish_release(&mut self, puid: &Puid) -> Vec<Receipt> {
        let is_releasing = |hold: &Hold| hold.phase == HoldPhase::Releasing;
        if self.0.get(puid).is_some_and(is_releasing) { self.cancel(puid) } else { Vec::new() }
    }

    /// Ends a hold early, and returns what was held.
    pub(crate) fn cancel(&mut self, puid: &Puid) -> Vec<Receipt> {
        let Some(hold) = self.0.get_mut(puid) else { return Vec::new() };
        hold.phase = HoldPhase::Cancelled;
        let receipts = in_order(std::mem::take(&mut hold.receipts));
        if !hold.is_scheduled {
            self.0.remove(puid);
        }
        receipts
    }

    /// Removes a hold, and returns what was held.
    pub(crate) fn remove(&mut self, puid: &Puid) -> Vec<Receipt> {
        self.0.remove(puid).map(|hold| in_order(hold.receipts)).unwrap_or_default()
    }
}

fn in_order(mut receipts: Vec<Receipt>) -> Vec<Receipt> {
    receipts.sort_by_key(|receipt| receipt.id);
    receipts
}
