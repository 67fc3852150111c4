//! The TCP connection to one of several addresses: Happy Eyeballs (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// The time after which the next address is tried as well, as RFC 8305 recommends.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first address that accepts. The attempts begin one after another, at once after
/// a failure, and run at the same time. The caller sets the time limit.
pub(super) async fn connect(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    connect_with(addresses, |address| async move {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    })
    .await
}

async fn connect_with<T, Attempt>(
    addresses: Vec<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> Attempt,
) -> io::Result<T>
where
    Attempt: Future<Output = io::Result<T>>,
{
    let mut waiting = interleaved(addresses).into_iter().peekable();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = waiting.next() {
            attempts.push(attempt(address));
        } else if attempts.is_empty() {
            return Err(last_error);
        }
        let has_more = waiting.peek().is_some();
        tokio::select! {
            Some(connected) = attempts.next() => match connected {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = error,
            },
            () = sleep(ATTEMPT_DELAY), if has_more => {}
        }
    }
}

/// Returns the addresses with the two families in turn. The resolver has sorted them, so that the
/// family of the first one is preferred.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let prefers_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == prefers_v6);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut sorted = Vec::with_capacity(preferred.len() + others.len());
    loop {
        match (preferred.next(), others.next()) {
            (None, None) => return sorted,
            (one, other) => sorted.extend(one.into_iter().chain(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 1)).collect()
    }

    #[test]
    fn the_families_take_turns_and_the_first_one_is_preferred() {
        let found = addresses(&["::1", "::2", "::3", "127.0.0.1", "127.0.0.2"]);
        let expected = addresses(&["::1", "127.0.0.1", "::2", "127.0.0.2", "::3"]);
        assert_eq!(interleaved(found), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn all_addresses_are_tried_although_some_swallow_packets_and_some_refuse() {
        let found = addresses(&["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]);
        let last = found[3];
        let begun = tokio::time::Instant::now();
        let connected = connect_with(found.clone(), |address| async move {
            match address.ip().to_string().as_str() {
                "127.0.0.4" => Ok(address),
                "127.0.0.2" => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                _ => std::future::pending().await,
            }
        });
        assert_eq!(connected.await.unwrap(), last);
        assert_eq!(begun.elapsed(), 2 * ATTEMPT_DELAY);
        let refused = |_| async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) };
        let error = connect_with(found, refused).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = connect_with(Vec::new(), refused).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
