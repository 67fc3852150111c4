//! A record, kept outside of the server, of the notifications to one user and of their outcomes.

use std::collections::BTreeSet;

use serde_json::Value;

/// The known state of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Sent in a run of the server, and not answered: it may be queued or not.
    Asked { run: usize },
    /// Answered OK: it must come until it is acknowledged.
    Queued,
    /// Its acknowledgement was sent and not answered: it may come again or not.
    Acking,
    /// Its acknowledgement was answered OK: it must not come again.
    Settled,
    /// It was refused, or was asked for and not queued: it must never come.
    Void,
}

#[derive(Debug)]
struct Item {
    key: Option<String>,
    /// The server's id, from an answer or from a device, whichever was first.
    id: Option<String>,
    answered: bool,
    /// Asked for again in a later run than its first.
    retried: bool,
    heard: usize,
    fate: Fate,
}

/// One user's items, numbered in the order in which they were sent.
#[derive(Debug)]
pub(super) struct Ledger {
    user: String,
    items: Vec<Item>,
    /// Those that may still come.
    open: BTreeSet<usize>,
    /// Those with a key that were answered.
    keyed: Vec<usize>,
}

/// The items that one connection of a device has received.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// The items that must arrive when it connects.
    must: BTreeSet<usize>,
    /// The items that may have been lost before it connected: those that do not arrive first will
    /// not arrive later.
    doubtful: BTreeSet<usize>,
    last: Option<usize>,
    /// The items that it received and did not acknowledge.
    pub(super) taken: BTreeSet<usize>,
}

/// Sums over a ledger.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sums {
    pub(super) answered: usize,
    pub(super) settled: usize,
    pub(super) void: usize,
    pub(super) again: usize,
}

impl Ledger {
    pub(super) fn new(user: &str) -> Self {
        let (items, open, keyed) = (Vec::new(), BTreeSet::new(), Vec::new());
        Self { user: user.to_owned(), items, open, keyed }
    }

    /// Returns the number of items that may still arrive.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// An item is about to be sent.
    pub(super) fn ask(&mut self, run: usize, with_key: bool) -> usize {
        let number = self.items.len();
        let key = with_key.then(|| format!("key-{number}"));
        let fate = Fate::Asked { run };
        self.items.push(Item { key, id: None, answered: false, retried: false, heard: 0, fate });
        self.open.insert(number);
        number
    }

    /// Returns the request for an item, the same each time.
    pub(super) fn body(&self, number: usize) -> (String, Option<&str>) {
        (format!("{}:{number}", self.user), self.items[number].key.as_deref())
    }

    /// Returns the items that an earlier run left unanswered and that can be sent again.
    pub(super) fn retry_in(&mut self, run: usize) -> Vec<usize> {
        let keyed = |number: &usize| {
            let item = &self.items[*number];
            item.key.is_some() && !item.answered && item.fate != Fate::Void
        };
        let retried: Vec<usize> = self.open.iter().copied().filter(keyed).collect();
        for number in &retried {
            let item = &mut self.items[*number];
            item.retried = true;
            if let Fate::Asked { run: asked } = &mut item.fate {
                *asked = run;
            }
        }
        retried
    }

    /// Those with a key that were answered already.
    pub(super) fn keyed(&self) -> &[usize] {
        &self.keyed
    }

    /// An item was answered OK.
    pub(super) fn accepted(&mut self, number: usize, id: &str) {
        self.is(number, id);
        let item = &mut self.items[number];
        if let Fate::Asked { .. } = item.fate {
            item.fate = Fate::Queued;
        }
        if !std::mem::replace(&mut item.answered, true) && item.key.is_some() {
            self.keyed.push(number);
        }
    }

    /// An item was refused, since the server stops. That says nothing of what an earlier request
    /// may have queued.
    pub(super) fn refused(&mut self, number: usize) {
        let item = &self.items[number];
        if matches!(item.fate, Fate::Asked { .. }) && !item.retried {
            self.settle(number, Fate::Void);
        }
    }

