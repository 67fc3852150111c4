//! What is remembered of hosts, on made-up time and made-up hosts.

use std::collections::VecDeque;

use presence_core::ManualClock;
use tokio::sync::Notify;

use super::*;

const CLIENT: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

/// A host that says what the test tells it to, when the test lets it.
#[derive(Default)]
struct Script {
    told: Mutex<VecDeque<Told>>,
    asked: Mutex<Vec<String>>,
    /// Answers wait for a place here, where there is one.
    gate: Option<Semaphore>,
    arrived: Notify,
}

#[async_trait]
impl Ask for Arc<Script> {
    async fn ask(&self, host: &str, _domain: &str) -> Told {
        self.asked.lock().unwrap().push(host.to_owned());
        self.arrived.notify_one();
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        self.told.lock().unwrap().pop_front().unwrap_or(Told::Unreachable)
    }
}

struct House {
    script: Arc<Script>,
    remembered: Arc<Remembered<Arc<Script>>>,
    clock: Arc<ManualClock>,
}

impl House {
    fn new(told: impl IntoIterator<Item = Told>) -> Self {
        Self::with_gate(told, None)
    }

    fn with_gate(told: impl IntoIterator<Item = Told>, gate: Option<Semaphore>) -> Self {
        let told = Mutex::new(told.into_iter().collect());
        let script = Arc::new(Script { told, gate, ..Script::default() });
        let clock = Arc::new(ManualClock::default());
        let shared = Arc::<ManualClock>::clone(&clock);
        let remembered = Arc::new(Remembered::new(Arc::clone(&script), shared));
        Self { script, remembered, clock }
    }

    async fn ask(&self, host: &str) -> Answer {
        self.remembered.document(place(host, false), CLIENT).await
    }

    /// Lets time pass.
    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn asked(&self) -> usize {
        self.script.asked.lock().unwrap().len()
    }
}

fn place(host: &str, is_listed: bool) -> Place {
    Place { host: host.to_owned(), domain: host.to_owned(), is_listed }
}

fn to(authority: &str) -> SupportDocument {
    SupportDocument::Delegated { authority: authority.to_owned() }
}

