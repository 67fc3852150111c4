//! A server with its own database, and requests to it.

use std::sync::{Arc, LazyLock};

use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderMap, Method, StatusCode};
use poem::{Body, Endpoint, EndpointExt, Request, Response};
use presence_core::Clock as _;
use presence_identity::browserid::{Audience, BrowserId, Policy};
use presence_identity::fetch::{GuardOptions, GuardedClient};
use presence_identity::{DevIssuer, Dispatcher};
use presence_service::clock::SystemClock;
use presence_service::{OpenDatabase, PresenceService, ServiceParts};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::ServerContext;
use crate::http::routes;
use crate::settings::Settings;
use crate::supervisor::Supervisor;
use crate::web;

pub(super) const BODY_LIMIT: usize = 4096;

static ISSUER: LazyLock<Arc<DevIssuer>> = LazyLock::new(|| Arc::new(DevIssuer::new().unwrap()));

pub(super) struct Server {
    pub(super) origin: String,
    routes: BoxEndpoint<'static, Response>,
    tasks: TaskTracker,
    _directory: TempDir,
}

impl Server {
    pub(super) async fn development() -> Self {
        Self::with_url("http://localhost:8080", true).await
    }

    pub(super) async fn with_url(url: &str, development: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}/t.db?mode=rwc", directory.path().display());
        let audience = Audience::parse(url).unwrap();
        let keys = Arc::new(ISSUER.key_source());
        let browserid = BrowserId::new(keys, vec![audience], Policy::default());
        let options =
            GuardOptions { allow_http: true, allow_loopback: true, ..GuardOptions::default() };
        let settings = Settings { dev: true, ..Settings::default() };
        let clock = Arc::new(SystemClock::default());
        let service_settings = settings.service_settings();
        let database = OpenDatabase::open(&database, &service_settings, clock.now()).await;
        let (service, writer) = PresenceService::open(ServiceParts {
            database: database.unwrap(),
            verifier: Arc::new(Dispatcher::new().with_browserid(Arc::new(browserid))),
            domain_client: GuardedClient::new(options).unwrap(),
            clock,
            settings: service_settings,
        })
        .await
        .unwrap();
        let tasks = TaskTracker::new();
        tasks.spawn(writer.run());
        let dev_issuer = development.then(|| DevIssuer::new().unwrap());
        let public_url = url.parse().unwrap();
        let context = ServerContext {
            service,
            public_url,
            own_origins: vec![url.to_owned()],
            dev_issuer,
            code_flow: None,
            body_limit: BODY_LIMIT,
            operator: None,
            supervisor: Supervisor::new(CancellationToken::new()),
            tls: None,
            version_file: directory.path().join("version.json"),
        };
        let routes = routes(Arc::new(context), web::pages).boxed();
        Self { origin: url.to_owned(), routes, tasks, _directory: directory }
    }

    pub(super) fn assertion(&self, email: &str) -> String {
        let now = SystemClock::default().now();
        ISSUER.assertion(email, &self.origin, now, DevIssuer::DEFAULT_LIFETIME).unwrap()
    }

    /// Opens a session of a user, and returns its token.
    pub(super) async fn sign_in(&self, email: &str, scope: &str) -> String {
        let body = json!({ "assertion": self.assertion(email), "scope": scope });
        let response = self.post("/session").json(&body).send().await;
        assert_eq!(response.status, 200, "{}", response.text);
        response.json()["token"].as_str().unwrap().to_owned()
    }

    /// Registers and activates an Application; returns its id and its API key.
    pub(super) async fn active_app(&self, developer: &str) -> (String, String) {
        let (domain, served) = self.domain().await;
        let body = json!({ "name": "Chess <b>", "domain": domain });
        let app = self.post("/apps").bearer(developer).json(&body).send().await.json();
        let appid = app["appid"].as_str().unwrap().to_owned();
        served.send(app["domain_key"].as_str().unwrap().to_owned()).unwrap();
        let verify = self.post(&format!("/apps/{appid}/verify")).bearer(developer).send().await;
        assert_eq!(verify.json()["state"], "verified");
        let active = self.post(&format!("/apps/{appid}/activate")).bearer(developer).send().await;
        assert_eq!(active.headers["cache-control"], "no-store");
        (appid, active.json()["api_key"].as_str().unwrap().to_owned())
    }

    /// Starts a domain on loopback; returns its name and the sender of the text that it serves.
    pub(super) async fn domain(&self) -> (String, tokio::sync::watch::Sender<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let domain = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (served, text) = tokio::sync::watch::channel(String::new());
        self.tasks.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.read(&mut [0; 2048]).await;
                let text = text.borrow().clone();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                let _ = socket.write_all(format!("{head}{text}").as_bytes()).await;
            }
        });
        (domain, served)
    }

    pub(super) fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    pub(super) fn post(&self, path: &str) -> Call<'_> {
        self.call(Method::POST, path)
    }

    pub(super) fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    pub(super) fn call(&self, method: Method, path: &str) -> Call<'_> {
        let mut request = Request::default();
        request.set_method(method);
        *request.uri_mut() = path.parse().unwrap();
        Call { server: self, request }
    }
}

pub(super) struct Call<'a> {
    server: &'a Server,
    request: Request,
}

impl Call<'_> {
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub(super) fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    pub(super) fn cookie(self, token: &str) -> Self {
        self.header("cookie", &format!("a=b; presence={token}"))
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(super) fn form(self, body: &str) -> Self {
        self.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())
    }

    pub(super) fn body(mut self, body: impl Into<Body>) -> Self {
        self.request.set_body(body);
        self
    }

    pub(super) async fn send(self) -> TestResponse {
        let response = self.server.routes.get_response(self.request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.into_bytes().await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        TestResponse { status: parts.status, headers: parts.headers, length: bytes.len(), text }
    }

    /// Sends the request; returns the number of the error, or 0 for a success. The status must be
    /// that of the registry.
    pub(super) async fn errno(self) -> u16 {
        let response = self.send().await;
        if response.status.is_success() || response.status.is_redirection() {
            return 0;
        }
        let json = response.json();
        assert_eq!(json["result"], "KO", "{json}");
        let errno = u16::try_from(json["errno"].as_u64().unwrap()).unwrap();
        let known = presence_protocol::Errno::from_number(errno).unwrap();
        assert_eq!(response.status.as_u16(), known.http_status());
        errno
    }
}

pub(super) struct TestResponse {
    /// The length of the body in bytes.
    pub(super) length: usize,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl TestResponse {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
