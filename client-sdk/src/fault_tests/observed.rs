//! States, recent changes and counters of channels on bad days.

use futures_util::StreamExt;

use super::scripted_server::{Script, ScriptedServer, within};
use crate::{
    ChannelCounters, ConnectionState, DeviceEvent, EndReason, Error, NewNotification, Puid,
};

#[tokio::test]
async fn a_watch_begins_with_the_current_state_and_ends_after_the_end() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|_| ());
    let mut watch = channel.watch_state();
    within(channel.confirmed()).await.unwrap();
    assert_eq!(watch.current(), ConnectionState::Connected);
    assert_eq!(within(watch.next()).await, Some(ConnectionState::Connected));
    let mut states = Box::pin(channel.watch_state().into_stream());
    assert_eq!(within(states.next()).await, Some(ConnectionState::Connected));
    channel.close().await;
    let end = ConnectionState::Ended(EndReason::Closed);
    assert_eq!(within(watch.next()).await, Some(end.clone()));
    assert_eq!(within(watch.next()).await, None);
    assert_eq!(within(states.next()).await, Some(end));
    assert_eq!(within(states.next()).await, None);
    assert_eq!(within(watch.wait_for(|state| *state == ConnectionState::Connected)).await, None);
}

#[tokio::test]
async fn a_watch_does_not_keep_its_channel_open() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, _events) = server.device(|_| ());
    let mut watch = channel.watch_state();
    within(watch.wait_for(|state| *state == ConnectionState::Connected)).await.unwrap();
    drop(channel);
    let is_end = |state: &ConnectionState| matches!(state, ConnectionState::Ended(_));
    within(watch.wait_for(is_end)).await.unwrap();
}

#[tokio::test]
async fn the_recent_states_tell_the_reasons_and_times_of_the_last_changes() {
    let server = ScriptedServer::start(vec![Script::Close, Script::Serve]).await;
    let (channel, _events) = server.back_end();
    let mut watch = channel.watch_state();
    within(watch.wait_for(|state| *state == ConnectionState::Connected)).await.unwrap();
    let recent = channel.recent_states();
    assert!(recent.is_sorted_by_key(|change| change.at));
    let states: Vec<_> = recent.into_iter().map(|change| change.state).collect();
    let [
        ConnectionState::Connecting { attempt: 1 },
        ConnectionState::Waiting { reason: Error::Unreachable(_), .. },
        ConnectionState::Connecting { attempt: 2 },
        ConnectionState::Connected,
    ] = states[..]
    else {
        panic!("{states:?}")
    };
}

#[tokio::test]
async fn the_recent_states_of_a_channel_that_fails_for_ever_are_twenty() {
    let server = ScriptedServer::start(vec![Script::Close]).await;
    let (channel, _events) = server.device(|_| ());
    let mut watch = channel.watch_state();
    let many_attempts = async {
        while !matches!(watch.next().await, Some(ConnectionState::Connecting { attempt: 15.. })) {
            channel.network_changed();
        }
    };
    within(many_attempts).await;
    assert_eq!(channel.recent_states().len(), 20);
}

#[tokio::test]
async fn connections_and_their_ends_are_counted() {
    let mut server =
        ScriptedServer::start(vec![Script::Close, Script::DelayThenClose, Script::Serve]).await;
    let (channel, _events) = server.device(|_| ());
    within(channel.confirmed()).await.unwrap();
    channel.set_status(crate::Status::Unavailable, None);
    server.wait_for_connections(3).await;
    within(channel.confirmed()).await.unwrap();
    let counters = channel.counters();
    assert_eq!((counters.attempts, counters.connections, counters.disconnects), (3, 2, 1));
    assert!(counters.last_round_trip.is_some());
    channel.close().await;
    assert_eq!(channel.counters().disconnects, 2);
}

#[tokio::test]
async fn the_time_of_a_ping_is_the_last_round_trip() {
    let server = ScriptedServer::start(vec![Script::SlowPongs]).await;
    let (channel, _events) = server.device(|_| ());
    within(channel.confirmed()).await.unwrap();
    let first = channel.counters().last_round_trip.unwrap();
    channel.network_changed();
    let measured = async {
        while channel.counters().last_round_trip == Some(first) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    within(measured).await;
    let pong = channel.counters().last_round_trip.unwrap();
    assert!(pong >= super::scripted_server::PONG_DELAY, "{pong:?}");
}

#[tokio::test]
async fn a_request_without_a_reply_is_counted() {
    let server = ScriptedServer::start(vec![Script::NotifyOnce]).await;
    let (channel, _events) = server.back_end_with(|options| {
        options.timing.request_timeout = std::time::Duration::from_millis(300);
    });
    let mut watch = channel.watch_state();
    within(watch.wait_for(|state| *state == ConnectionState::Connected)).await.unwrap();
    let item = NewNotification::new(Puid::from_bits(1), "Hello");
    within(channel.notify_one(item.clone())).await.unwrap();
    assert_eq!(within(channel.notify_one(item)).await, Err(Error::TimedOut));
    let counters = channel.counters();
    assert_eq!(counters.requests_timed_out, 1);
    assert_eq!(counters.skipped, 0);
}

#[tokio::test]
async fn a_channel_that_was_not_accepted_has_counted_attempts_only() {
    let mut server = ScriptedServer::start(vec![Script::HangAfterUpgrade]).await;
    let (channel, _events) = server.device(|_| ());
    server.wait_for_connections(1).await;
    channel.close().await;
    let counters = channel.counters();
    assert_eq!(counters, ChannelCounters { attempts: 1, ..ChannelCounters::default() });
}

#[tokio::test]
async fn the_state_is_the_end_when_the_events_have_ended() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    for _ in 0..20 {
        let (device, mut events) = server.device(|_| ());
        let (back_end, mut back_end_events) = server.back_end();
        let (notifications_of, other_events) = server.device(|_| ());
        let (mut notifications, mut requests) = other_events.split();
        let ended = |state: ConnectionState| matches!(state, ConnectionState::Ended(_));
        tokio::join!(
            async {
                while within(events.next()).await.is_some() {}
                assert!(ended(device.state()));
            },
            async {
                while within(back_end_events.next()).await.is_some() {}
                assert!(ended(back_end.state()));
            },
            async {
                assert_eq!(within(notifications.next()).await, None);
                assert!(ended(notifications_of.state()));
                assert_eq!(within(requests.next()).await, None);
            },
            device.close(),
            back_end.close(),
            notifications_of.close(),
        );
    }
}

#[tokio::test]
async fn the_end_is_the_last_event() {
    let server = ScriptedServer::start(vec![Script::Serve]).await;
    let (channel, mut events) = server.device(|_| ());
    channel.close().await;
    let mut last = None;
    while let Some(event) = within(events.next()).await {
        last = Some(event);
    }
    let end = DeviceEvent::State(ConnectionState::Ended(EndReason::Closed));
    assert_eq!(last, Some(end));
}
