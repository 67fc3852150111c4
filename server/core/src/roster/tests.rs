use super::*;

const APP: AppId = AppId::from_bits(1);
const OTHER: AppId = AppId::from_bits(2);

fn at(seconds: u64) -> Steady {
    Steady::from_start(Duration::from_secs(seconds))
}

struct User {
    roster: Roster<u64>,
    turns: u64,
    told: Vec<ViewChange>,
}

impl User {
    fn with_grants(apps: &[AppId]) -> Self {
        let mut user = Self { roster: Roster::default(), turns: 0, told: vec![] };
        user.grant(1, apps, false);
        user
    }

    fn grant(&mut self, revision: i64, apps: &[AppId], paused: bool) {
        let grants = apps
            .iter()
            .map(|app| Grant {
                app: *app,
                puid: Puid::from_bits(app.bits()),
                paused,
                granted_at: UnixMillis::default(),
            })
            .collect();
        self.roster.set_grants(GrantSet { revision, grants }, &mut self.told);
    }

    fn arrive(&mut self, device: &str) -> (DeviceName, u64) {
        self.turns += 1;
        let name: DeviceName = device.parse().unwrap();
        arrive(&mut self.roster, &name, self.turns).unwrap();
        (name, self.turns)
    }

    fn says(
        &mut self,
        seat: &(DeviceName, u64),
        status: Status,
        text: &str,
        only: Option<&[AppId]>,
    ) {
        let text = (!text.is_empty()).then(|| StatusText::try_from(text).unwrap());
        let only = only.map(<[AppId]>::to_vec);
        let view = View::new(status, text);
        self.roster.report((&seat.0, seat.1), view, only, &mut self.told).unwrap();
    }

    fn shows_only_to(&mut self, seat: &(DeviceName, u64), apps: &[AppId]) {
        self.roster.show_only_to((&seat.0, seat.1), apps.to_vec(), &mut self.told).unwrap();
    }

    fn leaves(
        &mut self,
        seat: &(DeviceName, u64),
        ending: Disconnect,
    ) -> Result<(), StaleConnection> {
        self.roster.leave((&seat.0, seat.1), ending, &mut self.told)
    }

    fn heard(&mut self) -> Vec<(AppId, Status, String)> {
        let text = |view: &View| view.text.as_ref().map_or("", |t| t.as_str()).to_owned();
        self.told.drain(..).map(|tell| (tell.app, tell.view.status, text(&tell.view))).collect()
    }
}

fn arrive(
    roster: &mut Roster<u64>,
    name: &DeviceName,
    turn: u64,
) -> Result<Option<u64>, TooManyDevices> {
    roster.arrive(
        NewConnection { name, handle: turn, generation: turn, now: UnixMillis::default() },
        20,
    )
}

fn online() -> Vec<(AppId, Status, String)> {
    vec![(APP, Status::Online, String::new())]
}

fn offline() -> Vec<(AppId, Status, String)> {
    vec![(APP, Status::Offline, String::new())]
}

#[test]
fn only_granted_applications_hear_of_a_status() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    assert_eq!(user.heard(), online());
}

#[test]
fn the_same_status_again_is_not_published() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "a", None);
    user.heard();
    user.says(&phone, Status::Online, "a", None);
    assert_eq!(user.heard(), vec![]);
    user.says(&phone, Status::Online, "b", None);
    assert_eq!(user.heard(), vec![(APP, Status::Online, "b".to_owned())]);
}

#[test]
fn the_best_device_decides_and_gives_the_text() {
    let mut user = User::with_grants(&[APP]);
    let (phone, laptop) = (user.arrive("phone"), user.arrive("laptop"));
    user.says(&phone, Status::Unavailable, "bus", None);
    user.says(&laptop, Status::Online, "desk", None);
    user.says(&phone, Status::Unavailable, "train", None);
    assert_eq!(
        user.heard(),
        vec![
            (APP, Status::Unavailable, "bus".to_owned()),
            (APP, Status::Online, "desk".to_owned())
        ]
    );
    user.leaves(&laptop, Disconnect::Clean).unwrap();
    assert_eq!(user.heard(), vec![(APP, Status::Unavailable, "train".to_owned())]);
}

#[test]
fn among_equal_devices_the_one_that_spoke_last_gives_the_text() {
    let mut user = User::with_grants(&[APP]);
    let (phone, laptop) = (user.arrive("phone"), user.arrive("laptop"));
    user.says(&phone, Status::Online, "a", None);
    user.says(&laptop, Status::Online, "b", None);
    user.says(&phone, Status::Online, "c", None);
    let texts: Vec<_> = user.heard().into_iter().map(|(_, _, text)| text).collect();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[test]
fn offline_has_no_text_so_that_gone_hidden_and_paused_look_alike() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.says(&phone, Status::Offline, "on holiday", None);
    assert_eq!(user.heard()[1..], offline());
}

#[test]
fn a_lost_device_that_is_back_in_time_was_never_away() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.heard();
    user.leaves(&phone, Disconnect::Lost { until: at(10) }).unwrap();
    assert_eq!(user.roster.tick(at(9), &mut user.told), Some(at(10)));
    let phone = user.arrive("phone");
    assert_eq!(user.roster.tick(at(10), &mut user.told), None);
    user.says(&phone, Status::Online, "", None);
    assert_eq!(user.heard(), vec![]);
}

