//! The senders and the devices of a user, which continue over the kills.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use presence_protocol::Errno;
use presence_tests::{FallibleSocket, SeededRng, SocketEnd, TIMEOUT};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::ledger::{DeviceLog, Ledger};

/// The maximum number of open notifications of a user, which is less than a queue holds.
const MAX_OPEN: usize = 48;
/// The maximum number of notifications in one request.
const BATCH: usize = 5;

/// A user with the ledger of their notifications.
pub(super) struct LoadUser {
    name: String,
    uid: String,
    token: String,
    ledger: Mutex<Ledger>,
    /// Signals that a notification was acknowledged and another can be sent.
    capacity: Notify,
}

/// One run of the server.
pub(super) struct Run {
    number: usize,
    address: SocketAddr,
    appid: String,
    api_key: String,
    http: reqwest::Client,
    /// True when the test ends the run. From then on connections may break and requests may be
    /// refused.
    ending: watch::Sender<bool>,
    /// The number of answered requests.
    answers: watch::Sender<usize>,
}

impl Run {
    pub(super) fn new(
        number: usize,
        address: SocketAddr,
        (appid, api_key): (String, String),
        http: reqwest::Client,
    ) -> Self {
        let (ending, answers) = (watch::Sender::new(false), watch::Sender::new(0));
        Self { number, address, appid, api_key, http, ending, answers }
    }

