//! What can happen, and in which order: drawn at random, shown one step a line.

use std::fmt;
use std::ops::Range;

use presence_core::reader::WireFormat;
use presence_core::stream::Retention;
use presence_protocol::Status;
use presence_protocol::app::ReceiptState;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// More than this many devices of a user are refused.
pub(crate) const SEATS: usize = 3;
/// One name more than there are seats.
pub(crate) const DEVICES: [&str; 4] = ["phone", "laptop", "tablet", "car"];
const APPS: usize = 3;
const USERS: usize = 3;
const CLIENTS: usize = 7;

/// Something that happens. Users, Applications and clients are numbers, taken modulo how many there are; seats are counted from
/// the newest connection back, so that most are live and some are stale.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// `slowly`: the grants are read at once and reach the hub later.
    Connect {
        user: usize,
        device: usize,
        slowly: bool,
    },
    Say {
        seat: usize,
        status: Status,
        text: &'static str,
        only: Option<Vec<usize>>,
    },
    ShowOnlyTo {
        seat: usize,
        apps: Vec<usize>,
    },
    Leave {
        seat: usize,
        clean: bool,
    },
    EndDevice {
        user: usize,
        device: usize,
    },
    Change {
        user: usize,
        app: usize,
        change: Change,
        late: bool,
    },
    LateGrantsArrive {
        user: usize,
        which: usize,
    },
    Switch {
        app: usize,
        active: bool,
    },
    Wait {
        for_millis: u64,
    },
    Tick {
        after_millis: i64,
    },
    Receipt {
        user: usize,
        app: usize,
        state: ReceiptState,
    },
    /// The writer reads the visibility for its next group, and opens the transaction.
    BeginGroup,
    EndGroup {
        commits: bool,
    },
    Open {
        client: usize,
        with_cursor: bool,
    },
    Close {
        client: usize,
    },
    Read {
        client: usize,
        everything: bool,
    },
    WarmedUp,
    Restart {
        warming_up: bool,
    },
}

/// What a user does to a grant. To grant again gives a new PUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Grant,
    Pause,
    Resume,
    Revoke,
}

/// How a client reads.
#[derive(Debug, Clone)]
pub(crate) struct Habit {
    pub(crate) app: usize,
    pub(crate) form: WireFormat,
    /// Reads everything after every step; otherwise only when told to.
    pub(crate) keeps_up: bool,
}

/// Who there is, and what happens.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) users: usize,
    pub(crate) apps: usize,
    pub(crate) kept: Retention,
    pub(crate) warming_up: bool,
    /// Whom every user has granted before the first step.
    pub(crate) granted: Vec<usize>,
    pub(crate) clients: Vec<Habit>,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, apps, kept, warming_up, granted, clients, steps } = self;
        writeln!(
            f,
            "{users} users, {apps} applications, granted {granted:?}, warming up: {warming_up}"
        )?;
        writeln!(f, "  kept: {kept:?}")?;
        for (n, client) in clients.iter().enumerate() {
            writeln!(f, "  client {n}: {client:?}")?;
        }
        for (n, step) in (1..).zip(steps) {
            writeln!(f, "  {n}. {step:?}")?;
        }
        Ok(())
    }
}

/// How much happens.
pub(crate) struct Length {
    steps: Range<usize>,
}

impl Length {
    pub(crate) const SHORT: Self = Self { steps: 1..40 };
    pub(crate) const LONG: Self = Self { steps: 1..300 };
}

/// Any scenario.
pub(crate) fn scenario(length: &Length) -> impl Strategy<Value = Scenario> + use<> {
    let entries = prop_oneof![3 => 3_usize..8, 2 => Just(1_000)];
    let clients = vec(habit(), 1..CLIENTS);
    let granted = subsequence((0..APPS).collect::<Vec<_>>(), 0..=APPS);
    let head = (1..=USERS, 1..=APPS, entries, any::<bool>(), granted);
    (head, clients, vec(step(), length.steps.clone())).prop_map(|(head, clients, steps)| {
        let (users, apps, entries, warming_up, granted) = head;
        let kept = Retention { entries, age: std::time::Duration::from_hours(1) };
        Scenario { users, apps, kept, warming_up, granted, clients, steps }
    })
}

