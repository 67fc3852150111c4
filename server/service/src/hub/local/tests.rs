use presence_core::stream::Retention;
use presence_core::{Grant, ManualClock, UnixMillis};
use presence_protocol::Status;

use super::*;
use crate::socket_waker::SocketWaker;

const USER: UserId = UserId(7);
const APP: AppId = AppId::from_bits(1);
const UID: Puid = Puid::from_bits(2);
const HOLD: Duration = Duration::from_secs(30);

/// A hub with one active Application.
struct HubFixture {
    clock: Arc<ManualClock>,
    hub: Arc<LocalHub>,
}

impl HubFixture {
    fn new(warm_up: Duration) -> Self {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_000_000_000)));
        let retention = Retention { entries: 100, age: Duration::from_hours(1), bytes: usize::MAX };
        let limits = HubLimits {
            grace: Duration::from_secs(10),
            sockets_per_user: 20,
            retention,
            receipt_hold: HOLD,
            stream_bytes: usize::MAX,
            update_delay: Duration::ZERO,
        };
        let shared = Arc::<ManualClock>::clone(&clock);
        let hub = Arc::new(LocalHub::new(shared, limits, 1_000_000, clock.steady() + warm_up));
        hub.topic(APP, ApplicationState::Active);
        Self { clock, hub }
    }

    fn connect(&self) -> (LocalConnection, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::new(Arc::new(SocketWaker::default()), [0; 32]));
        let connection = self.hub.connect(USER, DeviceName::default(), &mailbox).unwrap();
        let grant = Grant {
            app: APP,
            puid: UID,
            paused: false,
            waiting: false,
            granted_at: UnixMillis::default(),
        };
        let set = GrantSet { revision: 1, grants: vec![grant] };
        self.hub.set_grants(USER, set, &[]);
        (connection, mailbox)
    }

    fn online(&self) -> LocalConnection {
        let (connection, _) = self.connect();
        connection.report(View::new(Status::Online, None), None);
        connection
    }

    fn tick_at(&self, millis: u64) {
        self.clock.set_steady(Duration::from_millis(millis));
        self.hub.tick();
    }
}

#[test]
fn a_jump_of_the_wall_clock_does_not_change_a_grace_time() {
    for day in [0, 9_000_000_000] {
        let fixture = HubFixture::new(Duration::ZERO);
        fixture.online().disconnect(false);
        fixture.clock.set_now(UnixMillis::new(day));
        fixture.tick_at(9_999);
        assert!(fixture.hub.is_visible(APP, UID), "at {day}");
        fixture.tick_at(10_000);
        assert!(!fixture.hub.is_visible(APP, UID), "at {day}");
    }
}

#[test]
fn a_dropped_connection_counts_as_lost() {
    let fixture = HubFixture::new(Duration::ZERO);
    drop(fixture.online());
    assert_eq!(fixture.hub.connected_devices(), 0);
    assert!(fixture.hub.is_visible(APP, UID));
    fixture.tick_at(10_000);
    assert!(!fixture.hub.is_visible(APP, UID));
}

#[test]
fn a_replaced_connection_can_neither_report_nor_disconnect() {
    let fixture = HubFixture::new(Duration::ZERO);
    let older = fixture.online();
    let newer = fixture.online();
    assert_eq!(fixture.hub.connected_devices(), 1);
    older.report(View::default(), None);
    older.disconnect(true);
    assert!(fixture.hub.is_visible(APP, UID) && fixture.hub.is_connected(USER));
    newer.disconnect(true);
    assert!(!fixture.hub.is_visible(APP, UID) && !fixture.hub.is_connected(USER));
}

#[test]
fn taken_notifications_are_released_once_after_the_hold_of_a_visible_user() {
    let fixture = HubFixture::new(Duration::ZERO);
    let (connection, _) = fixture.connect();
    fixture.hub.note_taken(APP, UID);
    assert!(fixture.hub.take_releases(9).is_empty());
    connection.report(View::new(Status::Online, None), None);
    fixture.tick_at(29_999);
    assert!(fixture.hub.take_releases(9).is_empty());
    fixture.tick_at(30_000);
    assert_eq!(fixture.hub.take_releases(9), [(APP, UID)]);
    connection.report(View::new(Status::Unavailable, None), None);
    assert!(fixture.hub.take_releases(9).is_empty());
    fixture.hub.note_taken(APP, UID);
    assert_eq!(fixture.hub.take_releases(9), [(APP, UID)]);
}

#[test]
fn an_activation_begins_a_hold() {
    let fixture = HubFixture::new(Duration::ZERO);
    let _connection = fixture.online();
    fixture.hub.set_active(APP, false);
    fixture.hub.note_taken(APP, UID);
    fixture.tick_at(10_000);
    fixture.hub.set_active(APP, true);
    fixture.tick_at(39_999);
    assert!(fixture.hub.take_releases(9).is_empty());
    fixture.tick_at(40_000);
    assert_eq!(fixture.hub.take_releases(9), [(APP, UID)]);
}

#[test]
fn the_warm_up_ends_at_its_time() {
    let fixture = HubFixture::new(Duration::from_secs(15));
    assert!(fixture.hub.is_warming_up());
    fixture.tick_at(14_999);
    assert!(fixture.hub.is_warming_up());
    fixture.tick_at(15_000);
    assert!(!fixture.hub.is_warming_up());
}

#[test]
fn an_inactive_application_sees_offline_until_it_is_activated() {
    let fixture = HubFixture::new(Duration::ZERO);
    let connection = fixture.online();
    fixture.hub.set_active(APP, false);
    assert!(!fixture.hub.is_visible(APP, UID));
    connection.report(View::new(Status::Unavailable, None), None);
    assert!(!fixture.hub.is_visible(APP, UID));
    fixture.hub.set_active(APP, true);
    assert!(fixture.hub.is_visible(APP, UID));
}
