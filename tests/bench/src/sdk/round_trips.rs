//! Round trips per second: a status until its OK on the device channel, a query until its answer on
//! the channel of a back end.

use std::time::{Duration, Instant};

use presence_client::{Puid, Status};
use presence_tests::{Application, Server, User};
use serde_json::json;

use super::bare_client::BareClient;
use super::channels;
use crate::report::{Finding, Judged, Pair};
use crate::scale::Scale;

pub(crate) async fn measure(server: &Server, scale: &Scale) -> Vec<Finding> {
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let alice = server.sign_in("alice").await;
    let uid = alice.grant(&application).await;
    let (mut devices, mut back_ends) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        devices.push(Pair::new(
            bare_device(server, &alice, scale.round).await,
            sdk_device(server, &alice, scale.round).await,
        ));
        back_ends.push(Pair::new(
            bare_back_end(server, &application, uid, scale.round).await,
            sdk_back_end(server, &application, uid, scale.round).await,
        ));
    }
    let finding = |what, rounds| {
        let unit = "round trips/s beside a bare client";
        Finding { what, unit, rounds, judged: Judged::Nothing }
    };
    vec![
        finding("SDK: a status until its OK", devices),
        finding("SDK: a query until its answer", back_ends),
    ]
}

/// Returns the number of round trips per second.
async fn round_trips_per_second(round: Duration, mut round_trip: impl AsyncFnMut(u32)) -> f64 {
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < round {
        for _ in 0..100 {
            round_trip(done).await;
            done += 1;
        }
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}

fn status(number: u32) -> Status {
    if number.is_multiple_of(2) { Status::Unavailable } else { Status::Online }
}

async fn bare_device(server: &Server, user: &User, round: Duration) -> f64 {
    let mut socket = BareClient::open(server.address(), "/presence", None).await;
    let hello = json!({"token": user.token, "device": "bare", "acks": true, "status": "online"});
    socket.ask(hello.to_string()).await;
    round_trips_per_second(round, async |number| {
        let frame = json!({"id": number, "status": status(number)}).to_string();
        assert!(socket.ask(frame).await.contains("\"OK\""));
    })
    .await
}

async fn sdk_device(server: &Server, user: &User, round: Duration) -> f64 {
    let (channel, _events) = channels::device(&server.url(), &user.token, "sdk").await;
    let rate = round_trips_per_second(round, async |number| {
        channel.set_status(status(number), None);
        channel.confirmed().await.unwrap();
    })
    .await;
    channel.close().await;
    rate
}

async fn bare_back_end(
    server: &Server,
    application: &Application,
    uid: Puid,
    round: Duration,
) -> f64 {
    let path = format!("/myapps/{}", application.appid);
    let mut socket = BareClient::open(server.address(), &path, Some("presence.v1")).await;
    socket.ask(json!({"action": "auth", "token": application.api_key}).to_string()).await;
    assert!(socket.receive().await.contains("snapshot"));
    round_trips_per_second(round, async |number| {
        let frame = json!({"action": "query", "id": number, "uids": [uid]}).to_string();
        // An update may arrive first, if a grace period ends.
        let mut answer = socket.ask(frame).await;
        while !answer.contains("\"query\"") {
            answer = socket.receive().await;
        }
    })
    .await
}

async fn sdk_back_end(
    server: &Server,
    application: &Application,
    uid: Puid,
    round: Duration,
) -> f64 {
    let (channel, _events) = channels::back_end(&server.url(), application).await;
    let rate = round_trips_per_second(round, async |_| {
        channel.query(vec![uid]).await.unwrap();
    })
    .await;
    channel.close().await;
    rate
}
