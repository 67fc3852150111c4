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

use super::fixtures::{BackEnd, Phone, within_limit};

/// The number of faults.
const ROUNDS: usize = 60;

fn inject_fault(rng: &mut SeededRng, proxies: [&FaultProxy; 2]) {
    let proxy = *rng.pick(&proxies);
    match rng.below(6) {
        0 => proxy.reset(),
        1 => proxy.hang_up(),
        2 => proxy.half_close(),
        3 => proxy.stall(),
        4 => proxy.throttle(),
        _ => proxy.resume_traffic(),
    }
}

/// Receives and acknowledges all notifications, and records the id of each.
fn acknowledge_all(
    mut events: DeviceEvents,
    channel: &DeviceChannel,
) -> (Arc<Mutex<Vec<NotificationId>>>, JoinSet<()>) {
    let shown = Arc::<Mutex<Vec<NotificationId>>>::default();
    let (recorder, channel) = (Arc::clone(&shown), channel.clone());
    let mut taking = JoinSet::new();
    taking.spawn(async move {
        while let Some(event) = events.next().await {
            if let DeviceEvent::Notification(notification) = event {
                recorder.lock().unwrap().push(notification.id);
                channel.acknowledge(notification.id);
            }
        }
    });
    (shown, taking)
}

#[expect(clippy::print_stdout, reason = "the seed of a run that fails")]
#[tokio::test]
async fn under_random_faults_the_last_status_arrives_and_no_notification_is_lost_or_shown_twice() {
    let seed = SeededRng::seed();
    println!("seed {seed}");
    let mut rng = SeededRng::new(seed);
    let options = ServerOptions::default()
        .with("notify-burst", 100_000)
        .with("status-burst", 100_000)
        .with("warm-up-seconds", 2);
    let mut server = Server::start(options).await;
    let (application, _, uid) = server.application_with("alice").await;
    let (phone_proxy, back_end_proxy) =
        (FaultProxy::to(&server).await, FaultProxy::to(&server).await);
    let phone = Phone::through(&phone_proxy, &server, "alice").await;
    let mut back_end = BackEnd::through(&back_end_proxy, &application).await;

    let (shown, taking) = acknowledge_all(phone.events, &phone.channel);

    let mut calls = JoinSet::new();
    for round in 0..ROUNDS {
        inject_fault(&mut rng, [&phone_proxy, &back_end_proxy]);
        if round % 15 == 14 {
            server.kill().await;
            server.restart_in_place().await;
        }
        let status = rng.pick(&[Status::Online, Status::Unavailable]).clone();
        let text = StatusText::try_from(round.to_string()).unwrap();
        phone.channel.set_status(status, Some(text));
        let channel = back_end.channel.clone();
        let item = NewNotification::new(uid, round.to_string());
        calls.spawn(async move { channel.notify_one(item).await });
        sleep(Duration::from_millis(rng.between(0, 150) as u64)).await;
    }
    phone_proxy.resume_traffic();
    back_end_proxy.resume_traffic();
    phone.channel.set_status(Status::Unavailable, Some(StatusText::try_from("the end").unwrap()));

    let mut queued = HashSet::new();
    while let Some(call) = within_limit("an answer", calls.join_next()).await {
        queued.insert(call.unwrap().unwrap().id);
    }
    assert_eq!(queued.len(), ROUNDS, "each call is a notification of its own");
    within_limit("the confirmation", phone.channel.confirmed()).await.unwrap();
    let text =
        |back_end: &BackEnd| back_end.map.get(&uid).and_then(|presence| presence.message.clone());
    while text(&back_end).as_deref() != Some("the end") {
        back_end.receive().await;
    }
    let missing = || {
        let shown: HashSet<_> = shown.lock().unwrap().iter().copied().collect();
        queued.difference(&shown).count()
    };
    super::fixtures::poll_until("all notifications are shown", async || missing() == 0).await;
    within_limit("the acknowledgements are confirmed", phone.channel.confirmed()).await.unwrap();
    drop(phone.channel);
    drop(taking);
    let shown = shown.lock().unwrap();
    assert_eq!(shown.len(), queued.len(), "a notification was shown twice");
}
