//! The example chat room, tested with browsers and devices of its members.

use std::time::Duration;

use presence_tests::{Server, TIMEOUT, free_address};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::json;
use tokio::time::timeout;

use super::Example;

#[tokio::test]
async fn a_member_with_a_closed_page_and_a_device_can_be_reached_and_pinged() {
    let server = Server::start_default().await;
    let room = ChatRoom::start(&server).await;
    let (alice, bob) = (room.join("Alice").await, room.join("Bob").await);
    alice.share_presence(&server, "alice").await;
    bob.share_presence(&server, "bob").await;
    let mut page = alice.open_page().await;
    page.wait_for("Bob", "cannot be reached").await;

    let mut phone = Example::start(&server, "device", &["bob"], &[]);
    phone.wait_for("Connected").await;
    phone.write_line("online on the train").await;
    page.wait_for("Bob", "can be reached · <bdi>on the train").await;
    let member = page.id_of("Bob");
    // A double click sends one ping.
    for _ in 0..2 {
        alice.post("/ping", &[("member", &member)]).await.redirects_to("/");
    }
    let ping = phone.wait_for("Alice is in the chat room and pings you").await;
    assert!(ping.ends_with(&format!("{}/", room.url)), "{ping}");
    page.wait_for("pinged", "delivered").await;
    assert_eq!(page.items.matches("pinged").count(), 1, "{}", page.items);

    phone.close().await;
    page.wait_for("Bob", "cannot be reached").await;
    let bobs_page = bob.open_page().await;
    page.wait_for("Bob", "in the chat room").await;
    drop(bobs_page);
    page.wait_for("Bob", "cannot be reached").await;
}

#[tokio::test]
async fn a_grant_result_counts_once_and_only_for_the_member_who_was_sent() {
    let server = Server::start_default().await;
    let room = ChatRoom::start(&server).await;
    let (alice, mallory) = (room.join("Alice").await, room.join("Mallory").await);
    assert!(alice.page().await.contains("cannot see whether you can be reached"));
    let no = alice.decide_on_grant(&server, "alice", "no").await;
    assert!(!no.contains("Presence-UID"), "{no}");
    alice.get(&no).await.redirects_to("/");
    assert!(alice.page().await.contains("cannot see whether you can be reached"));

    let yes = alice.decide_on_grant(&server, "alice", "yes").await;
    mallory.get("/share").await;
    assert_eq!(mallory.get(&yes).await.status, 400, "the result of another member");
    alice.get(&yes).await.redirects_to("/");
    assert!(!alice.page().await.contains("cannot see whether you can be reached"));
    assert_eq!(alice.get(&yes).await.status, 400, "the same result again");
    let uid = yes.split_once("Presence-UID=").unwrap().1.get(..32).unwrap();
    assert!(!mallory.page().await.contains(uid), "a page shows a PUID");
    assert!(!alice.page().await.contains(uid), "a page shows a PUID");
}

#[tokio::test]
async fn messages_are_escaped_and_other_sites_cannot_send_forms() {
    let server = Server::start_default().await;
    let room = ChatRoom::start(&server).await;
    let alice = room.join("<i>Alice</i>").await;
    alice.post("/messages", &[("text", "<script>alert(1)</script>")]).await.redirects_to("/");
    let page = alice.page().await;
    assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("&lt;i&gt;Alice"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains("<i>Alice"), "{page}");
    let home = alice.get("/").await;
    assert!(home.policy.contains("default-src 'none'; script-src 'self'"), "{}", home.policy);
    let forged = alice.request("POST", "/messages").header("origin", "https://evil.example");
    assert_eq!(ChatRoomResponse::of(forged.form_of(&[("text", "hi")])).await.status, 403);
    let visitor = room.browser();
    assert_eq!(visitor.post("/messages", &[("text", "hi")]).await.status, 401);
    assert_eq!(visitor.get("/events").await.status, 401);
    let long = "x".repeat(501);
    assert_eq!(alice.post("/messages", &[("text", &long)]).await.status, 400);
    assert_eq!(room.browser().post("/join", &[("name", "<I>alice</I>")]).await.status, 400);
}

/// A running chat room.
struct ChatRoom {
    url: String,
    client: Client,
    _process: Example,
}

impl ChatRoom {
    async fn start(server: &Server) -> Self {
        let listen = free_address().to_string();
        let mut process =
            Example::start(server, "chatroom", &[], &[("CHATROOM_LISTEN", listen.as_str())]);
        process.wait_for(&format!("http://{listen}/")).await;
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .tls_certs_only([])
            .read_timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Self { url: format!("http://{listen}"), client, _process: process }
    }

    /// Returns a browser that has not joined.
    fn browser(&self) -> Browser {
        let (url, client) = (self.url.clone(), self.client.clone());
        Browser { url, client, name: String::new(), cookie: String::new() }
    }

    async fn join(&self, name: &str) -> Browser {
        let browser = self.browser();
        let answer = browser.post("/join", &[("name", name)]).await;
        answer.redirects_to("/");
        let cookie = answer.cookie.split(';').next().unwrap().to_owned();
        assert!(answer.cookie.contains("HttpOnly; SameSite=Lax"), "{}", answer.cookie);
        Browser { cookie, name: name.to_owned(), ..browser }
    }
}

/// The browser of a member. It keeps the cookie, and does not follow redirects.
struct Browser {
    url: String,
    client: Client,
    /// The name of the member in the chat room.
    name: String,
    cookie: String,
}

