//! The proxy that the environment names, seen from a process of its own.

use std::process::Output;

use tokio::process::Command;

use super::recording_server::{RecordingServer, call};
use super::scripted_proxy::{PASSWORD, ProxyScript, ScriptedProxy, USER};
use crate::{Errno, NetworkOptions};

/// The variable with the URL of the server, in a process in which the test is the client.
const SERVER: &str = "PRESENCE_TEST_SERVER_URL";
const VARIABLES: [&str; 9] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
];

/// Runs this test as a client, with only these variables of a proxy.
async fn client(url: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "fault_tests::environment::the_proxy_of_the_environment_is_used"]);
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).env(SERVER, url).kill_on_drop(true);
    command.output().await.unwrap()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the client process gets the URL by its environment")]
async fn the_proxy_of_the_environment_is_used() {
    if let Ok(url) = std::env::var(SERVER) {
        let error = call(&url, &NetworkOptions::default()).await;
        assert_eq!(error.errno(), Some(Errno::SlowDown), "{error:?}");
        return;
    }
    let server = RecordingServer::start(None).await;
    let http = ScriptedProxy::start(vec![ProxyScript::Http], server.address).await;
    let socks = ScriptedProxy::start(vec![ProxyScript::Socks5], server.address).await;
    let http_url = format!("http://{USER}:{PASSWORD}@{}", http.address);
    let socks_url = format!("socks5h://{USER}:{PASSWORD}@{}", socks.address);
    let at = "http://presence.invalid";
    for (variables, goes_through) in [
        (vec![("HTTP_PROXY", &*http_url)], true),
        (vec![("http_proxy", &*http_url)], true),
        (vec![("ALL_PROXY", &*socks_url)], true),
        (vec![("HTTP_PROXY", &*http_url), ("NO_PROXY", "other.invalid")], true),
        (vec![("HTTP_PROXY", &*http_url), ("no_proxy", ".invalid")], false),
        (vec![("HTTPS_PROXY", &*http_url)], false),
        (vec![], false),
    ] {
        let output = client(at, &variables).await;
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), goes_through, "{variables:?}: {text}");
    }
    // Loopback is never reached through a proxy of the environment.
    let itself = format!("http://{}", server.address);
    let output = client(&itself, &[("ALL_PROXY", "http://127.0.0.1:1")]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let asked: Vec<_> = [http.destinations(), socks.destinations()].concat();
    assert_eq!(asked, vec!["presence.invalid:80"; 4]);
}
