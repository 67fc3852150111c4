//! Round trips a second: a status until its OK on the device channel, a query until its answer on the channel of a back end.

use std::time::{Duration, Instant};

use presence_client::{Puid, Status};
use presence_tests::{Application, Server, User};
use serde_json::json;

use crate::bare::Bare;
use crate::report::{Pair, report};
use crate::sdk;

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);

pub(crate) async fn measure(server: &Server) {
    let owner = server.sign_in("developer").await;
    let application = server.application(&owner).await;
    let alice = server.sign_in("alice").await;
    let uid = alice.grant(&application).await;
    let (mut devices, mut back_ends) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        devices.push(Pair {
            floor: bare_device(server, &alice).await,
            ours: sdk_device(server, &alice).await,
        });
        back_ends.push(Pair {
            floor: bare_back_end(server, &application, uid).await,
            ours: sdk_back_end(server, &application, uid).await,
        });
    }
    report("device: status to OK, round trips/s", &devices);
    report("back end: query to answer, round trips/s", &back_ends);
}

/// How many times a second something is done.
async fn a_second(mut round_trip: impl AsyncFnMut(u32)) -> f64 {
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < ROUND {
        for _ in 0..100 {
            round_trip(done).await;
            done += 1;
        }
    }
    f64::from(done) / begun.elapsed().as_secs_f64()
}

fn status(turn: u32) -> Status {
    if turn.is_multiple_of(2) { Status::Unavailable } else { Status::Online }
}

async fn bare_device(server: &Server, user: &User) -> f64 {
    let mut socket = Bare::open(server.address(), "/presence", None).await;
    let hello = json!({"token": user.token, "device": "bare", "acks": true, "status": "online"});
    socket.ask(hello.to_string()).await;
    a_second(async |turn| {
        let frame = json!({"id": turn, "status": status(turn)}).to_string();
        assert!(socket.ask(frame).await.contains("\"OK\""));
    })
    .await
}

async fn sdk_device(server: &Server, user: &User) -> f64 {
    let (channel, _events) = sdk::device(&server.url(), &user.token, "sdk").await;
    let rate = a_second(async |turn| {
        channel.set_status(status(turn), None);
        channel.settled().await.unwrap();
    })
    .await;
    channel.close().await;
    rate
}

async fn bare_back_end(server: &Server, application: &Application, uid: Puid) -> f64 {
    let path = format!("/myapps/{}", application.appid);
    let mut socket = Bare::open(server.address(), &path, Some("presence.v1")).await;
    socket.ask(json!({"action": "auth", "token": application.api_key}).to_string()).await;
    assert!(socket.hear().await.contains("snapshot"));
    a_second(async |turn| {
        let frame = json!({"action": "query", "id": turn, "uids": [uid]}).to_string();
        // A grace time that ends may be told in between.
        let mut answer = socket.ask(frame).await;
        while !answer.contains("\"query\"") {
            answer = socket.hear().await;
        }
    })
    .await
}

async fn sdk_back_end(server: &Server, application: &Application, uid: Puid) -> f64 {
    let (channel, _events) = sdk::back_end(&server.url(), application).await;
    let rate = a_second(async |_| {
        channel.query(vec![uid]).await.unwrap();
    })
    .await;
    channel.close().await;
    rate
}