impl Browser {
    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        request.header("cookie", &self.cookie)
    }

    async fn get(&self, path: &str) -> ChatRoomResponse {
        ChatRoomResponse::of(self.request("GET", path)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> ChatRoomResponse {
        let request = self.request("POST", path).header("origin", &self.url);
        ChatRoomResponse::of(request.form_of(fields)).await
    }

    /// Returns the HTML of the chat room.
    async fn page(&self) -> String {
        self.get("/").await.text
    }

    /// Follows the link to the grant page of the server, signs in there, decides, and returns the
    /// URL to which the server sends the browser back.
    async fn decide_on_grant(&self, server: &Server, name: &str, decision: &str) -> String {
        let link = self.get("/share").await.location;
        let path = link.strip_prefix(&server.url()).unwrap_or_else(|| panic!("{link}"));
        assert!(path.starts_with("/grant/"), "{path}");
        let (own, user) = (
            server.url(),
            json!({
                "assertion": server.assertion(name).await,
                "scope": "account",
            }),
        );
        let session = server.call("POST", "/session").json(&user).header("origin", &own).await;
        let cookie = session.header("set-cookie").split(';').next().unwrap().to_owned();
        let page = server.call("GET", path).header("accept", "text/html").header("cookie", &cookie);
        let page = page.await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(page.text.contains("Chat room") && page.text.contains(&self.name), "{}", page.text);
        let action = attribute(&page.text, "action=\"/grant/");
        let [token, redirect, state] = ["csrf_token", "redirect", "state"]
            .map(|field| attribute(&page.text, &format!("name=\"{field}\" value=\"")));
        let fields = [
            ("csrf_token", &*token),
            ("redirect", &*redirect),
            ("state", &*state),
            ("decision", decision),
        ];
        let form = server.call("POST", &format!("/grant/{action}")).form(&fields);
        let decided = form.header("cookie", &cookie).header("origin", &own).await;
        let back = decided.header("location").to_owned();
        assert!(back.starts_with(&format!("{}/back?", self.url)), "{back} {}", decided.text);
        back
    }

    async fn share_presence(&self, server: &Server, name: &str) {
        let back = self.decide_on_grant(server, name, "yes").await;
        self.get(&back).await.redirects_to("/");
    }

    /// Opens a page, which stays open until it is dropped.
    async fn open_page(&self) -> OpenPage {
        let updates = self.request("GET", "/events").send().await.unwrap();
        assert_eq!(updates.status(), 200);
        OpenPage { updates, unread: Vec::new(), items: String::new() }
    }
}

/// Returns the text between this start and the next quote.
fn attribute(html: &str, start: &str) -> String {
    let rest = html.split_once(start).unwrap_or_else(|| panic!("no {start} in {html}")).1;
    rest.split('"').next().unwrap_or_default().to_owned()
}

/// Encodes fields as a browser does.
trait FormBody {
    fn form_of(self, fields: &[(&str, &str)]) -> Self;
}

impl FormBody for RequestBuilder {
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

/// The response of the chat room.
struct ChatRoomResponse {
    status: u16,
    location: String,
    cookie: String,
    policy: String,
    text: String,
}

impl ChatRoomResponse {
    async fn of(request: RequestBuilder) -> Self {
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
    fn redirects_to(&self, path: &str) {
        assert_eq!((self.status, self.location.as_str()), (303, path), "{}", self.text);
    }
}

/// An open page. Dropping it closes the page.
struct OpenPage {
    updates: Response,
    /// The beginning of an event that is not complete.
    unread: Vec<u8>,
    /// The current items of the page, one per line.
    items: String,
}

impl OpenPage {
    /// Waits until an item of the page contains both texts.
    async fn wait_for(&mut self, one: &str, other: &str) {
        let shown =
            |items: &str| items.lines().any(|item| item.contains(one) && item.contains(other));
        while !shown(&self.items) {
            let more = timeout(TIMEOUT, self.updates.chunk()).await;
            let more = more.unwrap_or_else(|_| panic!("no {one:?}, {other:?} in {}", self.items));
            self.read(&more.unwrap().unwrap());
        }
    }

    fn read(&mut self, chunk: &[u8]) {
        self.unread.extend_from_slice(chunk);
        while let Some(end) = self.unread.windows(2).position(|bytes| bytes == b"\n\n") {
            let event: Vec<u8> = self.unread.drain(..end + 2).collect();
            let event = String::from_utf8(event).unwrap();
            for (list, kind) in [("members", "<li id=m"), ("log", "<li id=l")] {
                if let Some(items) = event.strip_prefix(&format!("event: {list}\ndata: ")) {
                    let others = self.items.lines().filter(|item| !item.starts_with(kind));
                    let items = items.trim_end().split_inclusive("</li>");
                    self.items = others.chain(items).collect::<Vec<_>>().join("\n");
                }
            }
        }
    }

    /// Returns the id of a member.
    fn id_of(&self, name: &str) -> String {
        let mut members = self.items.lines().filter_map(|item| item.strip_prefix("<li id=m"));
        let item = members.find(|item| item.contains(&format!("<bdi>{name}</bdi>")));
        let id = item.and_then(|item| item.split_once(' '));
        id.unwrap_or_else(|| panic!("no {name} in {}", self.items)).0.to_owned()
    }
}