#[test]
fn a_lost_device_is_offline_after_its_grace_time_once() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.heard();
    user.leaves(&phone, Disconnect::Lost { until: at(10) }).unwrap();
    user.roster.tick(at(10), &mut user.told);
    user.roster.tick(at(11), &mut user.told);
    assert_eq!(user.heard(), offline());
    assert!(user.roster.is_empty());
}

#[test]
fn a_clean_close_acts_at_once() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.heard();
    user.leaves(&phone, Disconnect::Clean).unwrap();
    assert_eq!(user.heard(), offline());
}

#[test]
fn a_replaced_connection_hands_its_status_over_and_its_end_changes_nothing() {
    let mut user = User::with_grants(&[APP]);
    let first = user.arrive("phone");
    user.says(&first, Status::Online, "", None);
    user.heard();
    let name: DeviceName = "phone".parse().unwrap();
    assert_eq!(arrive(&mut user.roster, &name, 9), Ok(Some(first.1)));
    assert_eq!(user.leaves(&first, Disconnect::Clean), Err(StaleConnection));
    assert_eq!(user.heard(), vec![]);
}

#[test]
fn the_twenty_first_device_is_refused_and_a_replacement_is_not() {
    let mut roster: Roster<u64> = Roster::default();
    for n in 0..20 {
        let name: DeviceName = format!("d{n}").parse().unwrap();
        assert_eq!(arrive(&mut roster, &name, n), Ok(None));
    }
    assert_eq!(arrive(&mut roster, &"d20".parse().unwrap(), 20), Err(TooManyDevices));
    assert_eq!(arrive(&mut roster, &"d0".parse().unwrap(), 21), Ok(Some(0)));
}

#[test]
fn an_update_for_some_applications_leaves_the_others_at_the_last_status() {
    let mut user = User::with_grants(&[APP, OTHER]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.heard();
    user.says(&phone, Status::Unavailable, "", Some(&[OTHER]));
    assert_eq!(user.heard(), vec![(OTHER, Status::Unavailable, String::new())]);
    user.says(&phone, Status::Unavailable, "x", None);
    assert_eq!(user.heard().len(), 2);
}

#[test]
fn visibility_hides_at_once_and_shows_the_present_status_again() {
    let mut user = User::with_grants(&[APP, OTHER]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.heard();
    user.shows_only_to(&phone, &[OTHER]);
    assert_eq!(user.heard(), offline());
    user.says(&phone, Status::Unavailable, "", None);
    assert_eq!(user.heard(), vec![(OTHER, Status::Unavailable, String::new())]);
    user.shows_only_to(&phone, &[OTHER, APP]);
    assert_eq!(user.heard(), vec![(APP, Status::Unavailable, String::new())]);
    user.shows_only_to(&phone, &[]);
    assert_eq!(user.heard().len(), 2);
}

#[test]
fn an_update_that_names_an_application_counts_for_it_beside_the_visibility_set() {
    let mut user = User::with_grants(&[APP, OTHER]);
    let phone = user.arrive("phone");
    user.shows_only_to(&phone, &[OTHER]);
    user.says(&phone, Status::Online, "", Some(&[APP]));
    assert_eq!(user.heard(), online());
    user.shows_only_to(&phone, &[OTHER]);
    assert_eq!(user.heard(), offline());
}

#[test]
fn a_grant_made_after_an_explicit_list_is_not_in_it() {
    let mut user = User::with_grants(&[OTHER]);
    let phone = user.arrive("phone");
    user.shows_only_to(&phone, &[OTHER, APP]);
    user.says(&phone, Status::Online, "", None);
    user.heard();
    user.grant(2, &[OTHER, APP], false);
    assert_eq!(user.heard(), vec![]);
}

#[test]
fn a_new_grant_of_an_open_device_is_told_the_present_status() {
    let mut user = User::with_grants(&[]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.grant(2, &[APP], false);
    assert_eq!(user.heard(), online());
}

#[test]
fn visibility_outlives_a_grace_time_and_not_a_clean_close() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.shows_only_to(&phone, &[]);
    user.leaves(&phone, Disconnect::Lost { until: at(10) }).unwrap();
    user.roster.tick(at(11), &mut user.told);
    assert_eq!(user.roster.devices(), vec![]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    assert_eq!(user.heard(), vec![]);
    user.leaves(&phone, Disconnect::Clean).unwrap();
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    assert_eq!(user.heard(), online());
}

#[test]
fn pausing_tells_one_offline_then_nothing_and_resuming_the_present_status() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.heard();
    user.grant(2, &[APP], true);
    assert_eq!(user.heard(), offline());
    user.says(&phone, Status::Unavailable, "", None);
    assert_eq!(user.heard(), vec![]);
    user.grant(3, &[APP], false);
    assert_eq!(user.heard(), vec![(APP, Status::Unavailable, String::new())]);
}

#[test]
fn an_older_set_of_grants_loses() {
    let mut user = User::with_grants(&[]);
    user.grant(3, &[], false);
    user.grant(2, &[APP], false);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    assert_eq!(user.heard(), vec![]);
}

#[test]
fn a_device_that_the_user_ended_is_gone_at_once() {
    let mut user = User::with_grants(&[APP]);
    let phone = user.arrive("phone");
    user.says(&phone, Status::Online, "", None);
    user.heard();
    assert_eq!(user.roster.end(&phone.0, &mut user.told), Some(Some(phone.1)));
    assert_eq!(user.heard(), offline());
    assert_eq!(user.roster.end(&phone.0, &mut user.told), None);
}
