//! A server with TLS of its own: all channels over it, new certificates while it runs, and
//! handshakes that never end.

use std::sync::Arc;
use std::time::Duration;

use presence_client::{ConnectionState, Credential, DeviceChannel, DeviceOptions, Status, Tls};
use presence_protocol::{CloseCode, Errno};
use presence_tests::{
    CertificateAuthority, Server, ServerOptions, Socket, SocketEnd, SocketRequest, StoppedServer,
    TIMEOUT, email, run,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion};
use serde_json::json;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn tls_options(authority: &CertificateAuthority) -> ServerOptions {
    ServerOptions::default().over_tls(authority)
}

async fn connect_tls(server: &Server, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    timeout(TIMEOUT, TlsConnector::from(config).connect(name, stream)).await.unwrap().unwrap()
}

/// Returns the certificate of a new connection.
async fn current_certificate(server: &Server) -> CertificateDer<'static> {
    let stream = connect_tls(server, server.tls().unwrap().client()).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Waits until new connections get this certificate.
async fn wait_for_certificate(server: &Server, certificate: &CertificateDer<'static>) {
    let matches = async {
        while current_certificate(server).await != *certificate {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, matches)
        .await
        .unwrap_or_else(|_| panic!("the certificate was not loaded: {}", server.log_so_far()));
}

#[tokio::test]
async fn both_channels_and_rest_go_over_tls() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority)).await;
    let (application, alice, uid) = server.application_with("alice").await;
    let (mut stream, _) = Socket::stream(&server, &application).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    stream.expect_status(uid, "online").await;
    application.notify(&json!([{"uid": uid, "message": "Hello", "action": ""}])).await.ok();
    assert_eq!(phone.receive().await["notifications"][0]["message"], "Hello");
    assert_eq!(alice.call("GET", "/account").await.ok()["email"], email("alice"));
    phone.close(None).await;
    stream.expect_status(uid, "offline").await;
}

#[tokio::test]
async fn the_sdk_goes_over_tls_to_the_server_itself() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority)).await;
    let alice = server.sign_in("alice").await;
    let url = server.url().parse().unwrap();
    let mut options = DeviceOptions::new(url, "phone".parse().unwrap());
    options.network.tls = Tls::default().with_root_certificate(authority.root().to_vec());
    let (channel, mut events) = DeviceChannel::open(options).unwrap();
    channel.set_credential(Credential::Token(alice.token.clone().into()));
    channel.set_status(Status::Online, None);
    let settled = async {
        while !matches!(channel.state(), ConnectionState::Connected) {
            events.next().await.unwrap();
        }
    };
    timeout(TIMEOUT, settled).await.unwrap();
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_supported_with_http_1_1() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority)).await;
    for (version, known_as) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let mut config = (*authority.client_of(&[version])).clone();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut stream = connect_tls(&server, Arc::new(config)).await;
        let session = stream.get_ref().1;
        assert_eq!(session.protocol_version(), Some(known_as));
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        let request =
            b"GET /__lbheartbeat__ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        // Without TLS's `close_notify`, reading to the end would be an error.
        timeout(TIMEOUT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_browsers_cookie_is_limited_to_tls() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority)).await;
    let body = json!({"assertion": server.assertion("alice").await, "scope": "account"});
    let answer = server.call("POST", "/session").header("origin", &server.url()).json(&body).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-presence="), "{cookie}");
    assert!(cookie.contains("; Secure") && cookie.contains("; HttpOnly"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let session = server.call("GET", "/session").header("cookie", pair).await.ok();
    assert_eq!(session["email"], email("alice"));
}

#[tokio::test]
async fn sighup_loads_the_new_certificate_and_drops_no_connection() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority).with("tls-reload-seconds", 0)).await;
    let before = current_certificate(&server).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let issued = authority.issue();
    assert_ne!(before, issued);
    // The server does not check the files by itself.
    assert_eq!(current_certificate(&server).await, before);
    server.signal("HUP").await;
    server.wait_for_log("tls.reloaded").await;
    assert_eq!(current_certificate(&server).await, issued);
    phone.report("unavailable").await;
    Socket::device_of(&server, "alice", "tablet", "online").await;
}