    /// Records that the test is about to end the server.
    pub(super) fn announce_end(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until a number of requests were answered.
    pub(super) async fn wait_for_answers(&self, count: usize) {
        let mut answers = self.answers.subscribe();
        let enough = timeout(TIMEOUT, answers.wait_for(|answers| *answers >= count)).await;
        drop(enough.unwrap_or_else(|_| panic!("no request is answered in run {}", self.number)));
    }

    fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    fn connection_lost(&self, error: &reqwest::Error) -> SocketEnd {
        self.assert_ending("a sender over REST", error);
        SocketEnd::Lost
    }

    fn assert_ending(&self, name: &str, what: &dyn std::fmt::Debug) {
        assert!(self.is_ending(), "{name}: unexpected in run {}: {what:?}", self.number);
    }
}

impl LoadUser {
    pub(super) fn new(name: String, uid: String, token: String) -> Self {
        let ledger = Mutex::new(Ledger::new(&name));
        Self { name, uid, token, ledger, capacity: Notify::new() }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Sends until the server has ended, beginning with the unanswered notifications.
    pub(super) async fn send_until_the_end(self: Arc<Self>, run: Arc<Run>, mut rng: SeededRng) {
        if let Err(ended) = self.send(&run, &mut rng).await {
            run.assert_ending(&self.name, &ended);
        }
    }

    /// Sends the unanswered notifications again, and waits for the replies.
    pub(super) async fn retry(&self, run: &Run) {
        let items = self.ledger().items_to_retry(run.number);
        if !items.is_empty() {
            self.send_items(run, &mut None, &items).await.unwrap();
        }
    }

    /// Sends a number of notifications at once, and receives their OK.
    pub(super) async fn send_some(&self, run: &Run, count: usize, by_socket: bool) {
        let mut socket = if by_socket { Some(app_socket(run).await.unwrap()) } else { None };
        let items: Vec<usize> = (0..count).map(|_| self.ledger().add(run.number, false)).collect();
        self.send_items(run, &mut socket, &items).await.unwrap();
    }

    async fn send(&self, run: &Run, rng: &mut SeededRng) -> Result<(), SocketEnd> {
        let mut socket = if rng.chance(50) { Some(app_socket(run).await?) } else { None };
        let mut ending = run.ending.subscribe();
        let mut items = self.ledger().items_to_retry(run.number);
        items.extend(self.pick_answered(rng));
        loop {
            if !items.is_empty() {
                self.send_items(run, &mut socket, &items).await?;
            }
            while self.ledger().open() + BATCH > MAX_OPEN {
                tokio::select! {
                    () = self.capacity.notified() => {}
                    _ = ending.wait_for(|ending| *ending) => return Ok(()),
                }
            }
            if run.is_ending() {
                return Ok(());
            }
            let count = rng.between(1, BATCH);
            let mut ledger = self.ledger();
            items = (0..count).map(|_| ledger.add(run.number, rng.chance(40))).collect();
        }
    }

    fn pick_answered(&self, rng: &mut SeededRng) -> Option<usize> {
        let ledger = self.ledger();
        let keyed = ledger.keyed();
        (!keyed.is_empty() && rng.chance(50)).then(|| *rng.pick(keyed))
    }

    async fn send_items(
        &self,
        run: &Run,
        socket: &mut Option<FallibleSocket>,
        items: &[usize],
    ) -> Result<(), SocketEnd> {
        let wire: Vec<Value> = items.iter().map(|number| self.item_json(*number)).collect();
        let answer = match socket {
            None => over_rest(run, wire).await?,
            Some(socket) => over_socket(socket, wire).await?,
        };
        if answer["results"].is_null() {
            // After the end of the server, another process may use its port.
            run.assert_ending(&self.name, &answer);
            if answer["errno"] == Errno::ShuttingDown.number() {
                items.iter().for_each(|number| self.ledger().refused(*number));
            }
            return Err(SocketEnd::Lost);
        }
        let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(results.len(), items.len(), "{answer}");
        for (number, result) in items.iter().zip(results) {
            assert_eq!(result["result"], "OK", "{answer}");
            self.ledger().accepted(*number, result["id"].as_str().unwrap());
        }
        run.answers.send_modify(|answers| *answers += 1);
        Ok(())
    }

    fn item_json(&self, number: usize) -> Value {
        let ledger = self.ledger();
        let (message, key) = ledger.body(number);
        let mut item = json!({"uid": self.uid, "message": message, "action": ""});
        if let Some(key) = key {
            item["idempotency_key"] = key.into();
        }
        item
    }

    /// Receives notifications until the server has ended, and acknowledges some.
    pub(super) async fn receive_until_the_end(self: Arc<Self>, run: Arc<Run>, mut rng: SeededRng) {
        let received = async {
            let mut log = self.ledger().connect(run.number);
            let mut device = self.connect(&run, &mut log).await?;
            loop {
                if !log.received.is_empty() && rng.chance(90) {
                    let some = |_: &usize| rng.chance(85);
                    let numbers: Vec<usize> = log.received.iter().copied().filter(some).collect();
                    self.acknowledge(&mut device, &mut log, &numbers).await?;
                }
                let frame = device.receive().await?;
                self.ledger().received(&mut log, &frame);
            }
        };
        let received: Result<(), SocketEnd> = received.await;
        run.assert_ending(&self.name, &received);
    }

    /// Receives and acknowledges everything that is queued, and checks that nothing arrives
    /// afterwards.
    pub(super) async fn drain(&self, run: &Run) {
        for _ in 0..2 {
            let mut log = self.ledger().connect(run.number);
            let mut device = self.connect(run, &mut log).await.unwrap();
            let numbers: Vec<usize> = log.received.iter().copied().collect();
            self.acknowledge(&mut device, &mut log, &numbers).await.unwrap();
            device.close().await;
        }
    }

    /// Connects, and receives everything that is queued.
    async fn connect(&self, run: &Run, log: &mut DeviceLog) -> Result<FallibleSocket, SocketEnd> {
        let mut device = FallibleSocket::open(run.address, "/presence", false).await?;
        let hello =
            json!({"token": self.token, "device": "phone", "status": "online", "acks": true});
        let mark = json!({"type": "ack", "ids": [], "id": "all"});
        device.send_all(&[hello, mark]).await?;
        let first = device.receive_soon().await?;
        if first != json!({"result": "OK"}) {
            run.assert_ending(&self.name, &first);
            return Err(SocketEnd::Lost);
        }
        let mut frames = 0;
        loop {
            let frame = device.receive_soon().await?;
            if frame["id"] == "all" {
                break;
            }
            self.ledger().received(log, &frame);
            if frames == 0 {
                self.ledger().assert_all_arrived(log);
            }
            frames += 1;
        }
        let mut ledger = self.ledger();
        ledger.assert_all_arrived(log);
        ledger.resolve(log);
        Ok(device)
    }

    async fn acknowledge(
        &self,
        device: &mut FallibleSocket,
        log: &mut DeviceLog,
        numbers: &[usize],
    ) -> Result<(), SocketEnd> {
        if numbers.is_empty() {
            return Ok(());
        }
        log.received.retain(|number| !numbers.contains(number));
        let ids = self.ledger().acking(numbers);
        device.send(&json!({"type": "ack", "ids": ids, "id": "taken"})).await?;
        loop {
            let frame = device.receive_soon().await?;
            if frame["id"] == "taken" {
                assert_eq!(frame["result"], "OK", "{frame}");
                break;
            }
            self.ledger().received(log, &frame);
        }
        self.ledger().acked(numbers, log.run);
        self.capacity.notify_one();
        Ok(())
    }
}

async fn app_socket(run: &Run) -> Result<FallibleSocket, SocketEnd> {
    let mut socket =
        FallibleSocket::open(run.address, &format!("/myapps/{}", run.appid), true).await?;
    socket.send(&json!({"action": "auth", "token": run.api_key})).await?;
    let answer = socket.receive_soon().await?;
    if answer != json!({"action": "auth", "result": "OK"}) {
        run.assert_ending("an AppService", &answer);
        return Err(SocketEnd::Lost);
    }
    Ok(socket)
}

async fn over_socket(
    socket: &mut FallibleSocket,
    mut items: Vec<Value>,
) -> Result<Value, SocketEnd> {
    let single = items.len() == 1 && items[0]["idempotency_key"].is_null();
    let mut frame = if single { items.remove(0) } else { json!({"notifications": items}) };
    if single {
        frame["target"] = frame["uid"].take();
    }
    frame["action"] = "notify".into();
    socket.send(&frame).await?;
    loop {
        let received = socket.receive_soon().await?;
        if received["action"] == "notify" || received["result"] == "KO" {
            return Ok(received);
        }
    }
}

async fn over_rest(run: &Run, items: Vec<Value>) -> Result<Value, SocketEnd> {
    let url = format!("http://{}/apps/{}/notifications", run.address, run.appid);
    let body = json!({"notifications": items}).to_string();
    let request = run.http.post(url).bearer_auth(&run.api_key).body(body);
    let answer = async {
        let answer = request.header("content-type", "application/json").send().await;
        answer
            .map_err(|error| run.connection_lost(&error))?
            .text()
            .await
            .map_err(|error| run.connection_lost(&error))
    };
    let text = timeout(TIMEOUT, answer).await.unwrap_or_else(|_| panic!("no response"))?;
    serde_json::from_str(&text).map_err(|_| SocketEnd::Lost)
}
