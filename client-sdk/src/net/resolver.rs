//! The lookup of host names by the operating system, which blocks a thread.
//!
//! All channels of the process share a few threads, which end when there is nothing to look up.
//! They belong to no runtime, so that a lookup that hangs does not hold up the end of one.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The maximum number of threads. A second one serves the others while one lookup hangs.
const MAX_THREADS: usize = 2;
/// The maximum number of lookups that wait. Each channel waits for one at most.
const MAX_WAITING: usize = 10_000;

type LookupResult = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// A host and a port to look up, and those who wait for the addresses.
struct PendingLookup {
    host: String,
    port: u16,
    reply: oneshot::Sender<LookupResult>,
}

/// The lookups that wait, and the number of threads.
struct LookupQueue {
    waiting: VecDeque<PendingLookup>,
    threads: usize,
}

static QUEUE: Mutex<LookupQueue> = Mutex::new(LookupQueue { waiting: VecDeque::new(), threads: 0 });

fn queue() -> MutexGuard<'static, LookupQueue> {
    // The queue is usable after a panic, since no change of it is left half done.
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the addresses of a host.
pub(super) async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (reply, result) = oneshot::channel();
    enqueue(PendingLookup { host: host.to_owned(), port, reply })?;
    match result.await {
        Ok(result) => result.map_err(|(kind, text)| io::Error::new(kind, text)),
        Err(_) => Err(io::Error::other("the lookup was given up")),
    }
}

fn enqueue(lookup: PendingLookup) -> io::Result<()> {
    let mut queue = queue();
    queue.waiting.retain(|waiting| !waiting.reply.is_closed());
    if queue.waiting.len() >= MAX_WAITING {
        return Err(io::Error::other("too many names are being looked up"));
    }
    if queue.threads < MAX_THREADS {
        std::thread::Builder::new().name("presence-names".to_owned()).spawn(run_lookups)?;
        queue.threads += 1;
    }
    queue.waiting.push_back(lookup);
    Ok(())
}

/// Looks up names until none waits.
fn run_lookups() {
    loop {
        let lookup = {
            let mut queue = queue();
            let Some(lookup) = queue.waiting.pop_front() else {
                queue.threads -= 1;
                return;
            };
            lookup
        };
        if lookup.reply.is_closed() {
            continue;
        }
        let found = (lookup.host.as_str(), lookup.port).to_socket_addrs();
        let result: LookupResult =
            found.map(Iterator::collect).map_err(|error| (error.kind(), error.to_string()));
        answer(lookup, &result);
    }
}

/// Answers a lookup, and all others of the same name that wait.
fn answer(lookup: PendingLookup, result: &LookupResult) {
    let same = {
        let mut queue = queue();
        let is_same =
            |other: &PendingLookup| other.host == lookup.host && other.port == lookup.port;
        let (same, others): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut queue.waiting).into_iter().partition(is_same);
        queue.waiting = others;
        same
    };
    for waiting in same.into_iter().chain([lookup]) {
        // The caller may have stopped waiting.
        let _ = waiting.reply.send(result.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_lookups_share_two_threads() {
        let lookups = (0..60).map(|_| lookup("localhost", 7));
        let all = futures_util::future::join_all(lookups);
        let watched = async {
            let mut most = 0;
            loop {
                most = most.max(queue().threads);
                assert!(most <= MAX_THREADS);
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::select! {
            found = all => found,
            () = watched => unreachable!("the watch never ends"),
        };
        for addresses in found {
            assert!(addresses.unwrap().iter().all(|address| address.port() == 7));
        }
    }

    #[tokio::test]
    async fn an_address_needs_no_lookup() {
        assert_eq!(lookup("::1", 7).await.unwrap(), ["[::1]:7".parse().unwrap()]);
    }
}
