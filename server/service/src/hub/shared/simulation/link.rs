//! A connection of a server to the database, through the proxy.

use std::collections::VecDeque;
use std::io::ErrorKind;

use tokio::net::UnixStream;

use super::database::{Database, Received, Upstream};
use super::wire::{DatabaseReply, Request, RequestKind, RequestReader, ready};

/// A connection of a server.
pub(super) struct Link {
    /// The place of the server.
    pub(super) server: usize,
    client: UnixStream,
    upstream: Option<Upstream>,
    pub(super) pid: Option<i32>,
    requests: RequestReader,
    waiting: VecDeque<Request>,
    outgoing: Vec<u8>,
    /// The request that waits for a lock, with the time since which it does.
    pub(super) blocked: Option<(Request, u64)>,
    /// The time since which a transaction is open and no statement runs.
    pub(super) idle_since: Option<u64>,
    pub(super) listens: bool,
    /// The announcements that the server has not got.
    pub(super) announcements: VecDeque<Vec<u8>>,
    pub(super) is_closed: bool,
    /// The time at which the last statement runs of a server that has crashed.
    pub(super) left_until: Option<u64>,
}

impl Link {
    pub(super) fn new(server: usize, client: UnixStream) -> Self {
        Self {
            server,
            client,
            upstream: None,
            pid: None,
            requests: RequestReader::default(),
            waiting: VecDeque::new(),
            outgoing: Vec::new(),
            blocked: None,
            idle_since: None,
            listens: false,
            announcements: VecDeque::new(),
            is_closed: false,
            left_until: None,
        }
    }

    /// Moves bytes from the server, and to it unless they are held. Returns true if there were any.
    pub(super) fn exchange(&mut self, is_held: bool) -> bool {
        let mut is_moved = false;
        let mut bytes = [0; 16_384];
        while !self.is_closed {
            match self.client.try_read(&mut bytes) {
                Ok(0) => self.is_closed = true,
                Ok(count) => self.requests.add(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.is_closed = true,
            }
            is_moved = true;
        }
        while let Some(request) = self.requests.next() {
            self.waiting.push_back(request);
        }
        while !is_held && !self.outgoing.is_empty() && !self.is_closed {
            match self.client.try_write(&self.outgoing) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.is_closed = true,
            }
            is_moved = true;
        }
        is_moved
    }

    /// Returns the request that may be run next.
    pub(super) fn next_request(&self) -> Option<&Request> {
        self.waiting.front().filter(|_| self.blocked.is_none())
    }

    /// Returns true if a statement was sent and has not ended.
    pub(super) fn has_sent(&self) -> bool {
        let is_statement = |request: &Request| request.kind == RequestKind::Statement;
        self.upstream.is_some()
            && (self.blocked.is_some() || self.next_request().is_some_and(is_statement))
    }

    /// Starts the connection, or answers a ping, if this is what the server asks for.
    pub(super) fn answer_by_itself(&mut self) -> bool {
        match self.next_request().map(|request| request.kind) {
            Some(RequestKind::Startup) => {
                let request = self.waiting.pop_front().unwrap();
                let (upstream, reply) = Database::connect(&request.bytes);
                (self.upstream, self.pid) = (Some(upstream), reply.pid);
                self.outgoing.extend(reply.bytes);
            }
            Some(RequestKind::Ping) => {
                self.waiting.pop_front();
                self.outgoing.extend(ready(self.idle_since.is_some()));
            }
            Some(RequestKind::End) => self.is_closed = true,
            Some(RequestKind::Preparation | RequestKind::Statement) | None => return false,
        }
        true
    }

    /// Takes the next request and sends it to the database.
    pub(super) fn send(&mut self) -> Request {
        let request = self.waiting.pop_front().unwrap();
        self.idle_since = None;
        self.upstream.as_mut().unwrap().send(&request.bytes);
        request
    }

    /// Waits a short time for the database.
    pub(super) fn receive(&mut self) -> Received {
        self.upstream.as_mut().unwrap().receive()
    }

    /// Notes the reply to a request. The server gets it unless it is lost.
    pub(super) fn finish(&mut self, request: &Request, reply: DatabaseReply, now: u64) {
        if request.label.starts_with("LISTEN") {
            self.listens = true;
        } else if request.label.starts_with("UNLISTEN") {
            self.listens = false;
        }
        self.idle_since = reply.in_transaction.then_some(now);
        self.announcements.extend(reply.announcements);
        self.outgoing.extend(reply.bytes);
    }

    /// Reads the announcements that the database has for a connection that listens. A connection
    /// that was idle gets all that was committed before the answer to an empty statement.
    pub(super) fn read_announcements(&mut self) {
        if self.listens
            && self.blocked.is_none()
            && let Some(upstream) = &mut self.upstream
        {
            self.announcements.extend(upstream.run(b"Q\0\0\0\x05\0").announcements);
        }
    }

    /// Lets the server have the next announcement, or lose it.
    pub(super) fn announce(&mut self, is_lost: bool) {
        if let Some(announcement) = self.announcements.pop_front().filter(|_| !is_lost) {
            self.outgoing.extend(announcement);
        }
    }
}
