//! Changes that wait for the next moment of their Application.

use std::time::Duration;

use presence_core::roster::ViewChange;
use presence_core::stream::replica::SharedItem;
use presence_core::{UserId, View};
use presence_protocol::{OfflineCause, Puid, Status};

use super::super::fixture::{APP, Fixture};
use crate::{CommonSettings, Joined, Live, NewNode, RosterChange, SharedRoster};

const NODE: i64 = 1;
const DELAY: Duration = Duration::from_hours(1);

/// Creates `APP` and lets a server join.
async fn epoch(fixture: &Fixture) -> i64 {
    let owner = fixture.user("owner").await;
    fixture.app(APP, owner).await;
    let live = fixture.store.live().unwrap();
    let (name, version, settings) = (String::new(), String::new(), CommonSettings::default());
    let node = NewNode { id: NODE, name, version, settings };
    let Joined::Epoch(epoch) = live.join(&node, Duration::ZERO).await.unwrap() else {
        panic!("another server has other settings");
    };
    live.create_streams(&[APP]).await.unwrap();
    epoch.id
}

async fn change(live: &Live, epoch: i64, (user, puid): (UserId, Puid), status: Status) {
    let view = View::new(status, None);
    let change = ViewChange { app: APP, puid, view, cause: OfflineCause::Left };
    let (roster, changes) = (&SharedRoster::default(), vec![change]);
    let (comes, gone) = (false, Vec::new());
    let change = RosterChange { user, rev: None, grants: None, roster, comes, gone, changes };
    let applied = live.apply((epoch, NODE), DELAY, vec![change]).await.unwrap();
    assert!(applied.refused.is_empty());
}

/// Lets the moment of every Application come.
async fn show(fixture: &Fixture) {
    fixture.sql("UPDATE live_schedules SET next_at = 0").await;
    fixture.store.live().unwrap().show_waiting(DELAY).await.unwrap();
}

async fn seen(live: &Live) -> Vec<Puid> {
    let rows = live.visible_rows(APP, None, 10).await.unwrap();
    rows.into_iter().map(|row| row.puid).collect()
}

#[tokio::test]
async fn changes_of_many_users_are_shown_together_in_the_order_of_puids() {
    let fixture = Fixture::on_postgres().await;
    let live = fixture.store.live().unwrap();
    let epoch = epoch(&fixture).await;
    let (last, first) =
        (fixture.user_with_grant("last", 9).await, fixture.user_with_grant("first", 1).await);
    let brief = fixture.user_with_grant("brief", 5).await;
    change(live, epoch, last, Status::Online).await;
    change(live, epoch, brief, Status::Online).await;
    change(live, epoch, first, Status::Online).await;
    change(live, epoch, brief, Status::Offline).await;
    live.show_waiting(DELAY).await.unwrap();
    assert!(seen(live).await.is_empty(), "before the moment");
    show(&fixture).await;
    assert_eq!(seen(live).await, [first.1, last.1]);
    let entries = live.entries_after(&[(APP, 0)]).await.unwrap();
    let told: Vec<Puid> = entries
        .into_iter()
        .filter_map(|(_, entry)| match entry.item {
            SharedItem::Update { puid, .. } => Some(puid),
            SharedItem::Receipt(_) | SharedItem::Revoked { .. } | SharedItem::Switched { .. } => {
                None
            }
        })
        .collect();
    assert_eq!(told, [first.1, last.1], "one who came and went is not told");
}

#[tokio::test]
async fn what_waits_of_a_revoked_grant_or_a_removed_application_is_never_shown() {
    let fixture = Fixture::on_postgres().await;
    let live = fixture.store.live().unwrap();
    let epoch = epoch(&fixture).await;
    let (alice, bob) =
        (fixture.user_with_grant("alice", 1).await, fixture.user_with_grant("bob", 2).await);
    change(live, epoch, alice, Status::Online).await;
    change(live, epoch, bob, Status::Online).await;
    fixture.writer.revoke(alice.0, APP).await.unwrap();
    show(&fixture).await;
    assert_eq!(seen(live).await, [bob.1]);
    change(live, epoch, bob, Status::Offline).await;
    assert!(fixture.writer.remove_app(APP).await.unwrap());
    live.remove_rests().await.unwrap();
    let sql = "DO $$ BEGIN IF EXISTS (SELECT 1 FROM live_log) OR EXISTS (SELECT 1 FROM live_now) \
               OR EXISTS (SELECT 1 FROM live_waiting) OR EXISTS (SELECT 1 FROM live_removed) \
               THEN RAISE EXCEPTION 'rows are left'; END IF; END $$";
    fixture.sql(sql).await;
    live.show_waiting(DELAY).await.unwrap();
}
