//! The senders and the devices that live through the kills.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use presence_protocol::Errno;
use presence_tests::{FallibleSocket, SeededRng, SocketEnd, TIMEOUT};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::ledger::{Hearing, Ledger};

/// The most that one user leaves open, so that no queue of a hundred gives way.
const MOST: usize = 48;
/// The most items of one request.
const BATCH: usize = 5;

/// A user with the ledger of what was sent to them.
pub(super) struct Person {
    name: String,
    uid: String,
    token: String,
    ledger: Mutex<Ledger>,
    /// Something was acknowledged, so that there may be room again.
    room: Notify,
}

/// One run of the server.
pub(super) struct Run {
    number: usize,
    address: SocketAddr,
    appid: String,
    api_key: String,
    http: reqwest::Client,
    /// It is being ended: from here on connections may break, and requests may be refused.
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

    /// The server is about to be ended.
    pub(super) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until so many requests were answered.
    pub(super) async fn has_answered(&self, count: usize) {
        let mut answers = self.answers.subscribe();
        let enough = timeout(TIMEOUT, answers.wait_for(|answers| *answers >= count)).await;
        drop(enough.unwrap_or_else(|_| panic!("nobody is answered in run {}", self.number)));
    }

    fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    fn lost(&self, error: &reqwest::Error) -> SocketEnd {
        self.may_break("a sender over REST", error);
        SocketEnd::Lost
    }

    fn may_break(&self, who: &str, what: &dyn std::fmt::Debug) {
        assert!(self.is_ending(), "{who}: nobody has ended run {}, and yet: {what:?}", self.number);
    }
}

