//! Fault injection: random faults, statuses and notifications. Afterwards the state is correct.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use presence_client::{
    DeviceChannel, DeviceEvent, DeviceEvents, NewNotification, NotificationId, Status, StatusText,
};
use presence_tests::{FaultProxy, SeededRng, Server, ServerOptions};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::parts::{BackEnd, Phone, soon};

/// The number of faults.
const ROUNDS: usize = 60;

fn goes_wrong(dice: &mut SeededRng, wires: [&FaultProxy; 2]) {
    let wire = *dice.pick(&wires);
    match dice.below(6) {
        0 => wire.reset(),
        1 => wire.hang_up(),
        2 => wire.half_close(),
        3 => wire.stall(),
        4 => wire.throttle(),
        _ => wire.carry(),
    }
}

/// Receives and acknowledges all notifications, and records the id of each.
fn takes_all(
    mut events: DeviceEvents,
    channel: &DeviceChannel,
) -> (Arc<Mutex<Vec<NotificationId>>>, JoinSet<()>) {
    let shown = Arc::<Mutex<Vec<NotificationId>>>::default();
    let (noting, channel) = (Arc::clone(&shown), channel.clone());
    let mut taking = JoinSet::new();
    taking.spawn(async move {
        while let Some(event) = events.next().await {
            if let DeviceEvent::Notification(notification) = event {
                noting.lock().unwrap().push(notification.id);
                channel.acknowledge(notification.id);
            }
        }
    });
    (shown, taking)
}

#[expect(clippy::print_stdout, reason = "the seed of a run that fails")]
#[tokio::test]
async fn in_bad_weather_the_last_wish_arrives_and_no_notification_is_lost_or_shown_twice() {
    let seed = SeededRng::seed();
    println!("seed {seed}");
    let mut dice = SeededRng::new(seed);
    let options = ServerOptions::default()
        .with("notify-burst", 100_000)
        .with("status-burst", 100_000)
        .with("warm-up-seconds", 2);
    let mut server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (to_phone, to_back_end) = (FaultProxy::to(&server).await, FaultProxy::to(&server).await);
    let phone = Phone::through(&to_phone, &server, "alice").await;
    let mut back_end = BackEnd::through(&to_back_end, &application).await;

    let (shown, taking) = takes_all(phone.events, &phone.channel);

    let mut calls = JoinSet::new();
    for round in 0..ROUNDS {
        goes_wrong(&mut dice, [&to_phone, &to_back_end]);
        if round % 15 == 14 {
            server.kill().await;
            server.restart_in_place().await;
        }
        let status = *dice.pick(&[Status::Online, Status::Unavailable]);
        let text = StatusText::try_from(round.to_string()).unwrap();
        phone.channel.set_status(status, Some(text));
        let channel = back_end.channel.clone();
        let item = NewNotification::new(uid, round.to_string());
        calls.spawn(async move { channel.notify_one(item).await });
        sleep(Duration::from_millis(dice.between(0, 150) as u64)).await;
    }
    to_phone.carry();
    to_back_end.carry();
    phone.channel.set_status(Status::Unavailable, Some(StatusText::try_from("the end").unwrap()));

    let mut queued = HashSet::new();
    while let Some(call) = soon("an answer", calls.join_next()).await {
        queued.insert(call.unwrap().unwrap().id);
    }
    assert_eq!(queued.len(), ROUNDS, "each call is a notification of its own");
    soon("the wishes are confirmed", phone.channel.confirmed()).await.unwrap();
    let text = |back_end: &BackEnd| {
        back_end.map.get(&uid).and_then(|presence| presence.message.clone()).map(String::from)
    };
    while text(&back_end).as_deref() != Some("the end") {
        back_end.receive().await;
    }
    let missing = || {
        let shown: HashSet<_> = shown.lock().unwrap().iter().copied().collect();
        queued.difference(&shown).count()
    };
    super::parts::until("all notifications are shown", async || missing() == 0).await;
    soon("the acknowledgements are confirmed", phone.channel.confirmed()).await.unwrap();
    drop(phone.channel);
    drop(taking);
    let shown = shown.lock().unwrap();
    assert_eq!(shown.len(), queued.len(), "a notification was shown twice");
}
