//! Gets a connection back out of what the HTTP library wrapped it in, once it has become a WebSocket.
//!
//! poem boxes a connection twice, splits it in two halves with a lock between them, and hyper boxes that again. On an open socket
//! all of it would be passed by each read and each write, and be kept as long as it is open. Nothing gives the connection back, but
//! dropping the wrapping drops the connection inside, here and now: that is where it is caught.

use std::cell::RefCell;
use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll};

use poem::Upgraded;
use tokio::io::{AsyncRead, ReadBuf};

use crate::acceptor::Link;

/// The most bytes that a peer may have sent before its request was answered.
const EARLY: usize = 1024 * 1024;

/// Where a dropped connection goes.
enum Catcher {
    /// Nowhere: it is closed.
    Away,
    Waiting,
    Holding(Link),
}

thread_local! {
    static CATCHER: RefCell<Catcher> = const { RefCell::new(Catcher::Away) };
}

/// A connection as it was accepted, and what was read from it already.
pub(crate) struct Bare {
    pub(crate) link: Link,
    pub(crate) early: Vec<u8>,
}

/// Unwraps a connection. `None` where it is broken, or too much was sent too early.
pub(crate) async fn unwrap(mut upgraded: Upgraded) -> Option<Bare> {
    let mut early = Vec::new();
    std::future::poll_fn(|context| read_early(&mut upgraded, &mut early, context)).await.ok()?;
    CATCHER.replace(Catcher::Waiting);
    drop(upgraded);
    match CATCHER.replace(Catcher::Away) {
        Catcher::Holding(link) if early.len() <= EARLY => Some(Bare { link, early }),
        Catcher::Away | Catcher::Waiting | Catcher::Holding(_) => None,
    }
}

/// A connection is dropped: where that is what is waited for, it is kept.
pub(crate) fn catch(link: &mut Option<Link>) {
    CATCHER.with_borrow_mut(|catcher| {
        if matches!(catcher, Catcher::Waiting)
            && let Some(link) = link.take()
        {
            *catcher = Catcher::Holding(link);
        }
    });
}

/// Reads what there is: what the library had read ahead comes first.
fn read_early(
    upgraded: &mut Upgraded,
    early: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<Result<()>> {
    let mut scratch = [0; 512];
    while early.len() <= EARLY {
        let mut buffer = ReadBuf::new(&mut scratch);
        match Pin::new(&mut *upgraded).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                early.extend_from_slice(buffer.filled());
            }
            // The end comes again when it is read again.
            Poll::Ready(Ok(())) | Poll::Pending => break,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
