//! A page and a channel on the same path.

use presence_protocol::Errno;
use presence_tests::{Server, Socket, SocketRequest};

#[tokio::test]
async fn an_applications_path_serves_a_page_to_browsers_and_the_channel_to_upgrades() {
    let server = Server::start_default().await;
    let (application, _, _) = server.application_with("alice").await;
    for path in [format!("/myapps/{}", application.appid), "/myapps/".to_owned()] {
        let page = server.call("GET", &path).header("accept", "text/html,*/*;q=0.8").await;
        assert_eq!(page.status, 303, "{}", page.text);
        assert!(page.header("location").starts_with("/sign-in?return="));
        server.call("GET", &path).await.assert_error(Errno::InvalidField);
        server
            .call("GET", &path)
            .header("accept", "application/json")
            .await
            .assert_error(Errno::InvalidField);
        server.call("POST", &path).await.assert_error(Errno::MethodNotAllowed);
        let key = &application.api_key;
        let way = SocketRequest::to(&path).v1().bearer(key).header("accept", "text/html");
        let mut stream = Socket::open(&server, way).await;
        assert_eq!(stream.receive().await["result"], "OK");
    }
}
