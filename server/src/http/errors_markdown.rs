//! The page of all errors and close codes, made from their registries.

use std::fmt::Write as _;

use presence_protocol::close::ReconnectAdvice;
use presence_protocol::{CloseCode, Errno, RetryAdvice};

const HEAD: &str = "\
# Errors and close codes

<!-- Generated from the registries in client-sdk/protocol. `UPDATE=1 cargo test -p presence-server` updates this file. -->

Every error reply, on both channels and in REST, is `{\"result\":\"KO\",\"errno\":N,\"error\":\"text\"}`, with `retry_after` in
seconds if waiting helps. The numbers never change their meaning; the texts may. A REST answer with an error has the header
`Link: </docs/errors#errno-N>; rel=\"help\"`, which leads to the row of the error on the server's own copy of this page.

| errno | name | HTTP | try again | meaning |
| --- | --- | --- | --- | --- |
";

const CLOSE_HEAD: &str = "
## Close codes

The codes with which a WebSocket is closed. A client may reconnect by itself if the third column says so.

| code | reason | reconnect | meaning |
| --- | --- | --- | --- |
";

/// Returns the page as Markdown.
pub fn errors_markdown() -> String {
    let mut page = HEAD.to_owned();
    for errno in Errno::ALL {
        let (number, name, http) = (errno.number(), errno.name(), errno.http_status());
        let (retry, meaning) = (retry(errno.retry_advice()), errno.meaning().trim());
        let _ = writeln!(
            page,
            "| <a id=\"errno-{number}\"></a>{number} | `{name}` | {http} | {retry} | {meaning} |"
        );
    }
    page.push_str(CLOSE_HEAD);
    for code in CloseCode::ALL {
        let (number, reason) = (code.number(), code.reason());
        let (reconnect, meaning) = (reconnect(code.reconnect_advice()), code.meaning().trim());
        let _ = writeln!(
            page,
            "| <a id=\"close-{number}\"></a>{number} | `{reason}` | {reconnect} | {meaning} |"
        );
    }
    page
}

fn retry(advice: RetryAdvice) -> &'static str {
    match advice {
        RetryAdvice::AfterCorrection => "after correcting the call",
        RetryAdvice::AfterWaiting => "after waiting",
        RetryAdvice::Never => "never",
    }
}

fn reconnect(advice: ReconnectAdvice) -> &'static str {
    match advice {
        ReconnectAdvice::WithJitter => "yes, after a random wait",
        ReconnectAdvice::WithBackoff => "yes, backing off",
        ReconnectAdvice::WithNewCredential => "with other credentials",
        ReconnectAdvice::Never => "no",
    }
}