    /// A device is about to connect in a run.
    pub(super) fn listen(&self, run: usize) -> Hearing {
        let with = |wanted: &dyn Fn(&Item) -> bool| {
            self.open.iter().copied().filter(|number| wanted(&self.items[*number])).collect()
        };
        let lost = |item: &Item| match item.fate {
            Fate::Asked { run: asked } => asked < run && item.key.is_none(),
            Fate::Acking => true,
            Fate::Queued | Fate::Settled | Fate::Void => false,
        };
        Hearing {
            must: with(&|item| item.fate == Fate::Queued),
            doubtful: with(&lost),
            ..Hearing::default()
        }
    }

    /// A device has heard a frame of notifications.
    pub(super) fn heard(&mut self, hearing: &mut Hearing, frame: &Value) {
        let items = frame["notifications"].as_array();
        let items = items.unwrap_or_else(|| panic!("notifications were awaited, not {frame}"));
        for item in items {
            let number = self.number_of(item);
            assert!(hearing.last < Some(number), "{number} came after {:?}: {frame}", hearing.last);
            hearing.last = Some(number);
            self.is(number, item["id"].as_str().unwrap());
            let known = &mut self.items[number];
            let settled = matches!(known.fate, Fate::Settled | Fate::Void);
            assert!(!settled, "{item} came though it is {:?}", known.fate);
            known.heard += 1;
            hearing.must.remove(&number);
            hearing.doubtful.remove(&number);
            hearing.taken.insert(number);
        }
    }

    /// Checks that every pending item arrived in the first frame.
    pub(super) fn all_must_have_come(&self, hearing: &Hearing) {
        let missing: Vec<_> = hearing.must.iter().map(|n| (n, &self.items[*n])).collect();
        assert!(missing.is_empty(), "answered OK and missing for {}: {missing:?}", self.user);
    }

    /// Marks the doubtful items that did not arrive as lost.
    pub(super) fn resolve(&mut self, hearing: &mut Hearing) {
        for number in std::mem::take(&mut hearing.doubtful) {
            let acked = self.items[number].fate == Fate::Acking;
            self.settle(number, if acked { Fate::Settled } else { Fate::Void });
        }
    }

    /// A device is about to acknowledge some; their ids.
    pub(super) fn acking(&mut self, numbers: &[usize]) -> Vec<String> {
        let mut ack = |number: &usize| {
            let item = &mut self.items[*number];
            item.fate = Fate::Acking;
            item.id.clone().unwrap()
        };
        numbers.iter().map(&mut ack).collect()
    }

    /// The acknowledgement was answered OK.
    pub(super) fn acked(&mut self, numbers: &[usize]) {
        numbers.iter().for_each(|number| self.settle(*number, Fate::Settled));
    }

    /// At the end: nothing is open, and what was answered OK was heard. Gives the ids.
    pub(super) fn close(&self) -> Vec<&str> {
        assert!(self.open.is_empty(), "{} has open items: {:?}", self.user, self.open);
        for (number, item) in self.items.iter().enumerate() {
            let lost = item.answered && item.heard == 0;
            assert!(!lost, "{} never got {number}: {item:?}", self.user);
        }
        self.items.iter().filter_map(|item| item.id.as_deref()).collect()
    }

    pub(super) fn sums(&self) -> Sums {
        let count = |wanted: &dyn Fn(&&Item) -> bool| self.items.iter().filter(wanted).count();
        Sums {
            answered: count(&|item| item.answered),
            settled: count(&|item| item.fate == Fate::Settled),
            void: count(&|item| item.fate == Fate::Void),
            again: self.items.iter().map(|item| item.heard.saturating_sub(1)).sum(),
        }
    }

    fn settle(&mut self, number: usize, fate: Fate) {
        self.items[number].fate = fate;
        self.open.remove(&number);
    }

    /// An item has one id, whoever tells it, and however often.
    fn is(&mut self, number: usize, id: &str) {
        let known = self.items[number].id.get_or_insert_with(|| id.to_owned());
        assert_eq!(known, id, "{}:{number} has two ids", self.user);
    }

    fn number_of(&self, item: &Value) -> usize {
        let message = item["message"].as_str().unwrap_or_default();
        let number = message.strip_prefix(&self.user).and_then(|rest| rest.strip_prefix(':'));
        let number = number.and_then(|number| number.parse().ok());
        number.unwrap_or_else(|| panic!("{} got what is not theirs: {item}", self.user))
    }
}
