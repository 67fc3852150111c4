//! The steps of a scenario, and the strategy that draws them at random.

use std::fmt;
use std::ops::Range;

use presence_core::reader::WireFormat;
use presence_core::stream::Retention;
use presence_protocol::Status;
use presence_protocol::app::ReceiptState;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The maximum number of connected devices of a user.
pub(crate) const MAX_CONNECTIONS: usize = 3;
/// The names of devices, one more than may be connected.
pub(crate) const DEVICES: [&str; 4] = ["phone", "laptop", "tablet", "car"];
const APPS: usize = 3;
const USERS: usize = 3;
const CLIENTS: usize = 7;

/// A step. Users, Applications and clients are numbers, taken modulo their count. Connections are
/// counted from the newest one back, so that most are open and some are stale.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Connects a device. If `late` is set, its grants are read now and reach the hub later.
    Connect {
        user: usize,
        device: usize,
        late: bool,
    },
    /// Sets the status of a device, for all Applications or for some.
    Report {
        connection: usize,
        status: Status,
        text: &'static str,
        only: Option<Vec<usize>>,
    },
    SetVisibility {
        connection: usize,
        apps: Vec<usize>,
    },
    Disconnect {
        connection: usize,
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
    DeliverLateGrants {
        user: usize,
        which: usize,
    },
    SetActive {
        app: usize,
        active: bool,
    },
    Wait {
        millis: u64,
    },
    Tick {
        millis: i64,
    },
    /// Settles, expires or drops a notification.
    Receipt {
        user: usize,
        app: usize,
        state: ReceiptState,
    },
    /// Takes the releases of the next group of the writer.
    TakeReleases,
    /// Reads the visibility for the next group of the writer, and opens its transaction. Takes its
    /// releases if they are not taken yet.
    BeginGroup,
    /// Commits the open group, or rolls it back.
    EndGroup {
        commits: bool,
    },
    OpenSocket {
        client: usize,
        with_cursor: bool,
    },
    CloseSocket {
        client: usize,
    },
    ReadSocket {
        client: usize,
        everything: bool,
    },
    EndWarmUp,
    Restart {
        warming_up: bool,
    },
}

/// A change of a grant. A further grant after a revocation has a new PUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Grant,
    Pause,
    Resume,
    Revoke,
}

/// The Application and the reading habits of a client.
#[derive(Debug, Clone)]
pub(crate) struct ClientConfig {
    pub(crate) app: usize,
    pub(crate) format: WireFormat,
    /// Set if it reads everything after every step. Otherwise it reads only at its own steps.
    pub(crate) keeps_up: bool,
}

/// The participants and the steps.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) users: usize,
    pub(crate) apps: usize,
    pub(crate) kept: Retention,
    pub(crate) warming_up: bool,
    /// The Applications that every user has granted before the first step.
    pub(crate) granted: Vec<usize>,
    pub(crate) clients: Vec<ClientConfig>,
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

/// The range of the number of steps.
pub(crate) struct ScenarioLength {
    steps: Range<usize>,
}

impl ScenarioLength {
    pub(crate) const SHORT: Self = Self { steps: 1..40 };
    pub(crate) const LONG: Self = Self { steps: 1..300 };
}

/// Returns the strategy of all scenarios.
pub(crate) fn scenario(length: &ScenarioLength) -> impl Strategy<Value = Scenario> + use<> {
    let entries = prop_oneof![3 => 3_usize..8, 2 => Just(1_000)];
    let clients = vec(config(), 1..CLIENTS);
    let granted = subsequence((0..APPS).collect::<Vec<_>>(), 0..=APPS);
    let head = (1..=USERS, 1..=APPS, entries, any::<bool>(), granted);
    (head, clients, vec(step(), length.steps.clone())).prop_map(|(head, clients, steps)| {
        let (users, apps, entries, warming_up, granted) = head;
        let kept =
            Retention { entries, age: std::time::Duration::from_hours(1), bytes: usize::MAX };
        Scenario { users, apps, kept, warming_up, granted, clients, steps }
    })
}

