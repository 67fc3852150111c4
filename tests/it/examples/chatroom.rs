//! The chat room, as its members' browsers and phones see it.

use std::net::TcpListener;
use std::time::Duration;

use presence_tests::{Server, TIMEOUT};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use tokio::time::timeout;

use super::Example;

#[tokio::test]
async fn who_has_closed_the_page_is_seen_to_be_reachable_and_pinged() {
    let server = Server::quick().await;
    let room = Room::open(&server).await;
    let (alice, bob) = (room.joins("Alice").await, room.joins("Bob").await);
    alice.lets_the_room_see("alice").await;
    bob.lets_the_room_see("bob").await;
    let mut page = alice.watches().await;
    page.shows("Bob", "cannot be reached").await;

    let mut phone = Example::start(&server, "device", &["bob"], &[]);
    phone.shows("Connected").await;
    phone.types("online on the train").await;
    page.shows("Bob", "can be reached · <bdi>on the train").await;
    let whom = page.number_of("Bob");
    // A double click is one ping.
    for _ in 0..2 {
        alice.posts("/ping", &[("whom", &whom)]).await.leads_to("/");
    }
    let ping = phone.shows("Alice is in the room and pings you").await;
    assert!(ping.ends_with(&format!("{}/", room.url)), "{ping}");
    page.shows("pinged", "arrived").await;
    assert_eq!(page.now.matches("pinged").count(), 1, "{}", page.now);

    phone.ends().await;
    page.shows("Bob", "cannot be reached").await;
    let back = bob.watches().await;
    page.shows("Bob", "in the room").await;
    drop(back);
    page.shows("Bob", "cannot be reached").await;
}

#[tokio::test]
async fn an_answer_about_presence_binds_only_whom_was_asked_and_once() {
    let server = Server::quick().await;
    let room = Room::open(&server).await;
    let (alice, mallory) = (room.joins("Alice").await, room.joins("Mallory").await);
    assert!(alice.page().await.contains("cannot see whether you can be reached"));
    let no = alice.is_asked_and_says("alice", "no").await;
    assert!(!no.contains("Presence-UID"), "{no}");
    alice.gets(&no).await.leads_to("/");
    assert!(alice.page().await.contains("cannot see whether you can be reached"));

    let yes = alice.is_asked_and_says("alice", "yes").await;
    mallory.gets("/share").await;
    assert_eq!(mallory.gets(&yes).await.status, 400, "somebody else's answer");
    alice.gets(&yes).await.leads_to("/");
    assert!(!alice.page().await.contains("cannot see whether you can be reached"));
    assert_eq!(alice.gets(&yes).await.status, 400, "the same answer again");
    let uid = yes.split_once("Presence-UID=").unwrap().1.get(..32).unwrap();
    assert!(!mallory.page().await.contains(uid), "a PUID is nobody's business");
    assert!(!alice.page().await.contains(uid), "a PUID is nobody's business");
}

#[tokio::test]
async fn what_members_type_is_shown_as_it_is_and_other_sites_can_do_nothing() {
    let server = Server::quick().await;
    let room = Room::open(&server).await;
    let alice = room.joins("<i>Alice</i>").await;
    alice.posts("/say", &[("text", "<script>alert(1)</script>")]).await.leads_to("/");
    let page = alice.page().await;
    assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("&lt;i&gt;Alice"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains("<i>Alice"), "{page}");
    let home = alice.gets("/").await;
    assert!(home.policy.contains("default-src 'none'; script-src 'self'"), "{}", home.policy);
    let forged = alice.request("POST", "/say").header("origin", "https://evil.example");
    assert_eq!(Answer::to(forged.form_of(&[("text", "hi")])).await.status, 403);
    let nobody = room.browser();
    assert_eq!(nobody.posts("/say", &[("text", "hi")]).await.status, 401);
    assert_eq!(nobody.gets("/events").await.status, 401);
    let long = "x".repeat(501);
    assert_eq!(alice.posts("/say", &[("text", &long)]).await.status, 400);
    assert_eq!(room.browser().posts("/join", &[("name", "<I>alice</I>")]).await.status, 400);
}

/// A chat room that runs.
struct Room {
    url: String,
    client: Client,
    _process: Example,
}

impl Room {
    async fn open(server: &Server) -> Self {
        let listen = free_address();
        let mut process =
            Example::start(server, "chatroom", &[], &[("CHATROOM_LISTEN", listen.as_str())]);
        process.shows(&format!("http://{listen}/")).await;
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .tls_certs_only([])
            .read_timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Self { url: format!("http://{listen}"), client, _process: process }
    }

    /// A browser that is no member's yet.
    fn browser(&self) -> Browser {
        let (url, client) = (self.url.clone(), self.client.clone());
        Browser { url, client, cookie: String::new() }
    }

