//! Proxies: what goes through them, and what follows if they refuse or hang.

use std::time::Duration;

use rcgen::CertificateParams;

use super::recording_server::{
    RecordingServer, TestAuthority, call, device, errors, header, server_config, waiting_reason,
};
use super::scripted_proxy::{PASSWORD, ProxyScript, ScriptedProxy, USER};
use super::scripted_server::{long_timing, within};
use crate::{
    AppId, AppServiceChannel, AppServiceOptions, ConnectionState, Errno, Error, NetworkOptions,
    Proxy, ProxyErrorKind, ProxyServer, Timing, Tls,
};

/// A name that only a proxy knows.
const URL: &str = "https://presence.example";

fn through(proxy: Proxy) -> NetworkOptions {
    NetworkOptions::default().with_proxy(proxy)
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

#[tokio::test]
async fn channels_and_rest_go_with_tls_through_each_kind_of_proxy() {
    let root = TestAuthority::root("root");
    let (certificate, key) = root.server(&params("presence.example"));
    let server = RecordingServer::start(Some(server_config(vec![certificate], &key))).await;
    let (certificate, key) = root.server(&params("127.0.0.1"));
    let proxy_tls = server_config(vec![certificate], &key);
    let http = ScriptedProxy::start(vec![ProxyScript::Http], server.address).await;
    let scripts = vec![ProxyScript::Http];
    let https = ScriptedProxy::start_with_tls(scripts, server.address, Some(proxy_tls)).await;
    let socks = ScriptedProxy::start(vec![ProxyScript::Socks5], server.address).await;
    let tls = Tls::default().with_root_certificate(root.certificate.to_vec());
    for (proxy, options) in [
        (&http, Proxy::Http(http.server_with_credentials())),
        (&https, Proxy::Https(https.server_with_credentials())),
        (&socks, Proxy::Socks5(socks.server_with_credentials())),
    ] {
        let network = through(options).with_tls(tls.clone());
        let channel = device(URL, &network, long_timing());
        within(channel.confirmed()).await.unwrap();
        wait_until_connected(&network).await;
        assert_eq!(call(URL, &network).await.errno(), Some(Errno::SlowDown));
        assert_eq!(proxy.destinations(), vec!["presence.example:443"; 3]);
    }
    let heads = server.heads();
    assert_eq!(heads.len(), 9);
    for head in heads {
        assert_eq!(header(&head, "host"), Some("presence.example"), "{head}");
        assert!(!head.to_lowercase().contains("proxy-"), "{head}");
    }
}

/// Opens the channel of a back end, and waits until it is connected.
async fn wait_until_connected(network: &NetworkOptions) {
    let server = URL.parse().unwrap();
    let mut options = AppServiceOptions::new(server, AppId::from_bits(1), "key".into());
    (options.timing, options.network) = (long_timing(), network.clone());
    let (channel, _events) = AppServiceChannel::open(options).unwrap();
    let connected = async {
        let mut state = channel.state();
        while state != ConnectionState::Connected {
            state = channel.wait_for_state_change(&state).await.unwrap();
        }
    };
    within(connected).await;
}

#[tokio::test]
async fn a_channel_without_tls_asks_the_proxy_for_port_80() {
    let server = RecordingServer::start(None).await;
    let http = ScriptedProxy::start(vec![ProxyScript::Http], server.address).await;
    let socks = ScriptedProxy::start(vec![ProxyScript::Socks5], server.address).await;
    for (proxy, options) in [
        (&http, Proxy::Http(http.server_with_credentials())),
        (&socks, Proxy::Socks5(socks.server_with_credentials())),
    ] {
        let network = through(options);
        let channel = device("http://presence.example", &network, long_timing());
        within(channel.confirmed()).await.unwrap();
        assert_eq!(proxy.destinations(), ["presence.example:80"]);
    }
}

/// Checks that a channel waits with an error of this kind, that a REST call has it too, and that
/// neither shows the credentials.
async fn assert_refused(script: ProxyScript, proxy: Proxy, expected: ProxyErrorKind) {
    for error in errors(URL, &through(proxy)).await {
        assert!(
            matches!(&error, Error::Proxy { kind, .. } if *kind == expected),
            "{script:?}: {error:?}"
        );
        assert!(error.retryable());
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(USER) && !shown.contains(PASSWORD), "{shown}");
    }
}

