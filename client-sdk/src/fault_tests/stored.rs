//! State over restarts, and storages that fail, hang and hold nonsense.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::scripted_server::{Script, ScriptedServer, within};
use crate::{
    AppServiceEvent, ConnectionState, DeviceChannel, DeviceEvents, NotificationId, PresenceUpdate,
    Puid, Status, Storage, StoredPresenceMap, UnixMillis, Updates,
};

/// A storage in memory that can fail, and whose saves can be held up.
#[derive(Default)]
struct MemoryStorage {
    document: Mutex<Option<Vec<u8>>>,
    fails: Mutex<bool>,
    held_up: Mutex<bool>,
    released: Condvar,
    saves: AtomicUsize,
}

impl MemoryStorage {
    fn with(document: &str) -> Arc<Self> {
        let storage = Self::default();
        *locked(&storage.document) = Some(document.as_bytes().to_vec());
        Arc::new(storage)
    }

    fn text(&self) -> String {
        let document = locked(&self.document).clone();
        String::from_utf8(document.unwrap_or_default()).unwrap()
    }

    fn set_failing(&self, fails: bool) {
        *locked(&self.fails) = fails;
    }

    fn hold_up(&self, held_up: bool) {
        *locked(&self.held_up) = held_up;
        self.released.notify_all();
    }
}

impl Storage for MemoryStorage {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        if *locked(&self.fails) {
            return Err(io::Error::other("no disk"));
        }
        Ok(locked(&self.document).clone())
    }

    fn save(&self, document: &[u8]) -> io::Result<()> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        let held_up = locked(&self.held_up);
        let released = self.released.wait_while(held_up, |held_up| *held_up);
        drop(released.map_err(|_| io::Error::other("a test panicked"))?);
        if *locked(&self.fails) {
            return Err(io::Error::other("no disk"));
        }
        *locked(&self.document) = Some(document.to_vec());
        Ok(())
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap()
}

fn shared(storage: &Arc<MemoryStorage>) -> Arc<dyn Storage> {
    Arc::<MemoryStorage>::clone(storage)
}

fn id(bits: u128) -> NotificationId {
    NotificationId::from_bits(bits)
}

fn device(server: &ScriptedServer, storage: &Arc<MemoryStorage>) -> (DeviceChannel, DeviceEvents) {
    server.device(|options| options.storage = Some(shared(storage)))
}

/// Waits until the storage has a document that matches.
async fn wait_for_document(storage: &MemoryStorage, matches: impl Fn(&str) -> bool) {
    let stored = async {
        while !matches(&storage.text()) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    within(stored).await;
}

#[tokio::test]
async fn an_acknowledgement_made_just_before_a_crash_is_sent_after_the_restart() {
    let storage = Arc::<MemoryStorage>::default();
    // This server reads nothing after the first frame, so that no acknowledgement is confirmed.
    let silent = ScriptedServer::start(vec![Script::HangAfterUpgrade]).await;
    let (crashed, _events) = device(&silent, &storage);
    crashed.acknowledge(id(5));
    wait_for_document(&storage, |text| text.contains(&id(5).to_string())).await;

    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = device(&server, &storage);
    let acknowledged = async {
        while !server.frames().iter().any(|frame| frame.contains(&id(5).to_string())) {
            tokio::task::yield_now().await;
        }
    };
    within(acknowledged).await;
    within(channel.confirmed()).await.unwrap();
    wait_for_document(&storage, |text| !text.contains(&id(5).to_string())).await;
}

#[tokio::test]
async fn a_notification_that_was_shown_before_a_restart_is_not_delivered_again() {
    let storage = Arc::<MemoryStorage>::default();
    let server = ScriptedServer::start(vec![Script::Notify]).await;
    for is_first in [true, false] {
        let (channel, events) = device(&server, &storage);
        let (mut notifications, _requests) = events.split();
        if is_first {
            let first = within(notifications.next()).await.unwrap();
            let second = within(notifications.next()).await.unwrap();
            assert_eq!((first.id, second.id), (id(1), id(2)));
            channel.mark_shown(first.id);
            wait_for_document(&storage, |text| text.contains(&first.id.to_string())).await;
        } else {
            assert_eq!(within(notifications.next()).await.unwrap().id, id(2));
        }
        channel.close().await;
    }
}

#[tokio::test]
async fn a_storage_that_fails_or_hangs_does_not_hold_up_the_channel() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let storage = Arc::<MemoryStorage>::default();
    storage.set_failing(true);
    let (channel, _events) = device(&server, &storage);
    channel.mark_shown(id(1));
    within(channel.confirmed()).await.unwrap();
    let failed = async {
        while channel.storage_counters().errors < 2 {
            tokio::task::yield_now().await;
        }
    };
    within(failed).await;
    assert_eq!(channel.state(), ConnectionState::Connected);

    storage.set_failing(false);
    storage.hold_up(true);
    for bits in 2..500 {
        channel.mark_shown(id(bits));
        tokio::task::yield_now().await;
    }
    channel.set_status(Status::Unavailable, None);
    within(channel.confirmed()).await.unwrap();
    let saves = storage.saves.load(Ordering::SeqCst);
    storage.hold_up(false);
    wait_for_document(&storage, |text| text.contains(&id(499).to_string())).await;
    // Only the last one of many changes during one save is saved.
    assert!(storage.saves.load(Ordering::SeqCst) <= saves + 2);
}