    async fn joins(&self, name: &str) -> Browser {
        let browser = self.browser();
        let answer = browser.posts("/join", &[("name", name)]).await;
        answer.leads_to("/");
        let cookie = answer.cookie.split(';').next().unwrap().to_owned();
        assert!(answer.cookie.contains("HttpOnly; SameSite=Lax"), "{}", answer.cookie);
        Browser { cookie, ..browser }
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A member's browser: keeps the cookie, and follows no redirect by itself.
struct Browser {
    url: String,
    client: Client,
    cookie: String,
}

impl Browser {
    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        request.header("cookie", &self.cookie)
    }

    async fn gets(&self, path: &str) -> Answer {
        Answer::to(self.request("GET", path)).await
    }

    async fn posts(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request("POST", path).header("origin", &self.url);
        Answer::to(request.form_of(fields)).await
    }

    /// The room as it is shown now.
    async fn page(&self) -> String {
        self.gets("/").await.text
    }

    /// Is led to the question, answers it, and gives where that leads.
    async fn is_asked_and_says(&self, name: &str, decision: &str) -> String {
        let question = self.gets("/share").await.location;
        assert!(self.gets(&question).await.text.contains("see whether you can be reached?"));
        let (redirect, state) = question
            .split_once("redirect=")
            .and_then(|(_, rest)| rest.split_once("&state="))
            .unwrap_or_else(|| panic!("{question}"));
        let fields =
            [("name", name), ("redirect", redirect), ("state", state), ("decision", decision)];
        let back = self.posts("/consent", &fields).await.location;
        assert!(back.starts_with(&format!("{}/back?", self.url)), "{back}");
        back
    }

    async fn lets_the_room_see(&self, name: &str) {
        let back = self.is_asked_and_says(name, "yes").await;
        self.gets(&back).await.leads_to("/");
    }

    /// Keeps the page open.
    async fn watches(&self) -> Page {
        let news = self.request("GET", "/events").send().await.unwrap();
        assert_eq!(news.status(), 200);
        Page { news, heard: Vec::new(), now: String::new() }
    }
}

/// Fields as a browser posts them.
trait Form {
    fn form_of(self, fields: &[(&str, &str)]) -> Self;
}

impl Form for RequestBuilder {
    fn form_of(self, fields: &[(&str, &str)]) -> Self {
        let percent = |text: &str| -> String {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric();
            text.bytes()
                .map(|b| if plain(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
                .collect()
        };
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", percent(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }
}

/// What the room answers.
struct Answer {
    status: u16,
    location: String,
    cookie: String,
    policy: String,
    text: String,
}

impl Answer {
    async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (location, cookie) = (header("location"), header("set-cookie"));
        let policy = header("content-security-policy");
        let status = response.status().as_u16();
        Self { status, location, cookie, policy, text: response.text().await.unwrap() }
    }

    #[track_caller]
    fn leads_to(&self, path: &str) {
        assert_eq!((self.status, self.location.as_str()), (303, path), "{}", self.text);
    }
}

/// An open page. Dropping it closes it.
struct Page {
    news: Response,
    /// What came of an event that is not whole yet.
    heard: Vec<u8>,
    /// The items of the page, one a line, as they are now.
    now: String,
}

impl Page {
    /// Waits until an item of the page has both texts.
    async fn shows(&mut self, one: &str, other: &str) {
        let shown =
            |items: &str| items.lines().any(|item| item.contains(one) && item.contains(other));
        while !shown(&self.now) {
            let more = timeout(3 * TIMEOUT, self.news.chunk()).await;
            let more = more.unwrap_or_else(|_| panic!("no {one:?}, {other:?} in {}", self.now));
            self.hears(&more.unwrap().unwrap());
        }
    }

    fn hears(&mut self, chunk: &[u8]) {
        self.heard.extend_from_slice(chunk);
        while let Some(end) = self.heard.windows(2).position(|bytes| bytes == b"\n\n") {
            let event: Vec<u8> = self.heard.drain(..end + 2).collect();
            let event = String::from_utf8(event).unwrap();
            for (list, kind) in [("members", "<li id=m"), ("log", "<li id=l")] {
                if let Some(items) = event.strip_prefix(&format!("event: {list}\ndata: ")) {
                    let others = self.now.lines().filter(|item| !item.starts_with(kind));
                    let items = items.trim_end().split_inclusive("</li>");
                    self.now = others.chain(items).collect::<Vec<_>>().join("\n");
                }
            }
        }
    }

    /// The number by which a member is pinged.
    fn number_of(&self, name: &str) -> String {
        let mut members = self.now.lines().filter_map(|item| item.strip_prefix("<li id=m"));
        let item = members.find(|item| item.contains(&format!("<bdi>{name}</bdi>")));
        let id = item.and_then(|item| item.split_once(' '));
        id.unwrap_or_else(|| panic!("no {name} in {}", self.now)).0.to_owned()
    }
}
