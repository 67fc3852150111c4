//! A record of the notifications to one user and of their states, kept outside of the server.

use std::collections::BTreeSet;

use serde_json::Value;

/// The state of a notification, as far as the client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ItemState {
    /// It was sent in this run of the server, and not answered. It may be queued.
    Sent { run: usize },
    /// It was accepted with OK. It must arrive until it is acknowledged.
    Queued,
    /// Its acknowledgement was sent, and not answered. It may arrive again.
    Acking,
    /// Its acknowledgement was answered with OK in this run of the server. It must not arrive again
    /// before the next run, which begins after a crash.
    Noted { run: usize },
    /// Its acknowledgement is stored, since it did not arrive in a run after it. It must not arrive
    /// again.
    Settled,
    /// It was refused, or lost without a reply. It must never arrive.
    Dropped,
}

#[derive(Debug)]
struct Item {
    key: Option<String>,
    /// The id that the server gave, in the first reply or delivery.
    id: Option<String>,
    answered: bool,
    /// True if it was sent again in a later run.
    retried: bool,
    received: usize,
    state: ItemState,
}

/// The notifications of one user, numbered in the order of sending.
#[derive(Debug)]
pub(super) struct Ledger {
    user: String,
    items: Vec<Item>,
    /// The notifications that may still arrive.
    open: BTreeSet<usize>,
    /// The acknowledged notifications that may arrive again after a crash.
    noted: BTreeSet<usize>,
    /// The answered notifications with an idempotency key.
    keyed: Vec<usize>,
}

/// The notifications that one connection of a device has received.
#[derive(Debug, Default)]
pub(super) struct DeviceLog {
    /// The notifications that must arrive when the device connects.
    required: BTreeSet<usize>,
    /// The notifications that may have been lost before the device connected. If they do not arrive
    /// at first, they never arrive.
    uncertain: BTreeSet<usize>,
    last: Option<usize>,
    /// The run of the server.
    pub(super) run: usize,
    /// The notifications that the device received and did not acknowledge.
    pub(super) received: BTreeSet<usize>,
}

/// Totals of a ledger.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Totals {
    pub(super) answered: usize,
    pub(super) settled: usize,
    pub(super) dropped: usize,
    pub(super) repeated: usize,
}

impl Ledger {
    pub(super) fn new(user: &str) -> Self {
        let (open, noted) = (BTreeSet::new(), BTreeSet::new());
        Self { user: user.to_owned(), items: Vec::new(), open, noted, keyed: Vec::new() }
    }

    /// Returns the number of notifications that may still be in the queue. After a kill, these are
    /// also acknowledged ones.
    pub(super) fn open(&self) -> usize {
        self.open.len() + self.noted.len()
    }

    /// Adds a notification that is about to be sent, and returns its number.
    pub(super) fn add(&mut self, run: usize, with_key: bool) -> usize {
        let number = self.items.len();
        let key = with_key.then(|| format!("key-{number}"));
        let state = ItemState::Sent { run };
        self.items.push(Item {
            key,
            id: None,
            answered: false,
            retried: false,
            received: 0,
            state,
        });
        self.open.insert(number);
        number
    }

    /// Returns the message and the idempotency key of a notification, which are always the same.
    pub(super) fn body(&self, number: usize) -> (String, Option<&str>) {
        (format!("{}:{number}", self.user), self.items[number].key.as_deref())
    }

    /// Returns the notifications that an earlier run left unanswered and that can be sent again.
    pub(super) fn items_to_retry(&mut self, run: usize) -> Vec<usize> {
        let keyed = |number: &usize| {
            let item = &self.items[*number];
            item.key.is_some() && !item.answered && item.state != ItemState::Dropped
        };
        let retried: Vec<usize> = self.open.iter().copied().filter(keyed).collect();
        for number in &retried {
            let item = &mut self.items[*number];
            item.retried = true;
            if let ItemState::Sent { run: asked } = &mut item.state {
                *asked = run;
            }
        }
        retried
    }

    /// Returns the answered notifications with an idempotency key.
    pub(super) fn keyed(&self) -> &[usize] {
        &self.keyed
    }

    /// Records that a notification was answered with OK.
    pub(super) fn accepted(&mut self, number: usize, id: &str) {
        self.set_id(number, id);
        let item = &mut self.items[number];
        if let ItemState::Sent { .. } = item.state {
            item.state = ItemState::Queued;
        }
        if !std::mem::replace(&mut item.answered, true) && item.key.is_some() {
            self.keyed.push(number);
        }
    }

    /// Records that a stopping server refused a notification. An earlier request may have queued
    /// it.
    pub(super) fn refused(&mut self, number: usize) {
        let item = &self.items[number];
        if matches!(item.state, ItemState::Sent { .. }) && !item.retried {
            self.settle(number, ItemState::Dropped);
        }
    }

