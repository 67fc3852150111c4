//! The greatest generation of a user, and what a greater one ends.

use presence_core::model::{CredentialGeneration, Scope, Session, UserId};

use super::house::{HOUR, House, NOW};
use crate::Raised;

fn of(issuer: &str, number: u64) -> CredentialGeneration {
    CredentialGeneration { issuer: issuer.into(), number }
}

async fn session(house: &House, user: UserId, n: u8, generation: Option<CredentialGeneration>) {
    let session = Session {
        digest: [n; 32],
        user,
        scope: Scope::Device,
        created_at: NOW,
        expires_at: NOW + HOUR,
        generation,
    };
    house.store.insert_session(&session).await.unwrap();
    assert_eq!(house.store.session(&[n; 32], NOW).await.unwrap(), Some(session));
}

#[tokio::test]
async fn the_greatest_generation_is_remembered_over_a_restart_and_a_smaller_one_is_outdated() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    let raise = async |house: &House, number| {
        house.store.raise_generation(alice, &of("idp.example", number)).await.unwrap()
    };
    assert_eq!(raise(&house, 5).await, Raised::Ended(Vec::new()));
    assert_eq!(raise(&house, 5).await, Raised::Same);
    assert_eq!(raise(&house, 4).await, Raised::Outdated);
    assert_eq!(raise(&house, 9).await, Raised::Ended(Vec::new()));
    let house = house.reopen().await;
    assert_eq!(raise(&house, 8).await, Raised::Outdated);
    let greatest = house.store.greatest_generation(alice, "idp.example").await.unwrap();
    assert_eq!(greatest, Some(9));
}

#[tokio::test]
async fn issuers_and_users_do_not_count_for_each_other() {
    let house = House::new().await;
    let (alice, bob) = (house.user("alice").await, house.user("bob").await);
    house.store.raise_generation(alice, &of("idp.example", 9)).await.unwrap();
    for (user, issuer) in [(alice, "other.example"), (bob, "idp.example")] {
        let raised = house.store.raise_generation(user, &of(issuer, 1)).await.unwrap();
        assert_eq!(raised, Raised::Ended(Vec::new()));
    }
}

#[tokio::test]
async fn a_greater_generation_ends_the_sessions_of_smaller_ones_and_no_others() {
    let house = House::new().await;
    let (alice, bob) = (house.user("alice").await, house.user("bob").await);
    session(&house, alice, 1, Some(of("idp.example", 1))).await;
    session(&house, alice, 2, Some(of("idp.example", 2))).await;
    session(&house, alice, 3, Some(of("other.example", 1))).await;
    session(&house, alice, 4, None).await;
    session(&house, bob, 5, Some(of("idp.example", 1))).await;
    let raised = house.store.raise_generation(alice, &of("idp.example", 2)).await.unwrap();
    assert_eq!(raised, Raised::Ended(vec![[1; 32]]));
    for (n, is_there) in [(1, false), (2, true), (3, true), (4, true), (5, true)] {
        let found = house.store.session(&[n; 32], NOW).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{n}");
    }
}

#[tokio::test]
async fn an_erased_account_leaves_no_generation() {
    let house = House::new().await;
    let alice = house.user("alice").await;
    house.store.raise_generation(alice, &of("idp.example", 9)).await.unwrap();
    house.writer.erase_user(alice).await.unwrap();
    assert_eq!(house.store.greatest_generation(alice, "idp.example").await.unwrap(), None);
}
