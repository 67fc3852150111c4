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

use proptest::prelude::*;
use step::{Length, Scenario, scenario};

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_everybody_is_told_the_truth_once(scenario in scenario(&Length::SHORT)) {
        run(&scenario)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn it_stays_so_in_a_long_run(scenario in scenario(&Length::LONG)) {
        run(&scenario)?;
    }
}

fn run(scenario: &Scenario) -> Result<(), TestCaseError> {
    world::World::live(scenario).map_err(TestCaseError::fail)
}
