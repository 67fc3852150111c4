use presence_protocol::{StatusText, UnixMillis};

use super::*;

const APP: AppId = AppId::from_bits(1);
const OTHER: AppId = AppId::from_bits(2);

fn at(seconds: u64) -> Steady {
    Steady::from_start(Duration::from_secs(seconds))
}

/// A user with the changes that were published.
struct RosterFixture {
    roster: Roster<u64>,
    connections: u64,
    changes: Vec<ViewChange>,
}

/// An open connection of a test.
struct OwnedConnectionId(DeviceName, ConnectionNumber);

impl OwnedConnectionId {
    fn id(&self) -> ConnectionId<'_> {
        ConnectionId { device: &self.0, number: self.1 }
    }
}

impl RosterFixture {
    fn with_grants(apps: &[AppId]) -> Self {
        let mut user = Self { roster: Roster::default(), connections: 0, changes: vec![] };
        user.set_grants(1, apps, false);
        user
    }

    fn set_grants(&mut self, revision: i64, apps: &[AppId], paused: bool) {
        let grant = |app: &AppId| Grant {
            app: *app,
            puid: Puid::from_bits(app.bits()),
            paused,
            waiting: false,
            granted_at: UnixMillis::default(),
        };
        let grants = apps.iter().map(grant).collect();
        self.roster.set_grants(GrantSet { revision, grants }, &mut self.changes);
    }

    fn connect(&mut self, device: &str) -> OwnedConnectionId {
        self.connections += 1;
        let name: DeviceName = device.parse().unwrap();
        connect(&mut self.roster, &name, self.connections).unwrap();
        OwnedConnectionId(name, ConnectionNumber(self.connections))
    }

    fn report(
        &mut self,
        connection: &OwnedConnectionId,
        status: Status,
        text: &str,
        only: Option<&[AppId]>,
    ) {
        let text = (!text.is_empty()).then(|| StatusText::try_from(text).unwrap());
        let only = only.map(<[AppId]>::to_vec);
        let view = View::new(status, text);
        self.roster.report(connection.id(), view, only, &mut self.changes).unwrap();
    }

    fn set_visibility(&mut self, connection: &OwnedConnectionId, apps: &[AppId]) {
        self.roster.set_visibility(connection.id(), apps.to_vec(), &mut self.changes).unwrap();
    }

    fn disconnect(
        &mut self,
        connection: &OwnedConnectionId,
        how: Disconnect,
    ) -> Result<(), StaleConnection> {
        self.roster.disconnect(connection.id(), how, &mut self.changes)
    }

    /// Returns the changes that were published since the last call.
    fn published(&mut self) -> Vec<(AppId, Status, String)> {
        let text = |view: &View| view.text.as_ref().map_or("", |t| t.as_str()).to_owned();
        let changes = self.changes.drain(..);
        changes.map(|change| (change.app, change.view.status, text(&change.view))).collect()
    }
}

/// Adds a connection that has its number as handle.
fn connect(
    roster: &mut Roster<u64>,
    device: &DeviceName,
    number: u64,
) -> Result<Option<LastConnection<u64>>, TooManyDevices> {
    let id = ConnectionId { device, number: ConnectionNumber(number) };
    roster.connect(NewConnection { id, handle: number, now: UnixMillis::default() }, 20)
}

fn open(handle: u64) -> LastConnection<u64> {
    LastConnection { handle, is_open: true }
}

fn online() -> Vec<(AppId, Status, String)> {
    vec![(APP, Status::Online, String::new())]
}

fn offline() -> Vec<(AppId, Status, String)> {
    vec![(APP, Status::Offline, String::new())]
}

#[test]
fn only_applications_with_a_grant_see_a_status() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    assert_eq!(user.published(), online());
}

#[test]
fn the_same_status_again_is_not_published() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "a", None);
    user.published();
    user.report(&phone, Status::Online, "a", None);
    assert_eq!(user.published(), vec![]);
    user.report(&phone, Status::Online, "b", None);
    assert_eq!(user.published(), vec![(APP, Status::Online, "b".to_owned())]);
}

#[test]
fn the_device_with_the_best_status_decides_and_gives_the_text() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let (phone, laptop) = (user.connect("phone"), user.connect("laptop"));
    user.report(&phone, Status::Unavailable, "bus", None);
    user.report(&laptop, Status::Online, "office", None);
    user.report(&phone, Status::Unavailable, "train", None);
    assert_eq!(
        user.published(),
        vec![
            (APP, Status::Unavailable, "bus".to_owned()),
            (APP, Status::Online, "office".to_owned())
        ]
    );
    user.disconnect(&laptop, Disconnect::Clean).unwrap();
    assert_eq!(user.published(), vec![(APP, Status::Unavailable, "train".to_owned())]);
}

