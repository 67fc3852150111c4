//! TLS: each failure has its kind, and pins accept the right keys only.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, KeyPair, PublicKeyData, date_time_ymd};
use sha2::{Digest, Sha256};

use super::recording_server::{RecordingServer, TestAuthority, call, errors, server_config};
use crate::{Errno, Error, NetworkOptions, Tls, TlsErrorKind};

fn params() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap()
}

fn trusting(root: &TestAuthority) -> Tls {
    Tls::default().without_default_roots().with_root_certificate(root.certificate.to_vec())
}

fn pin(key: &KeyPair) -> String {
    BASE64_STANDARD.encode(Sha256::digest(key.subject_public_key_info()))
}

/// Checks that channels and REST fail with this kind, and may try again.
async fn assert_fails(server: &RecordingServer, tls: Tls, expected: TlsErrorKind) {
    let url = format!("https://{}", server.address);
    for error in errors(&url, &NetworkOptions::default().with_tls(tls)).await {
        assert!(
            matches!(&error, Error::Tls { kind, .. } if *kind == expected),
            "{expected:?}: {error:?}"
        );
        assert!(error.retryable());
    }
    assert!(server.heads().is_empty(), "a server that is not trusted got a request");
}

async fn accepts(server: &RecordingServer, tls: Tls) -> bool {
    let url = format!("https://{}", server.address);
    let error = call(&url, &NetworkOptions::default().with_tls(tls)).await;
    let is_mismatch = matches!(error, Error::Tls { kind: TlsErrorKind::PinMismatch, .. });
    assert!(is_mismatch || error.errno() == Some(Errno::SlowDown), "{error:?}");
    !is_mismatch
}

#[tokio::test]
async fn each_failure_of_tls_has_its_kind() {
    let root = TestAuthority::root("root");
    let (mut expired, mut early) = (params(), params());
    expired.not_after = date_time_ymd(2001, 1, 1);
    early.not_before = date_time_ymd(4000, 1, 1);
    let misnamed = CertificateParams::new(vec!["other.example".to_owned()]).unwrap();
    for (params, expected) in [
        (expired, TlsErrorKind::Expired),
        (early, TlsErrorKind::NotYetValid),
        (misnamed, TlsErrorKind::WrongName),
    ] {
        let (certificate, key) = root.server(&params);
        let server = RecordingServer::start(Some(server_config(vec![certificate], &key))).await;
        assert_fails(&server, trusting(&root), expected).await;
    }
    let (certificate, key) = root.server(&params());
    let server = RecordingServer::start(Some(server_config(vec![certificate], &key))).await;
    let stranger = TestAuthority::root("another root");
    assert_fails(&server, trusting(&stranger), TlsErrorKind::UnknownIssuer).await;
    assert_fails(&server, Tls::default(), TlsErrorKind::UnknownIssuer).await;
    let unused = pin(&KeyPair::generate().unwrap());
    assert_fails(&server, trusting(&root).with_pin(unused), TlsErrorKind::PinMismatch).await;
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_a_failed_handshake() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.shutdown().await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    for error in errors(&url, &NetworkOptions::default()).await {
        assert!(matches!(error, Error::Tls { kind: TlsErrorKind::Handshake, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_pin_of_the_certificate_of_an_authority_or_of_the_root_accepts_the_server() {
    let root = TestAuthority::root("root");
    let middle = root.intermediate("middle");
    let (certificate, key) = middle.server(&params());
    let chain = vec![certificate, middle.certificate.clone()];
    let server = RecordingServer::start(Some(server_config(chain, &key))).await;
    let backup = pin(&KeyPair::generate().unwrap());
    for pinned in [&key, &middle.key, &root.key] {
        let tls = trusting(&root).with_pin(backup.clone()).with_pin(pin(pinned));
        assert!(accepts(&server, tls).await);
    }
    assert!(!accepts(&server, trusting(&root).with_pin(backup)).await);
}

#[tokio::test]
async fn a_certificate_with_a_pinned_key_beside_the_others_does_not_help() {
    let root = TestAuthority::root("root");
    let pinned = TestAuthority::root("pinned").intermediate("pinned authority");
    let (certificate, key) = root.server(&params());
    let chain = vec![certificate, pinned.certificate.clone()];
    let server = RecordingServer::start(Some(server_config(chain, &key))).await;
    assert!(!accepts(&server, trusting(&root).with_pin(pin(&pinned.key))).await);
    let also_trusted = trusting(&root)
        .with_root_certificate(pinned.certificate.to_vec())
        .with_pin(pin(&pinned.key));
    assert!(!accepts(&server, also_trusted).await);
}

#[tokio::test]
async fn a_pin_does_not_replace_the_other_checks() {
    let root = TestAuthority::root("root");
    let (certificate, key) = root.server(&params());
    let server = RecordingServer::start(Some(server_config(vec![certificate], &key))).await;
    let stranger = TestAuthority::root("another root");
    let tls = trusting(&stranger).with_pin(pin(&key));
    assert_fails(&server, tls, TlsErrorKind::UnknownIssuer).await;
}
