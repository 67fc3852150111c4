use presence_core::{Grant, ManualClock, UnixMillis};
use presence_protocol::Status;

use super::*;
use crate::socket_waker::SocketWaker;

const USER: UserId = UserId(7);
const APP: AppId = AppId::from_bits(1);
const UID: Puid = Puid::from_bits(2);

struct House {
    clock: Arc<ManualClock>,
    hub: Arc<Hub>,
}

impl House {
    fn open(warm_up: Duration) -> Self {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(1_000_000_000)));
        let kept = Retention { entries: 100, age: Duration::from_hours(1) };
        let limits = HubLimits { grace: Duration::from_secs(10), sockets_per_user: 20, kept };
        let shared = Arc::<ManualClock>::clone(&clock);
        let hub = Arc::new(Hub::new(shared, limits, 1_000_000, clock.steady() + warm_up));
        hub.ensure_topic(APP, true);
        Self { clock, hub }
    }

    fn connect(&self) -> (DeviceConnection, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::new(Arc::new(SocketWaker::default()), [0; 32]));
        let seat = self.hub.arrive(USER, DeviceName::default(), Arc::clone(&mailbox)).unwrap();
        let grant = Grant { app: APP, puid: UID, paused: false, granted_at: UnixMillis::default() };
        self.hub.set_grants(USER, GrantSet { revision: 1, grants: vec![grant] });
        (seat, mailbox)
    }

    fn online(&self) -> DeviceConnection {
        let (seat, _) = self.connect();
        seat.report(View::new(Status::Online, None), None);
        seat
    }

    fn ticks_at(&self, millis: u64) {
        self.clock.set_steady(Duration::from_millis(millis));
        self.hub.tick();
    }
}

#[test]
fn a_time_of_day_that_jumps_ends_no_grace_time_and_prolongs_none() {
    for day in [0, 9_000_000_000] {
        let house = House::open(Duration::ZERO);
        house.online().leave(false);
        house.clock.set_now(UnixMillis::new(day));
        house.ticks_at(9_999);
        assert!(house.hub.shows(APP, UID), "at {day}");
        house.ticks_at(10_000);
        assert!(!house.hub.shows(APP, UID), "at {day}");
    }
}

#[test]
fn a_seat_that_is_dropped_counts_as_a_lost_connection() {
    let house = House::open(Duration::ZERO);
    drop(house.online());
    assert_eq!(house.hub.connected_devices(), 0);
    assert!(house.hub.shows(APP, UID));
    house.ticks_at(10_000);
    assert!(!house.hub.shows(APP, UID));
}

#[test]
fn a_replaced_seat_neither_speaks_nor_leaves() {
    let house = House::open(Duration::ZERO);
    let older = house.online();
    let newer = house.online();
    assert_eq!(house.hub.connected_devices(), 1);
    older.report(View::default(), None);
    older.leave(true);
    assert!(house.hub.shows(APP, UID) && house.hub.is_connected(USER));
    newer.leave(true);
    assert!(!house.hub.shows(APP, UID) && !house.hub.is_connected(USER));
}

#[test]
fn withheld_receipts_are_due_once_when_the_user_is_seen_again() {
    let house = House::open(Duration::ZERO);
    let (seat, _) = house.connect();
    house.hub.withhold(APP, UID);
    assert!(house.hub.take_releases().is_empty());
    seat.report(View::new(Status::Online, None), None);
    assert_eq!(house.hub.take_releases(), [(APP, UID)]);
    seat.report(View::new(Status::Unavailable, None), None);
    assert!(house.hub.take_releases().is_empty());
    house.hub.withhold(APP, UID);
    assert_eq!(house.hub.take_releases(), [(APP, UID)]);
}

#[test]
fn warming_up_ends_with_its_time() {
    let house = House::open(Duration::from_secs(15));
    assert!(house.hub.is_warming_up());
    house.ticks_at(14_999);
    assert!(house.hub.is_warming_up());
    house.ticks_at(15_000);
    assert!(!house.hub.is_warming_up());
}

#[test]
fn a_stopped_application_is_told_offline_and_then_nothing() {
    let house = House::open(Duration::ZERO);
    let seat = house.online();
    house.hub.switch(APP, false);
    assert!(!house.hub.shows(APP, UID));
    seat.report(View::new(Status::Unavailable, None), None);
    assert!(!house.hub.shows(APP, UID));
    house.hub.switch(APP, true);
    assert!(house.hub.shows(APP, UID));
}
