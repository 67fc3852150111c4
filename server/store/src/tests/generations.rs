//! The greatest generation of a user, and the sessions that a greater one ends.

use presence_core::model::{CredentialGeneration, Session, UserId};

use super::fixture::{Fixture, NOW, session};
use crate::GenerationOutcome;

fn of(issuer: &str, number: u64) -> CredentialGeneration {
    CredentialGeneration { issuer: issuer.into(), number }
}

async fn add_session(
    fixture: &Fixture,
    user: UserId,
    n: u8,
    generation: Option<CredentialGeneration>,
) {
    let session = Session { generation, ..session(user, n) };
    fixture.insert_session(&session).await;
    assert_eq!(fixture.session([n; 32], NOW).await.unwrap(), Some(session));
}

#[tokio::test]
async fn the_greatest_generation_is_remembered_over_a_restart_and_a_smaller_one_is_outdated() {
    let fixture = Fixture::new().await;
    let alice = fixture.user("alice").await;
    let record = async |fixture: &Fixture, number| {
        fixture.store.record_generation(alice, &of("idp.example", number)).await.unwrap()
    };
    assert_eq!(record(&fixture, 5).await, GenerationOutcome::Raised(Vec::new()));
    assert_eq!(record(&fixture, 5).await, GenerationOutcome::Unchanged);
    assert_eq!(record(&fixture, 4).await, GenerationOutcome::Outdated);
    assert_eq!(record(&fixture, 9).await, GenerationOutcome::Raised(Vec::new()));
    let fixture = fixture.reopen().await;
    assert_eq!(record(&fixture, 8).await, GenerationOutcome::Outdated);
    let greatest = fixture.store.greatest_generation(alice, "idp.example").await.unwrap();
    assert_eq!(greatest, Some(9));
}

#[tokio::test]
async fn issuers_and_users_do_not_count_for_each_other() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.user("alice").await, fixture.user("bob").await);
    fixture.store.record_generation(alice, &of("idp.example", 9)).await.unwrap();
    for (user, issuer) in [(alice, "other.example"), (bob, "idp.example")] {
        let outcome = fixture.store.record_generation(user, &of(issuer, 1)).await.unwrap();
        assert_eq!(outcome, GenerationOutcome::Raised(Vec::new()));
    }
}

#[tokio::test]
async fn a_greater_generation_ends_the_sessions_of_smaller_ones_and_no_others() {
    let fixture = Fixture::new().await;
    let (alice, bob) = (fixture.user("alice").await, fixture.user("bob").await);
    add_session(&fixture, alice, 1, Some(of("idp.example", 1))).await;
    add_session(&fixture, alice, 2, Some(of("idp.example", 2))).await;
    add_session(&fixture, alice, 3, Some(of("other.example", 1))).await;
    add_session(&fixture, alice, 4, None).await;
    add_session(&fixture, bob, 5, Some(of("idp.example", 1))).await;
    let outcome = fixture.store.record_generation(alice, &of("idp.example", 2)).await.unwrap();
    assert_eq!(outcome, GenerationOutcome::Raised(vec![[1; 32]]));
    for (n, is_there) in [(1, false), (2, true), (3, true), (4, true), (5, true)] {
        let found = fixture.session([n; 32], NOW).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{n}");
    }
}

#[tokio::test]
async fn an_erased_account_leaves_no_generation() {
    let fixture = Fixture::new().await;
    let alice = fixture.user("alice").await;
    fixture.store.record_generation(alice, &of("idp.example", 9)).await.unwrap();
    fixture.writer.erase_user(alice).await.unwrap();
    assert_eq!(fixture.store.greatest_generation(alice, "idp.example").await.unwrap(), None);
}
