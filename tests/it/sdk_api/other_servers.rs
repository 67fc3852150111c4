//! Responses that no Presence server sends: other pages, invalid data, floods, redirects.

use presence_client::{Errno, Error, Session};

use super::api_at;
use super::scripted_server::{ScriptedAction, ScriptedServer, json_response, response_with_header};

async fn session_of(answer: impl Into<Vec<u8>>) -> Result<Session, Error> {
    let server = ScriptedServer::answering(answer.into()).await;
    api_at(&server.url()).user("token".into()).session().await
}

#[tokio::test]
async fn a_gateway_error_is_retryable() {
    for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        let html = response_with_header(status, "content-type: text/html", "<html>down</html>");
        let error = session_of(html).await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable(_)) && error.retryable(), "{error:?}");
    }
}

#[tokio::test]
async fn another_site_is_unexpected() {
    for status in ["200 OK", "404 Not Found", "403 Forbidden", "500 Internal Server Error"] {
        let html = response_with_header(status, "content-type: text/html", "<html>secret</html>");
        let error = session_of(html).await.unwrap_err();
        assert!(matches!(&error, Error::Unexpected(_)) && !error.retryable(), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    for body in ["{}", "[]", r#"{"email":1}"#, r#"{"result":"KO","errno":34}"#] {
        let error = session_of(json_response("200 OK", body)).await.unwrap_err();
        assert!(matches!(&error, Error::Unexpected(_)), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_without_http_is_unreachable() {
    for nonsense in
        ["SSH-2.0-OpenSSH_9.9\r\n", "\0\0\0", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
    {
        let error = session_of(nonsense).await.unwrap_err();
        assert!(matches!(&error, Error::Unreachable(_)), "{nonsense:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_refusal_may_say_how_long_to_wait_in_its_header() {
    let ko = r#"{"result":"KO","errno":51,"error":"Storage is unavailable"}"#;
    let error = session_of(response_with_header("503 Service Unavailable", "retry-after: 9", ko))
        .await
        .unwrap_err();
    assert_eq!(error.errno(), Some(Errno::StorageUnavailable));
    assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(9));
    let error = session_of(response_with_header("429 Too Many", "retry-after: 9", "slow"))
        .await
        .unwrap_err();
    assert_eq!(error.errno(), Some(Errno::SlowDown));
    assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(9));
}

#[tokio::test]
async fn unknown_fields_and_values_are_accepted() {
    let newer = r#"{"email":"a@b.example","scope":"galaxy","expires_at":7,"mood":{"happy":true}}"#;
    let session = session_of(json_response("200 OK", newer)).await.unwrap();
    assert_eq!(
        (session.scope, session.expires_at),
        (presence_client::Scope::Unknown, presence_client::UnixMillis::new(7))
    );
    let newer = r#"{"result":"KO","errno":999,"error":"Newer"}"#;
    let error = session_of(json_response("403 Forbidden", newer)).await.unwrap_err();
    assert_eq!(error.errno(), Some(Errno::Unknown(999)));
    assert!(error.to_string() == "Newer" && !error.retryable(), "{error:?}");
}

#[tokio::test]
async fn a_response_without_an_end_is_limited() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(0x10_0000));
    let declared = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
    for (beginning, more) in [(chunked, chunk.as_str()), (&declared, &" ".repeat(0x10_0000))] {
        let server =
            ScriptedServer::start([vec![ScriptedAction::Flood(beginning.into(), more.into())]])
                .await;
        let api = presence_client::PresenceApi::new(server.url().parse().unwrap()).unwrap();
        let error = api.user("token".into()).session().await.unwrap_err();
        assert!(matches!(&error, Error::Unexpected(_)), "{error:?}");
        assert!(server.written() < 64 * 1024 * 1024, "{}", server.written());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_gets_no_credential() {
    let elsewhere = ScriptedServer::start([]).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let there = format!("location: {}/session", elsewhere.url());
        let error = session_of(response_with_header(status, &there, "")).await.unwrap_err();
        assert!(matches!(&error, Error::Unexpected(_)), "{error:?}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_request_has_its_method_path_and_headers() {
    let server = ScriptedServer::answering(json_response("200 OK", r#"{"presence":[]}"#)).await;
    let appid = "0123456789abcdef0123456789abcdef";
    let url = format!("{}/below", server.url());
    let service = api_at(&url).app_service(appid.parse().unwrap(), "key".into());
    service.presence_page(None, Some(7)).await.unwrap();
    let request = server.requests().remove(0);
    let first = format!("GET /below/apps/{appid}/presence?limit=7 HTTP/1.1\r\n");
    assert!(request.starts_with(&first), "{request}");
    for header in ["accept: application/json", "authorization: Bearer key"] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{request}");
    }
    assert!(request.contains(&format!("\r\nhost: {}\r\n", server.address())), "{request}");
    assert!(request.contains("\r\nuser-agent: presence-client/"), "{request}");
    assert!(!request.contains("content-type"), "{request}");
}