fn habit() -> impl Strategy<Value = Habit> {
    let form = select(&[
        WireFormat::Plain,
        WireFormat::Paged { receipts: false },
        WireFormat::Paged { receipts: true },
    ]);
    (0..APPS, form, any::<bool>()).prop_map(|(app, form, keeps_up)| Habit { app, form, keeps_up })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![12 => by_device(), 5 => by_user(), 3 => by_time(), 6 => by_application()]
}

fn by_device() -> impl Strategy<Value = Step> {
    let (user, device) = (0..USERS, 0..DEVICES.len());
    // One more than there are: ids that nobody knows are ignored.
    let apps = subsequence((0..=APPS).collect::<Vec<_>>(), 0..=APPS + 1).boxed();
    let seat = prop_oneof![6 => 0_usize..3, 1 => 3_usize..10].boxed();
    let status = prop_oneof![3 => Just(Status::Online), 2 => Just(Status::Unavailable), 2 => Just(Status::Offline)];
    let only = prop_oneof![3 => Just(None), 1 => apps.clone().prop_map(Some)];
    prop_oneof![
        6 => (user.clone(), device.clone(), prop::bool::weighted(0.2))
            .prop_map(|(user, device, slowly)| Step::Connect { user, device, slowly }),
        10 => (seat.clone(), status, select(&["", "a", "b"]), only)
            .prop_map(|(seat, status, text, only)| Step::Say { seat, status, text, only }),
        3 => (seat.clone(), apps).prop_map(|(seat, apps)| Step::ShowOnlyTo { seat, apps }),
        4 => (seat, prop::bool::weighted(0.3)).prop_map(|(seat, clean)| Step::Leave { seat, clean }),
        1 => (user, device).prop_map(|(user, device)| Step::EndDevice { user, device }),
    ]
}

fn by_user() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        4 => Just(Change::Grant), 2 => Just(Change::Pause), 2 => Just(Change::Resume), 2 => Just(Change::Revoke)
    ];
    prop_oneof![
        4 => (0..USERS, 0..APPS, change, prop::bool::weighted(0.25))
            .prop_map(|(user, app, change, late)| Step::Change { user, app, change, late }),
        1 => (0..USERS, 0_usize..4).prop_map(|(user, which)| Step::LateGrantsArrive { user, which }),
    ]
}

fn by_time() -> impl Strategy<Value = Step> {
    let jump = select(&[
        0_i64, 1, 999, 5_000, 9_999, 10_000, 25_000, 3_599_000, 3_700_000, -5_000, -4_000_000,
    ]);
    prop_oneof![
        2 => select(&[1_u64, 500, 9_000, 12_000]).prop_map(|for_millis| Step::Wait { for_millis }),
        4 => jump.prop_map(|after_millis| Step::Tick { after_millis }),
        1 => Just(Step::WarmedUp),
        1 => any::<bool>().prop_map(|warming_up| Step::Restart { warming_up }),
    ]
}

fn by_application() -> impl Strategy<Value = Step> {
    let states = [
        ReceiptState::Delivered,
        ReceiptState::Acked,
        ReceiptState::Expired,
        ReceiptState::Dropped,
    ];
    let state = select(states.to_vec());
    prop_oneof![
        3 => (0..APPS, prop::bool::weighted(0.6)).prop_map(|(app, active)| Step::Switch { app, active }),
        4 => (0..USERS, 0..APPS, state).prop_map(|(user, app, state)| Step::Receipt { user, app, state }),
        4 => Just(Step::BeginGroup),
        4 => prop::bool::weighted(0.8).prop_map(|commits| Step::EndGroup { commits }),
        5 => (0..CLIENTS, prop::bool::weighted(0.8))
            .prop_map(|(client, with_cursor)| Step::Open { client, with_cursor }),
        3 => (0..CLIENTS).prop_map(|client| Step::Close { client }),
        5 => (0..CLIENTS, any::<bool>()).prop_map(|(client, everything)| Step::Read { client, everything }),
    ]
}