fn config() -> impl Strategy<Value = ClientConfig> {
    let format = select(&[
        WireFormat::Plain,
        WireFormat::Paged { receipts: false },
        WireFormat::Paged { receipts: true },
    ]);
    (0..APPS, format, any::<bool>()).prop_map(|(app, format, keeps_up)| ClientConfig {
        app,
        format,
        keeps_up,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![12 => device_step(), 5 => user_step(), 3 => time_step(), 6 => application_step()]
}

fn device_step() -> impl Strategy<Value = Step> {
    let (user, device) = (0..USERS, 0..DEVICES.len());
    // One more than there are, since unknown ids are ignored.
    let apps = subsequence((0..=APPS).collect::<Vec<_>>(), 0..=APPS + 1).boxed();
    let connection = prop_oneof![6 => 0_usize..3, 1 => 3_usize..10].boxed();
    let status = prop_oneof![3 => Just(Status::Online), 2 => Just(Status::Unavailable), 2 => Just(Status::Offline)];
    let only = prop_oneof![3 => Just(None), 1 => apps.clone().prop_map(Some)];
    prop_oneof![
        6 => (user.clone(), device.clone(), prop::bool::weighted(0.2))
            .prop_map(|(user, device, late)| Step::Connect { user, device, late }),
        10 => (connection.clone(), status, select(&["", "a", "b"]), only)
            .prop_map(|(connection, status, text, only)| Step::Report { connection, status, text, only }),
        3 => (connection.clone(), apps).prop_map(|(connection, apps)| Step::SetVisibility { connection, apps }),
        4 => (connection, prop::bool::weighted(0.3)).prop_map(|(connection, clean)| Step::Disconnect { connection, clean }),
        1 => (user, device).prop_map(|(user, device)| Step::EndDevice { user, device }),
    ]
}

fn user_step() -> impl Strategy<Value = Step> {
    let change = prop_oneof![
        4 => Just(Change::Grant), 2 => Just(Change::Pause), 2 => Just(Change::Resume), 2 => Just(Change::Revoke)
    ];
    prop_oneof![
        4 => (0..USERS, 0..APPS, change, prop::bool::weighted(0.25))
            .prop_map(|(user, app, change, late)| Step::Change { user, app, change, late }),
        1 => (0..USERS, 0_usize..4).prop_map(|(user, which)| Step::DeliverLateGrants { user, which }),
    ]
}

fn time_step() -> impl Strategy<Value = Step> {
    let jump = select(&[
        0_i64, 1, 999, 5_000, 9_999, 10_000, 25_000, 30_000, 3_599_000, 3_700_000, -5_000,
        -4_000_000,
    ]);
    prop_oneof![
        2 => select(&[1_u64, 500, 9_000, 12_000]).prop_map(|millis| Step::Wait { millis }),
        4 => jump.prop_map(|millis| Step::Tick { millis }),
        1 => Just(Step::EndWarmUp),
        1 => any::<bool>().prop_map(|warming_up| Step::Restart { warming_up }),
    ]
}

fn application_step() -> impl Strategy<Value = Step> {
    let states = [
        ReceiptState::Delivered,
        ReceiptState::Acked,
        ReceiptState::Expired,
        ReceiptState::Dropped,
    ];
    let state = select(states.to_vec());
    prop_oneof![
        3 => (0..APPS, prop::bool::weighted(0.6)).prop_map(|(app, active)| Step::SetActive { app, active }),
        4 => (0..USERS, 0..APPS, state).prop_map(|(user, app, state)| Step::Receipt { user, app, state }),
        2 => Just(Step::TakeReleases),
        4 => Just(Step::BeginGroup),
        4 => prop::bool::weighted(0.8).prop_map(|commits| Step::EndGroup { commits }),
        5 => (0..CLIENTS, prop::bool::weighted(0.8))
            .prop_map(|(client, with_cursor)| Step::OpenSocket { client, with_cursor }),
        3 => (0..CLIENTS).prop_map(|client| Step::CloseSocket { client }),
        5 => (0..CLIENTS, any::<bool>()).prop_map(|(client, everything)| Step::ReadSocket { client, everything }),
    ]
}