#[test]
fn among_equal_devices_the_last_report_gives_the_text() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let (phone, laptop) = (user.connect("phone"), user.connect("laptop"));
    user.report(&phone, Status::Online, "a", None);
    user.report(&laptop, Status::Online, "b", None);
    user.report(&phone, Status::Online, "c", None);
    let texts: Vec<_> = user.published().into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[test]
fn an_offline_user_has_no_text() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.report(&phone, Status::Offline, "on holiday", None);
    assert_eq!(user.published()[1..], offline());
}

#[test]
fn a_lost_device_that_reconnects_within_the_grace_time_causes_no_change() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.disconnect(&phone, Disconnect::Lost { until: at(10) }).unwrap();
    assert_eq!(user.roster.tick(at(9), &mut user.changes), Some(at(10)));
    let phone = user.connect("phone");
    assert_eq!(user.roster.tick(at(10), &mut user.changes), None);
    user.report(&phone, Status::Online, "", None);
    assert_eq!(user.published(), vec![]);
}

#[test]
fn a_lost_device_is_published_as_offline_once_after_its_grace_time() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.disconnect(&phone, Disconnect::Lost { until: at(10) }).unwrap();
    user.roster.tick(at(10), &mut user.changes);
    user.roster.tick(at(11), &mut user.changes);
    assert_eq!(user.published(), offline());
    assert!(user.roster.is_empty());
}

#[test]
fn a_clean_close_takes_effect_at_once() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.disconnect(&phone, Disconnect::Clean).unwrap();
    assert_eq!(user.published(), offline());
}

#[test]
fn a_replaced_connection_passes_its_status_on_and_its_end_changes_nothing() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let first = user.connect("phone");
    user.report(&first, Status::Online, "", None);
    user.published();
    let name: DeviceName = "phone".parse().unwrap();
    assert_eq!(connect(&mut user.roster, &name, 9), Ok(Some(open(first.1.0))));
    assert_eq!(user.disconnect(&first, Disconnect::Clean), Err(StaleConnection));
    assert_eq!(user.published(), vec![]);
}

#[test]
fn the_twenty_first_device_is_refused_and_a_replacement_is_not() {
    let mut roster: Roster<u64> = Roster::default();
    for n in 0..20 {
        let name: DeviceName = format!("d{n}").parse().unwrap();
        assert_eq!(connect(&mut roster, &name, n), Ok(None));
    }
    assert_eq!(connect(&mut roster, &"d20".parse().unwrap(), 20), Err(TooManyDevices));
    assert_eq!(connect(&mut roster, &"d0".parse().unwrap(), 21), Ok(Some(open(0))));
}

