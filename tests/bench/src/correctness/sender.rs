//! A sender of notifications, which repeats each until it is answered with OK.

use std::sync::Arc;
use std::time::Duration;

use presence_tests::{FallibleSocket, SeededRng, SocketEnd};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::scene::{APPS, PATIENCE, Phase, Scene};
use super::watcher::open;

/// The number of notifications of a request.
const BATCH: usize = 4;
/// The average time between two requests.
const PACE: Duration = Duration::from_millis(25);

/// Sends notifications of one Application, as long as there is traffic.
pub(crate) async fn send(scene: Arc<Scene>, mut rng: SeededRng) {
    let app = rng.below(APPS);
    let mut phase = scene.phase.subscribe();
    let (mut socket, mut request) = (None, 0_u64);
    loop {
        if *phase.borrow_and_update() == Phase::Rest {
            drop(phase.changed().await);
            continue;
        }
        sleep(PACE).await;
        request += 1;
        let users: Vec<usize> = (0..BATCH).map(|_| rng.below(scene.expectations.users())).collect();
        let items = items(&scene, app, &users, request);
        while let Err(_ended) = ask(&scene, (&mut socket, app), &mut rng, (request, &items)).await {
            socket = None;
            sleep(Duration::from_millis(200)).await;
        }
    }
}

fn items(scene: &Scene, app: usize, users: &[usize], request: u64) -> Value {
    let item = |(place, user): (usize, &usize)| {
        let key = format!("{request}-{place}");
        json!({"uid": scene.puids[app][*user], "message": key, "action": "", "idempotency_key": key})
    };
    users.iter().enumerate().map(item).collect()
}

async fn ask(
    scene: &Scene,
    (socket, app): (&mut Option<FallibleSocket>, usize),
    rng: &mut SeededRng,
    (request, items): (u64, &Value),
) -> Result<(), SocketEnd> {
    let socket = match socket {
        Some(socket) => socket,
        None => socket.insert(open(scene, (app, *rng.pick(&scene.servers)), None).await?),
    };
    socket.send(&json!({"action": "notify", "notifications": items, "id": request})).await?;
    loop {
        let answer = timeout(PATIENCE, socket.receive()).await.unwrap_or(Err(SocketEnd::Lost))?;
        if answer["id"] != request {
            continue;
        }
        if answer["failed"] != 0 || answer["result"] != "OK" {
            let errno = answer["errno"].as_u64();
            if errno != Some(51) {
                scene.expectations.record_unexpected(format!("errno {errno:?} to a notification"));
            }
            return Err(SocketEnd::Lost);
        }
        let items = items.as_array().into_iter().flatten();
        for (item, result) in items.zip(answer["results"].as_array().into_iter().flatten()) {
            let user = scene.users[item["uid"].as_str().unwrap()];
            scene.expectations.record_accepted(user, result["id"].as_str().unwrap().to_owned());
        }
        return Ok(());
    }
}
