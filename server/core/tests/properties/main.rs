//! A comparison of the rules with a simple model, over random scenarios of users, Applications,
//! sockets and time.
//!
//! `step` has the steps, `hub` connects the rules as the server does, `model` is the expected state
//! from the contract alone, `client` is an AppService that checks each frame, and `simulation` runs
//! the scenario. The numbers in the messages are those of these promises:
//!
//! 1. an Application never sees a user who has not granted it;
//! 2. an Application never gets the same status and text twice in a row;
//! 3. a client that has read everything has the expected state;
//! 4. each change to offline is delivered exactly once;
//! 5. versions grow, also over restarts;
//! 6. a client that resumes by cursor has the same state as one that was never disconnected;
//! 7. a user who is offline has no text, and `since` is in whole seconds;
//! 8. an AppService gets each receipt once, and no receipt is decided while the user is hidden;
//! 9. no taken notification of a visible user remains without a release;
//! 10. no receipt of a settlement comes before that of an older settlement of the same user;
//! 11. an Application that begins to see a user gets none of the user's receipts during the hold,
//!     and all of them together after it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]
#![expect(clippy::indexing_slicing, reason = "the helpers of tests are tests too")]

mod client;
mod hub;
mod model;
mod simulation;
mod step;

use std::time::Duration;

use presence_core::reader::WireFormat;
use presence_core::stream::Retention;
use presence_protocol::Status;
use presence_protocol::app::ReceiptState;
use proptest::prelude::*;
use step::{Change, ClientConfig, Scenario, ScenarioLength, Step, scenario};

/// Takes `PROPTEST_CASES` (256) and `PROPTEST_RNG_SEED` from the environment.
fn default() -> ProptestConfig {
    ProptestConfig::default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16 * default().cases, max_shrink_iters: 20_000, ..default() })]

    #[test]
    fn all_promises_hold_in_any_short_scenario(scenario in scenario(&ScenarioLength::SHORT)) {
        run(&scenario)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * default().cases, max_shrink_iters: 20_000, ..default() })]

    #[test]
    fn all_promises_hold_in_any_long_scenario(scenario in scenario(&ScenarioLength::LONG)) {
        run(&scenario)?;
    }
}

fn run(scenario: &Scenario) -> Result<(), TestCaseError> {
    simulation::Simulation::run(scenario).map_err(TestCaseError::fail)
}

/// Returns a scenario of a visible user with a taken row, since the user was hidden when a device
/// took the notification. The steps follow.
fn visible_user_with_taken_row(then: Vec<Step>) -> Scenario {
    let (user, app, connection, device) = (0, 0, 0, 0);
    let online = Step::Report { connection, status: Status::Online, text: "", only: None };
    let mut steps = vec![
        Step::Connect { user, device, late: false },
        online,
        Step::SetVisibility { connection, apps: vec![] },
        Step::Receipt { user, app, state: ReceiptState::Delivered },
        Step::BeginGroup,
        Step::EndGroup { commits: true },
        Step::SetVisibility { connection, apps: vec![app] },
        end_of_hold(),
    ];
    steps.extend(then);
    single_user(vec![app], steps)
}

/// Returns a scenario of a user whose grant reaches the hub late, after a device has taken a
/// notification. The user is online. The steps follow.
fn late_grant_with_taken_row(then: Vec<Step>) -> Scenario {
    let (user, app, connection, device) = (0, 0, 0, 0);
    let mut steps = vec![
        Step::Connect { user, device, late: false },
        Step::Report { connection, status: Status::Online, text: "", only: None },
        Step::Change { user, app, change: Change::Grant, late: true },
        Step::Receipt { user, app, state: ReceiptState::Delivered },
        Step::BeginGroup,
        Step::EndGroup { commits: true },
    ];
    steps.extend(then);
    single_user(vec![], steps)
}

/// Returns a scenario of one user, and of one Application whose client reads everything.
fn single_user(granted: Vec<usize>, steps: Vec<Step>) -> Scenario {
    let format = WireFormat::Paged { receipts: true };
    Scenario {
        users: 1,
        apps: 1,
        kept: Retention { entries: 1_000, age: Duration::from_hours(1), bytes: usize::MAX },
        warming_up: false,
        granted,
        clients: vec![ClientConfig { app: 0, format, keeps_up: true }],
        steps,
    }
}

/// Returns the step after which the Application gets the receipts of a user whom it sees.
fn end_of_hold() -> Step {
    Step::Tick { millis: 30_000 }
}

fn hide() -> Step {
    Step::SetVisibility { connection: 0, apps: vec![] }
}

#[test]
fn a_release_is_committed_although_the_user_hides_during_its_transaction() {
    let commit = Step::EndGroup { commits: true };
    run(&visible_user_with_taken_row(vec![Step::BeginGroup, hide(), commit])).unwrap();
}

#[test]
fn a_release_waits_if_the_user_hides_before_its_transaction() {
    let commit = Step::EndGroup { commits: true };
    run(&visible_user_with_taken_row(vec![hide(), Step::BeginGroup, commit])).unwrap();
}

#[test]
fn a_settlement_waits_if_the_user_becomes_visible_after_the_releases_were_taken() {
    let (user, app, connection) = (0, 0, 0);
    run(&visible_user_with_taken_row(vec![
        hide(),
        Step::Receipt { user, app, state: ReceiptState::Acked },
        Step::TakeReleases,
        Step::SetVisibility { connection, apps: vec![app] },
        Step::BeginGroup,
        Step::EndGroup { commits: true },
    ]))
    .unwrap();
}

#[test]
fn a_taken_row_outlives_a_crash_and_is_released_when_the_user_is_visible() {
    let (user, device, connection) = (0, 0, 0);
    run(&visible_user_with_taken_row(vec![
        Step::BeginGroup,
        Step::Restart { warming_up: false },
        Step::Connect { user, device, late: false },
        Step::Report { connection, status: Status::Online, text: "", only: None },
    ]))
    .unwrap();
}

#[test]
fn a_taken_row_is_released_by_an_activation() {
    let set_active = |active| Step::SetActive { app: 0, active };
    run(&visible_user_with_taken_row(vec![
        set_active(false),
        Step::Receipt { user: 0, app: 0, state: ReceiptState::Acked },
        Step::BeginGroup,
        Step::EndGroup { commits: true },
        set_active(true),
    ]))
    .unwrap();
}

#[test]
fn a_release_is_committed_although_the_next_grants_hide_the_user() {
    let late_grants = Step::DeliverLateGrants { user: 0, which: 0 };
    run(&late_grant_with_taken_row(vec![
        Step::Change { user: 0, app: 0, change: Change::Pause, late: true },
        late_grants.clone(),
        end_of_hold(),
        Step::BeginGroup,
        late_grants,
        Step::EndGroup { commits: true },
    ]))
    .unwrap();
}

#[test]
fn a_release_waits_if_the_device_that_loaded_the_grants_leaves_at_once() {
    let (user, device, connection) = (0, 0, 0);
    run(&late_grant_with_taken_row(vec![
        Step::Connect { user, device, late: true },
        Step::Disconnect { connection, clean: true },
        Step::BeginGroup,
        Step::EndGroup { commits: true },
        Step::Connect { user, device, late: false },
        Step::Report { connection, status: Status::Online, text: "", only: None },
    ]))
    .unwrap();
}