#[tokio::test]
async fn a_damaged_document_and_one_of_a_newer_version_are_ignored_and_counted() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    for document in ["{", r#"{"version":2,"kind":"device","acknowledged":[],"shown":[]}"#] {
        let (channel, _events) = device(&server, &MemoryStorage::with(document));
        within(channel.confirmed()).await.unwrap();
        let counters = channel.storage_counters();
        assert_eq!((counters.ignored, counters.errors), (1, 0), "{document}");
    }
}

fn updates(version: u64, cursor: &str) -> AppServiceEvent {
    let update = PresenceUpdate {
        uid: Puid::from_bits(1),
        status: Status::Online,
        cause: None,
        version,
        since: UnixMillis::default(),
        message: Some(version.to_string()),
        revoked: false,
    };
    AppServiceEvent::Updates(Updates { presence: vec![update], cursor: Some(cursor.to_owned()) })
}

#[tokio::test]
async fn a_map_and_its_cursor_are_restored_together() {
    let storage = Arc::<MemoryStorage>::default();
    let mut map = StoredPresenceMap::load(shared(&storage)).await.unwrap();
    assert_eq!(map.cursor(), None);
    assert_eq!(map.apply(&updates(1, "c1")).len(), 1);
    assert_eq!(map.apply(&updates(2, "c2")).len(), 1);
    within(map.flush()).await;
    let mut restored = StoredPresenceMap::load(shared(&storage)).await.unwrap();
    assert_eq!(restored.cursor().as_deref(), Some("c2"));
    let known = restored.read(|map| map.get(&Puid::from_bits(1)).cloned()).unwrap();
    assert_eq!(known.message.as_deref(), Some("2"));
    assert!(!restored.read(crate::PresenceMap::is_live));
    // An update that is sent again changes nothing.
    assert!(restored.apply(&updates(2, "c2")).is_empty());
}

#[tokio::test]
async fn each_stored_document_has_the_cursor_of_its_users() {
    let storage = Arc::<MemoryStorage>::default();
    let mut map = StoredPresenceMap::load(shared(&storage)).await.unwrap();
    for version in 1..50 {
        map.apply(&updates(version, &format!("c{version}")));
        if version % 7 == 0 {
            within(map.flush()).await;
        }
        let text = storage.text();
        if let Some((_, rest)) = text.split_once(r#""cursor":"c"#) {
            let (cursor, _) = rest.split_once('"').unwrap();
            assert!(text.contains(&format!(r#""version":{cursor},"#)), "{text}");
        }
    }
    drop(map);
    wait_for_document(&storage, |text| text.contains(r#""cursor":"c49""#)).await;
}

#[tokio::test]
async fn a_map_whose_storage_fails_goes_on_in_memory() {
    let storage = Arc::<MemoryStorage>::default();
    storage.set_failing(true);
    let mut map = StoredPresenceMap::load(shared(&storage)).await.unwrap();
    map.apply(&updates(1, "c1"));
    within(map.flush()).await;
    assert_eq!(map.storage_counters().errors, 2);
    assert_eq!(map.read(crate::PresenceMap::len), 1);
    storage.set_failing(false);
    map.apply(&updates(2, "c2"));
    within(map.flush()).await;
    assert!(storage.text().contains("c2"));
}