#[tokio::test]
async fn changed_files_are_noticed() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority).with("tls-reload-seconds", 0.1)).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    let issued = authority.issue();
    server.wait_for_log("tls.reloaded").await;
    assert_eq!(current_certificate(&server).await, issued);
    phone.report("unavailable").await;
}

#[tokio::test]
async fn a_change_of_either_file_is_noticed() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority).with("tls-reload-seconds", 0.1)).await;
    let before = current_certificate(&server).await;
    let renewed = authority.renew();
    assert_ne!(before, renewed);
    wait_for_certificate(&server, &renewed).await;
    // Between the two writes the files do not match, and the server keeps the certificate that it
    // has.
    let (issued, key) = authority.issue_certificate();
    server.wait_for_log("tls.kept").await;
    assert_eq!(current_certificate(&server).await, renewed);
    std::fs::write(authority.key(), key).unwrap();
    wait_for_certificate(&server, &issued).await;
}

#[tokio::test]
async fn an_unusable_new_certificate_leaves_the_old_one_and_is_logged_once() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority).with("tls-reload-seconds", 0.1)).await;
    let before = current_certificate(&server).await;
    let key = std::fs::read(authority.key()).unwrap();
    std::fs::write(authority.certificate(), "-----BEGIN NOTHING-----").unwrap();
    server.wait_for_log("tls.kept").await;
    assert_eq!(current_certificate(&server).await, before);
    let count = |log: &str| log.lines().filter(|line| line.contains("tls.kept")).count();
    // The file is checked about ten more times. The failure is not logged again before the operator
    // asks for a reload.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&server.log_so_far()), 1, "{}", server.log_so_far());
    server.signal("HUP").await;
    let twice = async {
        while count(&server.log_so_far()) < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, twice).await.unwrap();
    let health = server.call("GET", "/__lbheartbeat__");
    assert_eq!(health.await.status, 200);
    let issued = authority.issue();
    std::fs::write(authority.key(), key).unwrap();
    server.signal("HUP").await;
    server.wait_for_log("cannot be served with").await;
    assert_eq!(current_certificate(&server).await, before);
    assert_ne!(before, issued);
    let again = authority.issue();
    server.wait_for_log("tls.reloaded").await;
    assert_eq!(current_certificate(&server).await, again);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_ends_the_start_with_exit_code_2_and_one_line() {
    let (authority, other, directory) =
        (CertificateAuthority::default(), CertificateAuthority::default(), tempdir().unwrap());
    let folder = directory.path();
    std::fs::write(folder.join("empty.pem"), "").unwrap();
    std::fs::write(folder.join("text.pem"), "no certificate at all\n").unwrap();
    let (certificate, key) = (authority.certificate(), authority.key());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let other = other.key();
    for (certificate, key, text) in [
        (certificate, "missing.pem", "missing.pem cannot be read"),
        ("missing.pem", key, "missing.pem cannot be read"),
        ("empty.pem", key, "holds no certificate"),
        ("text.pem", key, "holds no certificate"),
        (certificate, "text.pem", "holds no private key"),
        (certificate, certificate, "holds no private key"),
        (certificate, other.to_str().unwrap(), "cannot be served with"),
        (certificate, "", "tls_key must be given"),
        ("", key, "tls_certificate must be given"),
    ] {
        let (certificate, key) =
            (format!("--tls-certificate={certificate}"), format!("--tls-key={key}"));
        let arguments = ["--listen=127.0.0.1:0", "--log=off", &certificate, &key];
        run(folder, &arguments, &[]).await.failed(2, text);
    }
    let plain = [
        "--listen=127.0.0.1:0",
        "--public-url=http://presence.example",
        &format!("--tls-certificate={certificate}"),
        &format!("--tls-key={key}"),
    ];
    run(folder, &plain, &[]).await.failed(2, "public_url must begin with https");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_closed() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority).with("tls-handshake-seconds", 1)).await;
    // Nothing; the beginning of a TLS record; plain HTTP.
    let beginnings: [&[u8]; 3] = [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ];
    let mut silent = Vec::new();
    for beginning in beginnings {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        silent.push(stream);
    }
    // Others are served meanwhile.
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    for stream in &mut silent {
        let mut rest = Vec::new();
        let ended = timeout(TIMEOUT, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open");
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP"), "{rest:?}");
    }
    phone.report("unavailable").await;
}