fn document(authority: &str, max_age: Option<u64>) -> Told {
    Told::Document { document: to(authority), max_age: max_age.map(Duration::from_secs) }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

#[tokio::test]
async fn a_document_is_fresh_for_as_long_as_its_host_says_within_bounds() {
    for (max_age, fresh) in [
        (None, HOUR),
        (Some(2 * HOUR), 2 * HOUR),
        (Some(0), 5 * MINUTE),
        (Some(1), 5 * MINUTE),
        (Some(999 * HOUR), 24 * HOUR),
    ] {
        let house = House::new([document("a.example", max_age), document("b.example", None)]);
        assert_eq!(house.ask("idp.example").await, Ok(Some(to("a.example"))));
        // Just before it would be asked for again beforehand.
        house.pass(fresh * 4 / 5 - 1);
        assert_eq!(house.ask("idp.example").await, Ok(Some(to("a.example"))));
        tokio::task::yield_now().await;
        assert_eq!(house.asked(), 1, "{max_age:?}");
        house.pass(fresh / 5 + 2);
        assert_eq!(house.ask("idp.example").await, Ok(Some(to("b.example"))), "{max_age:?}");
    }
}

#[tokio::test]
async fn a_document_in_use_is_asked_for_again_before_it_is_over_and_nobody_waits() {
    let house = House::new([document("a.example", None), document("b.example", None)]);
    house.ask("idp.example").await.unwrap();
    house.pass(50 * MINUTE);
    assert_eq!(house.ask("idp.example").await, Ok(Some(to("a.example"))));
    house.script.arrived.notified().await;
    while house.ask("idp.example").await != Ok(Some(to("b.example"))) {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.asked(), 2);
}

#[tokio::test]
async fn a_document_serves_on_for_a_day_while_its_host_is_down() {
    let house = House::new([document("a.example", None)]);
    house.ask("idp.example").await.unwrap();
    house.pass(24 * HOUR);
    assert_eq!(house.ask("idp.example").await, Ok(Some(to("a.example"))));
    assert_eq!(house.asked(), 2);
    house.pass(2 * HOUR);
    assert_eq!(house.ask("idp.example").await, Err(NoAnswer::Unreachable));
}

#[tokio::test]
async fn nobody_else_speaks_for_a_domain_that_had_a_document_within_a_day() {
    let house = House::new([document("a.example", None), Told::Nothing, Told::Nothing]);
    house.ask("idp.example").await.unwrap();
    house.pass(2 * HOUR);
    assert_eq!(house.ask("idp.example").await, Err(NoAnswer::Unreachable));
    house.pass(24 * HOUR);
    assert_eq!(house.ask("idp.example").await, Ok(None));
}

#[tokio::test]
async fn a_domain_that_wanted_no_certificates_may_have_no_document_later() {
    let disabled = Told::Document { document: SupportDocument::Disabled, max_age: None };
    let house = House::new([disabled, Told::Nothing]);
    assert_eq!(house.ask("idp.example").await, Ok(Some(SupportDocument::Disabled)));
    house.pass(2 * HOUR);
    assert_eq!(house.ask("idp.example").await, Ok(None));
}

#[tokio::test]
async fn a_host_that_had_nothing_to_say_is_left_alone_for_a_while() {
    for (told, answer, pause) in [
        (Told::Nothing, Ok(None), 10 * MINUTE),
        (Told::Unreachable, Err(NoAnswer::Unreachable), 5 * MINUTE),
    ] {
        let house = House::new([told, document("a.example", None)]);
        assert_eq!(house.ask("idp.example").await, answer);
        house.pass(pause - 1);
        assert_eq!(house.ask("idp.example").await, answer);
        assert_eq!(house.asked(), 1);
        house.pass(1);
        assert_eq!(house.ask("idp.example").await, Ok(Some(to("a.example"))));
    }
}

#[tokio::test]
async fn a_listed_host_is_tried_again_soon_and_less_and_less_often() {
    let house = House::new([]);
    let ask = async || house.remembered.document(place("idp.example", true), CLIENT).await;
    for pause in [10, 20, 40, 80, 160, 300, 300] {
        let before = house.asked();
        assert_eq!(ask().await, Err(NoAnswer::Unreachable));
        house.pass(pause - 1);
        assert_eq!(ask().await, Err(NoAnswer::Unreachable));
        assert_eq!(house.asked(), before + 1, "{pause}");
        house.pass(1);
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it")]
async fn many_who_ask_for_the_same_at_once_have_it_asked_once() {
    let gate = Some(Semaphore::new(0));
    let house = House::with_gate([document("a.example", None)], gate);
    let crowd: Vec<_> = (0..WAITING + 10)
        .map(|_| {
            let remembered = Arc::clone(&house.remembered);
            tokio::spawn(async move { remembered.document(place("idp.example", true), None).await })
        })
        .collect();
    house.script.arrived.notified().await;
    // All of the crowd has come before the host answers.
    for _ in 0..2 * WAITING {
        tokio::task::yield_now().await;
    }
    house.script.gate.as_ref().unwrap().add_permits(1);
    let mut answers = Vec::new();
    for one in crowd {
        answers.push(one.await.unwrap());
    }
    let busy = answers.iter().filter(|answer| **answer == Err(NoAnswer::Busy)).count();
    assert_eq!((busy, house.asked()), (10, 1));
    assert!(answers.iter().filter(|answer| answer.is_ok()).count() == WAITING);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it")]
async fn few_hosts_are_asked_at_once_and_listed_ones_whatever_strangers_ask_for() {
    let house = House::with_gate([], Some(Semaphore::new(0)));
    let ask = |host: String, is_listed| {
        let remembered = Arc::clone(&house.remembered);
        tokio::spawn(async move { remembered.document(place(&host, is_listed), None).await })
    };
    let slow: Vec<_> = (0..AT_ONCE).map(|n| ask(format!("slow{n}.example"), false)).collect();
    while house.asked() < AT_ONCE {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask("other.example".to_owned(), false).await.unwrap(), Err(NoAnswer::Busy));
    assert_eq!(house.asked(), AT_ONCE);
    let listed = ask("idp.example".to_owned(), true);
    while house.asked() < AT_ONCE + 1 {
        tokio::task::yield_now().await;
    }
    house.script.gate.as_ref().unwrap().add_permits(AT_ONCE + 1);
    assert_eq!(listed.await.unwrap(), Err(NoAnswer::Unreachable));
    for one in slow {
        assert_eq!(one.await.unwrap(), Err(NoAnswer::Unreachable));
    }
    // What was refused for want of room is not remembered as anything.
    house.script.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(house.ask("other.example").await, Err(NoAnswer::Unreachable));
}

#[tokio::test]
async fn a_client_has_only_its_share_of_hosts_asked() {
    let house = House::new([]);
    let mut busy = 0;
    for n in 0..20 {
        let answer = house.ask(&format!("host{n}.example")).await;
        busy += usize::from(answer == Err(NoAnswer::Busy));
    }
    assert_eq!((house.asked(), busy), (10, 10));
    // What is remembered costs nothing, and another client has its own share.
    assert_eq!(house.ask("host0.example").await, Err(NoAnswer::Unreachable));
    let other = Some("192.0.2.2".parse().unwrap());
    let asked = house.asked();
    house.remembered.document(place("other.example", false), other).await.unwrap_err();
    assert_eq!(house.asked(), asked + 1);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the runtime of a test ends with it")]
async fn the_answer_is_remembered_even_if_who_asked_is_gone() {
    let house = House::with_gate([document("a.example", None)], Some(Semaphore::new(0)));
    let asking = {
        let remembered = Arc::clone(&house.remembered);
        tokio::spawn(async move { remembered.document(place("idp.example", false), CLIENT).await })
    };
    house.script.arrived.notified().await;
    asking.abort();
    asking.await.unwrap_err();
    house.script.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(house.ask("idp.example").await, Ok(Some(to("a.example"))));
    assert_eq!(house.asked(), 1);
}