#[tokio::test]
async fn what_an_http_proxy_refuses_is_an_error_of_its_kind() {
    let answer = |text: &str| ProxyScript::Answer(text.as_bytes().to_vec());
    let oversized = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    let nowhere = "127.0.0.1:9".parse().unwrap();
    for (script, expected) in [
        (answer("HTTP/1.1 407 Who are you\r\n\r\n"), ProxyErrorKind::NotAuthorised),
        (answer("HTTP/1.0 401 Unauthorized\r\n\r\n"), ProxyErrorKind::NotAuthorised),
        (answer("HTTP/1.1 403 Forbidden\r\n\r\n"), ProxyErrorKind::Forbidden),
        (answer("HTTP/1.1 502 Bad Gateway\r\n\r\n"), ProxyErrorKind::ServerUnreachable),
        (answer("HTTP/1.1 504 Gateway Timeout\r\n\r\n"), ProxyErrorKind::ServerUnreachable),
        (answer("HTTP/1.1 400 Bad Request\r\n\r\n"), ProxyErrorKind::Other),
        (answer(&oversized), ProxyErrorKind::InvalidAnswer),
        (answer("SSH-2.0-proxy\r\n\r\n"), ProxyErrorKind::InvalidAnswer),
        (answer("HTTP/1.1 200 OK\r\n\r\nearly bytes"), ProxyErrorKind::InvalidAnswer),
        (answer("HTTP/1.1 200 O"), ProxyErrorKind::Unreachable),
        (answer(""), ProxyErrorKind::Unreachable),
    ] {
        let proxy = ScriptedProxy::start(vec![script.clone()], nowhere).await;
        let options = Proxy::Http(proxy.server_with_credentials());
        assert_refused(script, options, expected).await;
    }
}

#[tokio::test]
async fn what_a_socks_proxy_refuses_is_an_error_of_its_kind() {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    for (script, expected) in [
        (ProxyScript::SocksAnswer(1), ProxyErrorKind::ServerUnreachable),
        (ProxyScript::SocksAnswer(2), ProxyErrorKind::Forbidden),
        (ProxyScript::SocksAnswer(4), ProxyErrorKind::ServerUnreachable),
        (ProxyScript::SocksAnswer(8), ProxyErrorKind::Other),
        (ProxyScript::Socks5, ProxyErrorKind::NotAuthorised),
        (
            ProxyScript::Answer(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            ProxyErrorKind::InvalidAnswer,
        ),
        (ProxyScript::Answer(vec![5]), ProxyErrorKind::Unreachable),
        (ProxyScript::Answer(Vec::new()), ProxyErrorKind::Unreachable),
    ] {
        let proxy = ScriptedProxy::start(vec![script.clone()], nowhere).await;
        assert_refused(script, Proxy::Socks5(proxy.server()), expected).await;
    }
}

#[tokio::test]
async fn wrong_credentials_and_a_proxy_that_is_not_there_are_errors_of_their_kinds() {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let wrong = |proxy: &ScriptedProxy| proxy.server().with_credentials(USER, "wrong".into());
    let http = ScriptedProxy::start(vec![ProxyScript::Http], nowhere).await;
    let proxy = Proxy::Http(wrong(&http));
    assert_refused(ProxyScript::Http, proxy, ProxyErrorKind::NotAuthorised).await;
    let socks = ScriptedProxy::start(vec![ProxyScript::Socks5], nowhere).await;
    let proxy = Proxy::Socks5(wrong(&socks));
    assert_refused(ProxyScript::Socks5, proxy, ProxyErrorKind::NotAuthorised).await;
    let absent = || {
        // No process listens on port 1 of loopback, and a test may not bind it.
        ProxyServer::new("127.0.0.1", 1).with_credentials(USER, PASSWORD.into())
    };
    for proxy in [Proxy::Http(absent()), Proxy::Socks5(absent())] {
        assert_refused(ProxyScript::Hang, proxy, ProxyErrorKind::Unreachable).await;
    }
}

#[tokio::test]
async fn the_wait_that_a_proxy_asks_for_is_obeyed() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 100000\r\n\r\n";
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let script = ProxyScript::Answer(busy.as_bytes().to_vec());
    let proxy = ScriptedProxy::start(vec![script], nowhere).await;
    let network = through(Proxy::Http(proxy.server()));
    for error in errors(URL, &network).await {
        assert_eq!(error.retry_after(), Some(Duration::from_hours(24)), "{error:?}");
    }
    let channel = device(URL, &network, long_timing());
    waiting_reason(&channel).await;
    let ConnectionState::Waiting { retry_in, .. } = channel.state() else { unreachable!() };
    assert!(retry_in > Duration::from_hours(23), "{retry_in:?}");
}

#[tokio::test]
async fn a_proxy_that_hangs_is_left_after_connect_timeout() {
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let proxy = ScriptedProxy::start(vec![ProxyScript::Hang], nowhere).await;
    for options in [Proxy::Http(proxy.server()), Proxy::Socks5(proxy.server())] {
        let timing = Timing { connect_timeout: Duration::from_millis(200), ..long_timing() };
        let channel = device(URL, &through(options.clone()), timing.clone());
        assert_eq!(waiting_reason(&channel).await, Error::TimedOut, "{options:?}");
        let api = crate::PresenceApi::with_network(URL.parse().unwrap(), &through(options));
        let call = api.unwrap().with_timing(&timing);
        let error = within(call.dev_assertion("alice@dev.localhost")).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_channel_connects_as_soon_as_the_proxy_allows_it() {
    let server = RecordingServer::start(None).await;
    let forbidden = ProxyScript::Answer(b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec());
    let scripts = vec![forbidden.clone(), forbidden, ProxyScript::Http];
    let proxy = ScriptedProxy::start(scripts, server.address).await;
    let network = through(Proxy::Http(proxy.server_with_credentials()));
    let channel = device("http://presence.example", &network, long_timing());
    within(channel.confirmed()).await.unwrap();
}
