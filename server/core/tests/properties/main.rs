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
//! 8. an AppService gets each receipt once, and none that was decided while the user was hidden;
//! 9. no taken notification of a visible user stays without a release.

#![expect(clippy::unwrap_used, reason = "these are tests, though not in functions marked so")]
#![expect(clippy::indexing_slicing, reason = "these are tests, though not in functions marked so")]

mod client;
mod hub;
mod model;
mod step;
mod world;

use std::time::Duration;

use presence_core::reader::WireFormat;
use presence_core::stream::Retention;
use presence_protocol::Status;
use presence_protocol::app::ReceiptState;
use proptest::prelude::*;
use step::{Habit, Length, Scenario, Step, scenario};

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

/// One user, online and with a grant, whose taken notification has a row, since the user was hidden
/// when it was taken. Then the user is visible again, and the steps follow.
fn visible_with_a_taken_row(then: Vec<Step>) -> Scenario {
    let (user, app, seat, device) = (0, 0, 0, 0);
    let online = Step::Say { seat, status: Status::Online, text: "", only: None };
    let mut steps = vec![
        Step::Connect { user, device, slowly: false },
        online.clone(),
        Step::ShowOnlyTo { seat, apps: vec![] },
        Step::Receipt { user, app, state: ReceiptState::Delivered },
        Step::BeginGroup,
        Step::EndGroup { commits: true },
        Step::ShowOnlyTo { seat, apps: vec![app] },
    ];
    steps.extend(then);
    Scenario {
        users: 1,
        apps: 1,
        kept: Retention { entries: 1_000, age: Duration::from_hours(1) },
        warming_up: false,
        granted: vec![app],
        clients: vec![Habit { app, form: WireFormat::Paged { receipts: true }, keeps_up: true }],
        steps,
    }
}

fn hide() -> Step {
    Step::ShowOnlyTo { seat: 0, apps: vec![] }
}

#[test]
fn a_release_is_committed_although_the_user_hides_during_its_transaction() {
    let commit = Step::EndGroup { commits: true };
    run(&visible_with_a_taken_row(vec![Step::BeginGroup, hide(), commit])).unwrap();
}

#[test]
fn a_release_waits_if_the_user_hides_before_its_transaction() {
    let commit = Step::EndGroup { commits: true };
    run(&visible_with_a_taken_row(vec![hide(), Step::BeginGroup, commit])).unwrap();
}

#[test]
fn a_taken_row_outlives_a_crash_and_is_released_when_the_user_is_visible() {
    let (user, device, seat) = (0, 0, 0);
    run(&visible_with_a_taken_row(vec![
        Step::BeginGroup,
        Step::Restart { warming_up: false },
        Step::Connect { user, device, slowly: false },
        Step::Say { seat, status: Status::Online, text: "", only: None },
    ]))
    .unwrap();
}

#[test]
fn a_taken_row_is_released_by_an_activation() {
    let switch = |active| Step::Switch { app: 0, active };
    run(&visible_with_a_taken_row(vec![
        switch(false),
        Step::Receipt { user: 0, app: 0, state: ReceiptState::Acked },
        Step::BeginGroup,
        Step::EndGroup { commits: true },
        switch(true),
    ]))
    .unwrap();
}
