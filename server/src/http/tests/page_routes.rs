//! Rules that hold for every page. The tests read the list of pages, so they include each new page.

use std::sync::Arc;

use poem::Response;
use poem::endpoint::{ToDynEndpoint, make_sync};
use poem::http::Method;

use crate::web;

use super::fixture::Server;

/// Returns the paths of all pages with a method, with a value for each parameter.
fn paths(method: &Method) -> Vec<String> {
    let fallback = Arc::new(ToDynEndpoint(make_sync(|_| Response::default())));
    let listed = web::pages(fallback).methods().into_iter();
    let paths = listed.filter(|(_, listed)| listed == method);
    paths.map(|(path, _)| path.replace("{appid}", &"0".repeat(32)).replace("{key}", "1")).collect()
}

#[tokio::test]
async fn no_form_is_accepted_from_another_site() {
    let server = Server::development().await;
    let cookie = server.sign_in("alice@dev.localhost", "account").await;
    let session = server.get("/session").cookie(&cookie).send().await.json();
    let token = session["csrf_token"].as_str().unwrap();
    let paths = paths(&Method::POST);
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let form = format!("csrf_token={token}&email=alice%40dev.localhost&name=alice");
        let call = || server.post(&path).cookie(&cookie).form(&form);
        // Without a configured operator the operator's pages do not exist.
        let expected = if path.starts_with("/admin/applications") || path == "/admin/sign-out" {
            47
        } else {
            45
        };
        assert_eq!(call().errno().await, expected, "{path} without an origin");
        let foreign = call().header("origin", "https://evil.example");
        assert_eq!(foreign.errno().await, expected, "{path} from another origin");
    }
}

#[tokio::test]
async fn no_form_of_a_user_is_accepted_without_the_token_of_the_session() {
    let server = Server::development().await;
    let cookie = server.sign_in("alice@dev.localhost", "account").await;
    let forms = paths(&Method::POST).into_iter();
    let of_users = |path: &String| !path.starts_with("/admin") && path != "/dev";
    for path in forms.filter(of_users).filter(|path| path != "/sign-in/development") {
        for token in ["", "&csrf_token=", &format!("&csrf_token={}", "0".repeat(64))] {
            let call = server.post(&path).cookie(&cookie).header("origin", &server.origin);
            let form = format!("email=alice%40dev.localhost{token}");
            assert_eq!(call.form(&form).errno().await, 45, "{path} with {token:?}");
        }
    }
}

#[tokio::test]
async fn every_page_has_a_content_policy_and_is_not_cached() {
    let server = Server::development().await;
    let cookie = server.sign_in("alice@dev.localhost", "account").await;
    let is_file = |path: &String| path.contains("{name}");
    let mut pages = 0;
    for path in paths(&Method::GET).into_iter().filter(|path| !is_file(path)) {
        let page = server.get(&path).cookie(&cookie).header("accept", "text/html").send().await;
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        if page.header("content-type").starts_with("text/html") {
            let policy = page.header("content-security-policy");
            assert!(policy.contains("script-src 'self'; "), "{path}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            pages += 1;
        }
    }
    assert!(pages > 15, "{pages}");
}