impl Person {
    pub(super) fn new(name: String, uid: String, token: String) -> Self {
        let ledger = Mutex::new(Ledger::new(&name));
        Self { name, uid, token, ledger, room: Notify::new() }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Sends until the server is gone: first again what was left unanswered.
    pub(super) async fn send_until_the_end(self: Arc<Self>, run: Arc<Run>, mut dice: SeededRng) {
        if let Err(ended) = self.send(&run, &mut dice).await {
            run.may_break(&self.name, &ended);
        }
    }

    /// Sends again what was left unanswered, and waits for the answers.
    pub(super) async fn retry(&self, run: &Run) {
        let items = self.ledger().retry_in(run.number);
        if !items.is_empty() {
            self.send_items(run, &mut None, &items).await.unwrap();
        }
    }

    /// Sends some items at once and hears their OK.
    pub(super) async fn send_some(&self, run: &Run, count: usize, by_socket: bool) {
        let mut socket = if by_socket { Some(app_socket(run).await.unwrap()) } else { None };
        let items: Vec<usize> = (0..count).map(|_| self.ledger().ask(run.number, false)).collect();
        self.send_items(run, &mut socket, &items).await.unwrap();
    }

    async fn send(&self, run: &Run, dice: &mut SeededRng) -> Result<(), SocketEnd> {
        let mut socket = if dice.chance(50) { Some(app_socket(run).await?) } else { None };
        let mut ending = run.ending.subscribe();
        let mut items = self.ledger().retry_in(run.number);
        items.extend(self.some_answered_before(dice));
        loop {
            if !items.is_empty() {
                self.send_items(run, &mut socket, &items).await?;
            }
            while self.ledger().open() + BATCH > MOST {
                tokio::select! {
                    () = self.room.notified() => {}
                    _ = ending.wait_for(|ending| *ending) => return Ok(()),
                }
            }
            if run.is_ending() {
                return Ok(());
            }
            let count = dice.between(1, BATCH);
            let mut ledger = self.ledger();
            items = (0..count).map(|_| ledger.ask(run.number, dice.chance(40))).collect();
        }
    }

    fn some_answered_before(&self, dice: &mut SeededRng) -> Option<usize> {
        let ledger = self.ledger();
        let keyed = ledger.keyed();
        (!keyed.is_empty() && dice.chance(50)).then(|| *dice.pick(keyed))
    }

    async fn send_items(
        &self,
        run: &Run,
        socket: &mut Option<FallibleSocket>,
        items: &[usize],
    ) -> Result<(), SocketEnd> {
        let wire: Vec<Value> = items.iter().map(|number| self.on_the_wire(*number)).collect();
        let answer = match socket {
            None => over_rest(run, wire).await?,
            Some(socket) => over_socket(socket, wire).await?,
        };
        if answer["results"].is_null() {
            // After the end of the server, another process may have its port.
            run.may_break(&self.name, &answer);
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

    fn on_the_wire(&self, number: usize) -> Value {
        let ledger = self.ledger();
        let (message, key) = ledger.body(number);
        let mut item = json!({"uid": self.uid, "message": message, "action": ""});
        if let Some(key) = key {
            item["idempotency_key"] = key.into();
        }
        item
    }

    /// Takes notifications until the server is gone, and acknowledges some.
    pub(super) async fn listen_until_the_end(self: Arc<Self>, run: Arc<Run>, mut dice: SeededRng) {
        let heard = async {
            let mut hearing = self.ledger().listen(run.number);
            let mut device = self.connect(&run, &mut hearing).await?;
            loop {
                if !hearing.taken.is_empty() && dice.chance(90) {
                    let some = |_: &usize| dice.chance(85);
                    let numbers: Vec<usize> = hearing.taken.iter().copied().filter(some).collect();
                    self.acknowledge(&mut device, &mut hearing, &numbers).await?;
                }
                let frame = device.receive().await?;
                self.ledger().heard(&mut hearing, &frame);
            }
        };
        let heard: Result<(), SocketEnd> = heard.await;
        run.may_break(&self.name, &heard);
    }

    /// Takes everything that is pending and acknowledges it; then nothing comes any more.
    pub(super) async fn drain(&self, run: &Run) {
        for _ in 0..2 {
            let mut hearing = self.ledger().listen(run.number);
            let mut device = self.connect(run, &mut hearing).await.unwrap();
            let numbers: Vec<usize> = hearing.taken.iter().copied().collect();
            self.acknowledge(&mut device, &mut hearing, &numbers).await.unwrap();
            device.close().await;
        }
    }

    /// Connects, and hears all that is pending.
    async fn connect(&self, run: &Run, hearing: &mut Hearing) -> Result<FallibleSocket, SocketEnd> {
        let mut device = FallibleSocket::open(run.address, "/presence", false).await?;
        let hello =
            json!({"token": self.token, "device": "phone", "status": "online", "acks": true});
        let mark = json!({"type": "ack", "ids": [], "id": "all"});
        device.send_all(&[hello, mark]).await?;
        let first = device.receive_soon().await?;
        if first != json!({"result": "OK"}) {
            run.may_break(&self.name, &first);
            return Err(SocketEnd::Lost);
        }
        let mut frames = 0;
        loop {
            let frame = device.receive_soon().await?;
            if frame["id"] == "all" {
                break;
            }
            self.ledger().heard(hearing, &frame);
            if frames == 0 {
                self.ledger().all_must_have_come(hearing);
            }
            frames += 1;
        }
        let mut ledger = self.ledger();
        ledger.all_must_have_come(hearing);
        ledger.resolve(hearing);
        Ok(device)
    }

    async fn acknowledge(
        &self,
        device: &mut FallibleSocket,
        hearing: &mut Hearing,
        numbers: &[usize],
    ) -> Result<(), SocketEnd> {
        if numbers.is_empty() {
            return Ok(());
        }
        hearing.taken.retain(|number| !numbers.contains(number));
        let ids = self.ledger().acking(numbers);
        device.say(&json!({"type": "ack", "ids": ids, "id": "taken"})).await?;
        loop {
            let frame = device.receive_soon().await?;
            if frame["id"] == "taken" {
                assert_eq!(frame["result"], "OK", "{frame}");
                break;
            }
            self.ledger().heard(hearing, &frame);
        }
        self.ledger().acked(numbers);
        self.room.notify_one();
        Ok(())
    }
}

async fn app_socket(run: &Run) -> Result<FallibleSocket, SocketEnd> {
    let mut socket =
        FallibleSocket::open(run.address, &format!("/myapps/{}", run.appid), true).await?;
    socket.say(&json!({"action": "auth", "token": run.api_key})).await?;
    let answer = socket.receive_soon().await?;
    if answer != json!({"action": "auth", "result": "OK"}) {
        run.may_break("an AppService", &answer);
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
    socket.say(&frame).await?;
    loop {
        let heard = socket.receive_soon().await?;
        if heard["action"] == "notify" || heard["result"] == "KO" {
            return Ok(heard);
        }
    }
}

async fn over_rest(run: &Run, items: Vec<Value>) -> Result<Value, SocketEnd> {
    let url = format!("http://{}/apps/{}/notifications", run.address, run.appid);
    let body = json!({"notifications": items}).to_string();
    let request = run.http.post(url).bearer_auth(&run.api_key).body(body);
    let answer = async {
        let answer = request.header("content-type", "application/json").send().await;
        answer.map_err(|error| run.lost(&error))?.text().await.map_err(|error| run.lost(&error))
    };
    let text = timeout(TIMEOUT, answer).await.unwrap_or_else(|_| panic!("no answer"))?;
    serde_json::from_str(&text).map_err(|_| SocketEnd::Lost)
}