    /// Returns the expectations of a device that is about to connect in a run.
    pub(super) fn connect(&self, run: usize) -> DeviceLog {
        let with = |condition: &dyn Fn(&Item) -> bool| {
            self.open.iter().copied().filter(|number| condition(&self.items[*number])).collect()
        };
        let lost = |item: &Item| match item.state {
            ItemState::Sent { run: asked } => asked < run && item.key.is_none(),
            ItemState::Acking => true,
            ItemState::Queued
            | ItemState::Noted { .. }
            | ItemState::Settled
            | ItemState::Dropped => false,
        };
        let of_earlier_run = |number: &usize| {
            let state = self.items[*number].state;
            matches!(state, ItemState::Noted { run: acked } if acked < run)
        };
        let noted = self.noted.iter().copied().filter(of_earlier_run);
        DeviceLog {
            required: with(&|item| item.state == ItemState::Queued),
            uncertain: noted.chain(with(&lost)).collect(),
            run,
            ..DeviceLog::default()
        }
    }

    /// Records a frame of notifications that a device has received.
    pub(super) fn received(&mut self, log: &mut DeviceLog, frame: &Value) {
        let items = frame["notifications"].as_array();
        let items = items.unwrap_or_else(|| panic!("notifications were expected, not {frame}"));
        for item in items {
            let number = self.number_of(item);
            assert!(log.last < Some(number), "{number} came after {:?}: {frame}", log.last);
            log.last = Some(number);
            self.set_id(number, item["id"].as_str().unwrap());
            let known = &mut self.items[number];
            let may_arrive = match known.state {
                ItemState::Settled | ItemState::Dropped => false,
                ItemState::Noted { run: acked } => acked < log.run,
                ItemState::Sent { .. } | ItemState::Queued | ItemState::Acking => true,
            };
            assert!(may_arrive, "{item} arrived although its state is {:?}", known.state);
            if self.noted.remove(&number) {
                known.state = ItemState::Queued;
                self.open.insert(number);
            }
            known.received += 1;
            log.required.remove(&number);
            log.uncertain.remove(&number);
            log.received.insert(number);
        }
    }

    /// Checks that every queued notification arrived in the first frame.
    pub(super) fn assert_all_arrived(&self, log: &DeviceLog) {
        let missing: Vec<_> = log.required.iter().map(|n| (n, &self.items[*n])).collect();
        assert!(missing.is_empty(), "answered OK and missing for {}: {missing:?}", self.user);
    }

    /// Marks the uncertain notifications that did not arrive as lost.
    pub(super) fn resolve(&mut self, log: &mut DeviceLog) {
        for number in std::mem::take(&mut log.uncertain) {
            match self.items[number].state {
                ItemState::Acking => self.acked(&[number], log.run),
                ItemState::Noted { .. } => self.settle(number, ItemState::Settled),
                ItemState::Sent { .. }
                | ItemState::Queued
                | ItemState::Settled
                | ItemState::Dropped => self.settle(number, ItemState::Dropped),
            }
        }
    }

    /// Records that a device is about to acknowledge notifications, and returns their ids.
    pub(super) fn acking(&mut self, numbers: &[usize]) -> Vec<String> {
        let mut ack = |number: &usize| {
            let item = &mut self.items[*number];
            item.state = ItemState::Acking;
            item.id.clone().unwrap()
        };
        numbers.iter().map(&mut ack).collect()
    }

    /// Records that an acknowledgement was answered with OK.
    pub(super) fn acked(&mut self, numbers: &[usize], run: usize) {
        for number in numbers {
            self.settle(*number, ItemState::Noted { run });
            self.noted.insert(*number);
        }
    }

    /// Checks that nothing is open and that every accepted notification arrived. Returns the ids.
    pub(super) fn close(&self) -> Vec<&str> {
        assert!(self.open.is_empty(), "{} has open items: {:?}", self.user, self.open);
        for (number, item) in self.items.iter().enumerate() {
            let lost = item.answered && item.received == 0;
            assert!(!lost, "{} never received {number}: {item:?}", self.user);
        }
        self.items.iter().filter_map(|item| item.id.as_deref()).collect()
    }

    pub(super) fn totals(&self) -> Totals {
        let count =
            |condition: &dyn Fn(&&Item) -> bool| self.items.iter().filter(condition).count();
        Totals {
            answered: count(&|item| item.answered),
            settled: count(&|item| {
                matches!(item.state, ItemState::Settled | ItemState::Noted { .. })
            }),
            dropped: count(&|item| item.state == ItemState::Dropped),
            repeated: self.items.iter().map(|item| item.received.saturating_sub(1)).sum(),
        }
    }

    fn settle(&mut self, number: usize, state: ItemState) {
        self.items[number].state = state;
        self.open.remove(&number);
        self.noted.remove(&number);
    }

    /// Records the id of a notification, and checks that it never changes.
    fn set_id(&mut self, number: usize, id: &str) {
        let known = self.items[number].id.get_or_insert_with(|| id.to_owned());
        assert_eq!(known, id, "{}:{number} has two ids", self.user);
    }

    fn number_of(&self, item: &Value) -> usize {
        let message = item["message"].as_str().unwrap_or_default();
        let number = message.strip_prefix(&self.user).and_then(|rest| rest.strip_prefix(':'));
        let number = number.and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("{} got a notification of another user: {item}", self.user))
    }
}
