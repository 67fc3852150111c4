//! Notes for all servers: each is read once, and what ends leaves one.

use std::collections::HashMap;

use presence_core::model::{CredentialGeneration, Session};
use sea_orm::{ConnectionTrait, TransactionTrait};

use super::super::fixture::{APP, Fixture, session};
use crate::{Notes, NotesReader};

async fn read(fixture: &Fixture, reader: &mut NotesReader) -> Notes {
    fixture.store.live().unwrap().read_notes(reader).await.unwrap()
}

#[tokio::test]
async fn a_session_a_key_and_a_generation_that_end_leave_a_note_in_their_transaction() {
    let fixture = Fixture::on_postgres().await;
    let (alice, _) = fixture.user_with_grant("alice", 1).await;
    let generation = |number| CredentialGeneration { issuer: "idp.example".into(), number };
    let session = Session { generation: Some(generation(1)), ..session(alice, 1) };
    fixture.insert_session(&session).await;
    let key = fixture.insert_key(1).await;
    fixture.store.record_generation(alice, &generation(1)).await.unwrap();
    let reader = &mut fixture.store.live().unwrap().notes_reader().await.unwrap();
    // A reader begins before the oldest transaction that lasts, also in another database.
    read(&fixture, reader).await;
    assert!(fixture.store.delete_new_session(&[1; 32]).await.unwrap());
    let of_alice = Notes { users: vec![alice], ..Notes::default() };
    assert_eq!(read(&fixture, reader).await, of_alice);
    fixture.store.record_generation(alice, &generation(2)).await.unwrap();
    assert_eq!(read(&fixture, reader).await, of_alice);
    assert!(fixture.store.delete_key(APP, key.id).await.unwrap());
    assert_eq!(read(&fixture, reader).await, Notes { apps: vec![APP], ..Notes::default() });
    assert!(read(&fixture, reader).await.is_empty());
}

#[tokio::test]
async fn a_note_whose_transaction_commits_after_later_ones_is_read_once() {
    let fixture = Fixture::on_postgres().await;
    let live = fixture.store.live().unwrap();
    let reader = &mut live.notes_reader().await.unwrap();
    let of = |user| Notes { users: vec![user], ..Notes::default() };
    let [slow, quick, last] =
        [fixture.user("slow").await, fixture.user("quick").await, fixture.user("last").await];
    let other = fixture.another_server().await;
    let txn = other.write().pool().begin().await.unwrap();
    live.add_notes(&of(slow), &HashMap::new(), &txn).await.unwrap();
    live.note(&of(quick)).await.unwrap();
    assert_eq!(read(&fixture, reader).await, of(quick));
    assert!(read(&fixture, reader).await.is_empty());
    live.note(&of(last)).await.unwrap();
    txn.commit().await.unwrap();
    let mut found = read(&fixture, reader).await;
    found.users.sort_unstable();
    assert_eq!(found.users, [slow, last]);
    assert!(read(&fixture, reader).await.is_empty());
    // A transaction that writes nothing keeps no note back.
    let idle = other.write().pool().begin().await.unwrap();
    idle.execute_unprepared("SELECT 1").await.unwrap();
    live.note(&of(quick)).await.unwrap();
    assert_eq!(read(&fixture, reader).await, of(quick));
    idle.rollback().await.unwrap();
}

#[tokio::test]
async fn notes_of_many_pages_are_read_once_also_while_an_older_transaction_runs() {
    let fixture = Fixture::on_postgres().await;
    let live = fixture.store.live().unwrap();
    let reader = &mut live.notes_reader().await.unwrap();
    let older = fixture.store.write().pool().begin().await.unwrap();
    older.execute_unprepared("SELECT pg_current_xact_id()").await.unwrap();
    // Statements of their own, each in a transaction.
    for first in [0, 1_250] {
        let sql = format!(
            "INSERT INTO notes (kind, subjects, created_at) \
             SELECT 0, ARRAY[{first} + i], 0 FROM generate_series(1, 1250) i"
        );
        fixture.sql(&sql).await;
        let mut found = read(&fixture, reader).await.users;
        found.sort_unstable();
        assert!(found.iter().map(|user| user.0).eq(first + 1..=first + 1_250));
    }
    assert!(read(&fixture, reader).await.is_empty());
    older.rollback().await.unwrap();
    assert!(read(&fixture, reader).await.is_empty());
}