#[test]
fn a_report_for_some_applications_leaves_the_status_for_the_others() {
    let mut user = RosterFixture::with_grants(&[APP, OTHER]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.report(&phone, Status::Unavailable, "", Some(&[OTHER]));
    assert_eq!(user.published(), vec![(OTHER, Status::Unavailable, String::new())]);
    user.report(&phone, Status::Unavailable, "x", None);
    assert_eq!(user.published().len(), 2);
}

#[test]
fn a_visibility_change_hides_at_once_and_later_shows_the_current_status() {
    let mut user = RosterFixture::with_grants(&[APP, OTHER]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.set_visibility(&phone, &[OTHER]);
    assert_eq!(user.published(), offline());
    user.report(&phone, Status::Unavailable, "", None);
    assert_eq!(user.published(), vec![(OTHER, Status::Unavailable, String::new())]);
    user.set_visibility(&phone, &[OTHER, APP]);
    assert_eq!(user.published(), vec![(APP, Status::Unavailable, String::new())]);
    user.set_visibility(&phone, &[]);
    assert_eq!(user.published().len(), 2);
}

#[test]
fn a_report_that_names_an_application_counts_in_spite_of_the_visibility_set() {
    let mut user = RosterFixture::with_grants(&[APP, OTHER]);
    let phone = user.connect("phone");
    user.set_visibility(&phone, &[OTHER]);
    user.report(&phone, Status::Online, "", Some(&[APP]));
    assert_eq!(user.published(), online());
    user.set_visibility(&phone, &[OTHER]);
    assert_eq!(user.published(), offline());
}

#[test]
fn a_device_that_goes_offline_is_offline_for_every_application_that_it_was_shown_to() {
    let mut user = RosterFixture::with_grants(&[APP, OTHER]);
    let phone = user.connect("phone");
    user.set_visibility(&phone, &[OTHER]);
    user.report(&phone, Status::Online, "", None);
    user.report(&phone, Status::Unavailable, "", Some(&[APP]));
    user.published();
    user.report(&phone, Status::Offline, "", None);
    let mut apps: Vec<_> = user.published().into_iter().map(|(app, ..)| app).collect();
    apps.sort_unstable();
    assert_eq!(apps, [APP, OTHER]);
    // The earlier report for the Application does not come back.
    user.report(&phone, Status::Online, "", None);
    assert_eq!(user.published(), vec![(OTHER, Status::Online, String::new())]);
}

#[test]
fn an_offline_for_named_applications_is_for_these_only() {
    let mut user = RosterFixture::with_grants(&[APP, OTHER]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.report(&phone, Status::Offline, "", Some(&[APP]));
    assert_eq!(user.published(), offline());
}

#[test]
fn a_grant_that_is_newer_than_the_visibility_set_is_not_in_it() {
    let mut user = RosterFixture::with_grants(&[OTHER]);
    let phone = user.connect("phone");
    user.set_visibility(&phone, &[OTHER, APP]);
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.set_grants(2, &[OTHER, APP], false);
    assert_eq!(user.published(), vec![]);
}

#[test]
fn a_new_grant_shows_the_current_status_of_a_connected_device() {
    let mut user = RosterFixture::with_grants(&[]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.set_grants(2, &[APP], false);
    assert_eq!(user.published(), online());
}

#[test]
fn visibility_is_kept_after_the_grace_time_and_not_after_a_clean_close() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.set_visibility(&phone, &[]);
    user.disconnect(&phone, Disconnect::Lost { until: at(10) }).unwrap();
    user.roster.tick(at(11), &mut user.changes);
    assert_eq!(user.roster.devices(), vec![]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    assert_eq!(user.published(), vec![]);
    user.disconnect(&phone, Disconnect::Clean).unwrap();
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    assert_eq!(user.published(), online());
}

#[test]
fn a_paused_grant_shows_one_offline_and_a_resumed_one_the_current_status() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    user.set_grants(2, &[APP], true);
    assert_eq!(user.published(), offline());
    user.report(&phone, Status::Unavailable, "", None);
    assert_eq!(user.published(), vec![]);
    user.set_grants(3, &[APP], false);
    assert_eq!(user.published(), vec![(APP, Status::Unavailable, String::new())]);
}

#[test]
fn an_older_set_of_grants_is_ignored() {
    let mut user = RosterFixture::with_grants(&[]);
    user.set_grants(3, &[], false);
    user.set_grants(2, &[APP], false);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    assert_eq!(user.published(), vec![]);
}

#[test]
fn a_device_that_the_user_ended_is_offline_at_once() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let phone = user.connect("phone");
    user.report(&phone, Status::Online, "", None);
    user.published();
    assert_eq!(user.roster.end_device(&phone.0, &mut user.changes), Some(open(phone.1.0)));
    assert_eq!(user.published(), offline());
    assert_eq!(user.roster.end_device(&phone.0, &mut user.changes), None);
}

#[test]
fn the_handle_of_a_lost_connection_is_kept_until_the_end_of_the_grace_time() {
    let mut user = RosterFixture::with_grants(&[APP]);
    let (phone, laptop) = (user.connect("phone"), user.connect("laptop"));
    for lost in [&phone, &laptop] {
        user.disconnect(lost, Disconnect::Lost { until: at(10) }).unwrap();
    }
    let closed = LastConnection { handle: phone.1.0, is_open: false };
    assert_eq!(user.roster.last_handles().count(), 2);
    assert_eq!(user.roster.end_device(&phone.0, &mut user.changes), Some(closed));
    user.roster.tick(at(10), &mut user.changes);
    assert_eq!(user.roster.end_device(&laptop.0, &mut user.changes), None);
    assert_eq!(user.roster.last_handles().count(), 0);
}

#[test]
fn what_was_reported_to_a_new_roster_is_newer_than_what_is_put_back() {
    let mut earlier = RosterFixture::with_grants(&[APP]);
    earlier.roster.begin_at(at(1));
    let phone = earlier.connect("phone");
    earlier.report(&phone, Status::Online, "first", None);
    earlier.report(&phone, Status::Unavailable, "second", None);
    let mut new = RosterFixture::with_grants(&[APP]);
    new.roster.begin_at(at(2));
    let laptop = new.connect("laptop");
    new.report(&laptop, Status::Unavailable, "third", None);
    new.published();
    new.roster.restore_devices(earlier.roster, |_| true, &mut new.changes);
    assert_eq!(new.published(), []);
    new.disconnect(&laptop, Disconnect::Clean).unwrap();
    assert_eq!(new.published(), [(APP, Status::Unavailable, "second".to_owned())]);
}
