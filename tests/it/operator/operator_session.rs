//! The operator's pages, used without a browser.

use presence_tests::{RestCall, RestResponse, Server, ServerOptions, run};
use tempfile::tempdir;

/// Runs the sub-command that makes a token. Returns the token and the digest for the settings.
pub(crate) async fn make_token() -> (String, String) {
    let directory = tempdir().unwrap();
    let output = run(directory.path(), &["admin-token"], &[]).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let token = output.out.lines().map(str::trim).find(|line| line.starts_with("pro_")).unwrap();
    let digest = output.out.split('"').nth(1).unwrap();
    (token.to_owned(), digest.to_owned())
}

/// A signed-in operator.
pub(crate) struct OperatorSession {
    origin: String,
    pub(crate) cookie: String,
    token: String,
}

impl OperatorSession {
    /// Starts a server with an operator, and signs the operator in.
    pub(crate) async fn start() -> (Server, Self) {
        let (token, server) = Self::start_server(ServerOptions::default()).await;
        let operator = Self::sign_in(&server, &token).await;
        (server, operator)
    }

    /// Starts a server with an operator. Returns the operator's token too.
    pub(crate) async fn start_server(options: ServerOptions) -> (String, Server) {
        let (token, digest) = make_token().await;
        (token, Server::start(options.with("admin-token-digest", digest)).await)
    }

    /// Signs in; also used after a restart.
    pub(crate) async fn sign_in(server: &Server, token: &str) -> Self {
        let answer = try_sign_in(server, token).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/admin"), "{}", answer.text);
        let expected = ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=3600"];
        let cookie = set_cookie(&answer, "presence-operator", &expected);
        Self { origin: server.url(), cookie, token: token.to_owned() }
    }

    pub(crate) async fn sign_in_again(&mut self, server: &Server) {
        *self = Self::sign_in(server, &self.token).await;
    }

    pub(crate) fn get(&self, server: &Server, path: &str) -> RestCall {
        server.call("GET", path).header("cookie", &self.cookie)
    }

    /// Posts a form as a page of this server does.
    pub(crate) async fn post(&self, server: &Server, path: &str, csrf_token: &str) -> RestResponse {
        let call = server.call("POST", path).header("cookie", &self.cookie);
        call.header("origin", &self.origin).form(&[("csrf_token", csrf_token)]).await
    }

    /// Returns the token of the forms of the pages.
    pub(crate) async fn csrf_token(&self, server: &Server) -> String {
        let page = self.get(server, "/admin").await;
        let (_, rest) = page.text.split_once("name=\"csrf_token\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// Blocks or unblocks an Application.
    pub(crate) async fn post_switch(&self, server: &Server, appid: &str, switch: &str) {
        let csrf_token = self.csrf_token(server).await;
        let path = format!("/admin/applications/{appid}/{switch}");
        let answer = self.post(server, &path, &csrf_token).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        assert!(answer.header("location").starts_with("/admin/applications"));
    }
}

/// Returns the cookie of this name as the browser sends it back. Asserts that a response sets it
/// with these attributes.
pub(crate) fn set_cookie(answer: &RestResponse, name: &str, attributes: &[&str]) -> String {
    let cookies = answer.headers.get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies.map(|cookie| cookie.to_str().unwrap()).collect();
    let named = |cookie: &&&str| cookie.starts_with(&format!("{name}="));
    let cookie = cookies.iter().find(named).unwrap_or_else(|| panic!("{cookies:?}"));
    for expected in attributes {
        assert!(cookie.split("; ").any(|part| part == *expected), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

/// Tries to sign in with a token.
pub(crate) async fn try_sign_in(server: &Server, token: &str) -> RestResponse {
    let call = server.call("POST", "/admin/sign-in").header("origin", &server.url());
    call.header("accept", "text/html").form(&[("token", token)]).await
}