#[tokio::test]
async fn a_handshake_sent_byte_by_byte_is_closed() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority).with("tls-handshake-seconds", 1)).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let sending = async {
        // A record of 512 bytes that never becomes complete.
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
        while stream.write_all(b"\x00").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(TIMEOUT, sending).await.unwrap();
}

#[tokio::test]
async fn half_a_request_over_tls_is_closed() {
    let authority = CertificateAuthority::default();
    let server = Server::start(tls_options(&authority).with("request-seconds", 1)).await;
    for half in ["", "GET /presence HTTP/1.1\r\nHost: loc"] {
        let mut stream = connect_tls(&server, authority.client()).await;
        stream.write_all(half.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(TIMEOUT, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after {half:?}");
    }
}

#[tokio::test]
async fn silent_sockets_over_tls_are_closed() {
    let authority = CertificateAuthority::default();
    let options = tls_options(&authority).with("hello-seconds", 0.3).with("ping-seconds", 0.5);
    let server = Server::start(options).await;
    let mut silent_device = Socket::device(&server).await;
    silent_device.expect_close(CloseCode::Silent).await;
    let proxy = presence_tests::FaultProxy::to(&server).await;
    let hello = json!({"status": "online"});
    let mut dead =
        Socket::open_authenticated(&server, SocketRequest::device().through(&proxy), "bob", hello)
            .await;
    let bob = server.sign_in("bob").await;
    proxy.stall();
    bob.wait_until_lost("default").await;
    proxy.resume_traffic();
    assert_ne!(dead.ended().await, SocketEnd::Closed(Some(1000)));
}

#[tokio::test]
async fn the_limits_of_frames_and_bodies_hold_over_tls() {
    let authority = CertificateAuthority::default();
    let options =
        tls_options(&authority).with("device-frame-bytes", 5_000).with("body-bytes", 5_000);
    let server = Server::start(options).await;
    let mut phone = Socket::device_of(&server, "alice", "phone", "online").await;
    phone.send_raw(&" ".repeat(5_001)).await;
    phone.expect_close(CloseCode::TooLarge).await;
    let body = json!({"assertion": "x".repeat(5_000)});
    server.call("POST", "/session").json(&body).await.assert_error(Errno::TooLarge);
}

#[tokio::test]
async fn a_stop_over_tls_closes_the_channel_and_then_tls() {
    let authority = CertificateAuthority::default();
    let mut server = Server::start(tls_options(&authority).with("drain-seconds", 0.5)).await;
    let mut sockets = Vec::new();
    for number in 0..10 {
        sockets.push(Socket::device_of(&server, &format!("user{number}"), "phone", "online").await);
    }
    server.signal("TERM").await;
    for socket in &mut sockets {
        socket.expect_close(CloseCode::GoingAway).await;
        socket.expect_clean_end().await;
    }
    assert_eq!(server.stopped().await, StoppedServer::With(0));
}

#[tokio::test]
async fn a_check_and_the_log_name_a_certificate_that_no_client_accepts() {
    let (authority, directory) = (CertificateAuthority::default(), tempdir().unwrap());
    let certificate = format!("--tls-certificate={}", authority.certificate().display());
    let key = format!("--tls-key={}", authority.key().display());
    let check = async |more: &[&str]| {
        let arguments = ["check", "--browserid-discovery=open", &certificate, &key];
        run(directory.path(), &[&arguments, more].concat(), &[]).await
    };
    let good = check(&[]).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.out.contains("certificate: ok") && !good.out.contains("is not for"), "{good:?}");
    let other = check(&["--public-url=https://presence.example.org"]).await;
    assert_eq!(other.code, Some(0), "{other:?}");
    assert!(other.out.contains("is not for presence.example.org"), "{other:?}");

    authority.expire();
    let expired = "has expired: it was valid until 2020-01-01T00:00:00Z";
    let output = check(&[]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.err.contains(expired), "{output:?}");
    let before_a_start = check(&["--offline"]).await;
    assert_eq!(before_a_start.code, Some(0), "{before_a_start:?}");
    assert!(before_a_start.out.contains(expired), "{before_a_start:?}");
    let options = tls_options(&authority).with("public-url", "https://localhost");
    let server = Server::start(options).await;
    server.wait_for_log(expired).await;
}
