//! The rules held against a simple model: any order of what users, Applications, sockets and the clock may do.
//!
//! `step` says what can happen, `hub` wires the rules together as the server does, `model` knows the truth from the contract
//! alone, `client` is an AppService that believes what it reads, and `world` lets them meet. The numbers in the messages are
//! those of this list:
//!
//! 1. an Application never sees a user who has not granted it;
//! 2. nobody hears the same status and text twice in a row;
//! 3. whoever has read everything believes the truth;
//! 4. every offline is heard exactly once;
//! 5. versions grow, over restarts too;
//! 6. who resumes by cursor believes what one believes who never left;
//! 7. offline has no text, and `since` is in whole seconds;
//! 8. a receipt is heard exactly once, and none tells of a user who hides.

#![expect(clippy::unwrap_used, reason = "these are tests, though not in functions marked so")]
#![expect(clippy::indexing_slicing, reason = "these are tests, though not in functions marked so")]

mod client;
mod hub;
mod model;
mod step;
mod world;

use presence_core::reader::WireFormat;
use presence_core::stream::Retention;
use presence_protocol::Status;
use presence_protocol::app::ReceiptState;
use proptest::prelude::*;
use step::{Change, Habit, Length, Scenario, Step, scenario};

/// Takes `PROPTEST_CASES` (256) and `PROPTEST_RNG_SEED` from the environment.
fn default() -> ProptestConfig {
    ProptestConfig::default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16 * default().cases, max_shrink_iters: 20_000, ..default() })]

    #[test]
    fn whatever_happens_everybody_is_told_the_truth_once(scenario in scenario(&Length::SHORT)) {
        run(&scenario)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * default().cases, max_shrink_iters: 20_000, ..default() })]

    #[test]
    fn it_stays_so_in_a_long_run(scenario in scenario(&Length::LONG)) {
        run(&scenario)?;
    }
}

fn run(scenario: &Scenario) -> Result<(), TestCaseError> {
    world::World::live(scenario).map_err(TestCaseError::fail)
}

/// One user who is online when they grant the one Application, which is told only after a receipt of theirs is waiting; then what
/// hides them again.
fn shown_for_a_moment(then: [Step; 2]) -> Scenario {
    let (device, seat) = (0, 0);
    let change = Change::Grant;
    let form = WireFormat::Paged { receipts: true };
    let [hides, last] = then;
    Scenario {
        users: 1,
        apps: 1,
        kept: Retention { entries: 1_000, age: std::time::Duration::from_hours(1) },
        warming_up: false,
        granted: vec![],
        clients: vec![Habit { app: 0, form, keeps_up: false }],
        steps: vec![
            Step::Connect { user: 0, device, slowly: false },
            Step::Say { seat, status: Status::Online, text: "", only: None },
            Step::Change { user: 0, app: 0, change, late: true },
            Step::Receipt { user: 0, app: 0, state: ReceiptState::Delivered },
            hides,
            last,
        ],
    }
}

#[test]
fn a_receipt_is_told_though_the_next_grants_hide_the_user_again() {
    let pause = Step::Change { user: 0, app: 0, change: Change::Pause, late: true };
    run(&shown_for_a_moment([pause, Step::Wait { for_millis: 1 }])).unwrap();
}

#[test]
fn a_receipt_is_told_though_the_device_that_brought_the_grants_leaves_at_once() {
    let comes_back = Step::Connect { user: 0, device: 0, slowly: true };
    run(&shown_for_a_moment([comes_back, Step::Leave { seat: 0, clean: true }])).unwrap();
}
