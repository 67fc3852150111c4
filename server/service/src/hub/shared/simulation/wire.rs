//! The messages of PostgreSQL's protocol, as far as a proxy must know them.

use std::collections::HashMap;

/// The function by which a server changes rosters. Its second value is the server.
const CHANGE: &str = "presence_apply_1";
/// The begin of the statement that declares a server dead, which is its first value.
const DECLARATION: &str = "INSERT INTO live_nodes (id, state) VALUES ($1, 2)";

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// The start of a connection.
    Startup,
    /// The question whether the connection is alive.
    Ping,
    /// The preparation of a statement, which changes nothing.
    Preparation,
    /// A statement.
    Statement,
    /// The end of the connection.
    End,
}

/// A request of a client, for which it waits until the database is ready again.
pub(super) struct Request {
    pub(super) kind: RequestKind,
    pub(super) bytes: Vec<u8>,
    /// The begin of the statement.
    pub(super) label: String,
    /// The server of which the statement speaks, if it changes rosters or declares a server dead.
    pub(super) node: Option<i64>,
    /// Set if this server was declared dead before the statement was run.
    pub(super) is_of_dead: bool,
}

/// Cuts what a client sends into requests.
#[derive(Default)]
pub(super) struct RequestReader {
    buffer: Vec<u8>,
    has_started: bool,
    /// The text of each prepared statement.
    statements: HashMap<String, String>,
}

impl RequestReader {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next request that has arrived as a whole.
    pub(super) fn next(&mut self) -> Option<Request> {
        if !self.has_started {
            let length = number(self.buffer.get(..4)?);
            self.buffer.get(..length)?;
            self.has_started = true;
            return Some(self.cut(length, RequestKind::Startup, ""));
        }
        let (mut at, mut kind, mut label, mut node) = (0, RequestKind::Ping, String::new(), None);
        loop {
            let tag = *self.buffer.get(at)?;
            let end = at + 1 + number(self.buffer.get(at + 1..at + 5)?);
            let body = self.buffer.get(at + 5..end)?;
            at = end;
            match tag {
                b'Q' => {
                    label = text(body).0;
                    return Some(self.cut(at, RequestKind::Statement, &label));
                }
                b'P' => {
                    let (name, rest) = text(body);
                    self.statements.insert(name, text(rest).0);
                    kind = RequestKind::Preparation;
                }
                b'B' => {
                    let statement = text(text(body).1).0;
                    label = self.statements.get(&statement).cloned().unwrap_or_default();
                    node = node_of(&label, body);
                }
                b'E' => kind = RequestKind::Statement,
                b'S' => return Some(Request { node, ..self.cut(at, kind, &label) }),
                b'X' => return Some(self.cut(at, RequestKind::End, &label)),
                _ => {}
            }
        }
    }

    fn cut(&mut self, length: usize, kind: RequestKind, statement: &str) -> Request {
        let bytes = self.buffer.drain(..length).collect();
        let words: Vec<&str> = statement.split_whitespace().collect();
        let label: String = words.join(" ").chars().take(60).collect();
        // The channel of the check at the start has a random name.
        let label = label.split("presence_check_").next().unwrap_or_default().to_owned();
        Request { kind, bytes, label, node: None, is_of_dead: false }
    }
}

impl Request {
    /// Returns true if it declares a server dead.
    pub(super) fn declares_dead(&self) -> bool {
        self.label.starts_with(DECLARATION)
    }
}

/// Returns the server of which a statement speaks: one that changes rosters, or that is declared
/// dead.
fn node_of(statement: &str, message: &[u8]) -> Option<i64> {
    let place = if statement.contains(CHANGE) {
        1
    } else if statement.starts_with(DECLARATION) {
        0
    } else {
        return None;
    };
    let mut rest = text(text(message).1).1;
    let formats = usize::from(u16::from_be_bytes(rest[..2].try_into().unwrap()));
    // The number of values comes after the formats.
    rest = &rest[2 + 2 * formats + 2..];
    for _ in 0..place {
        rest = &rest[4 + number(&rest[..4])..];
    }
    Some(i64::from_be_bytes(rest[4..12].try_into().unwrap()))
}

/// The reply of the database to a request.
#[derive(Default)]
pub(super) struct DatabaseReply {
    /// The bytes for the client.
    pub(super) bytes: Vec<u8>,
    /// The announcements that have come with it.
    pub(super) announcements: Vec<Vec<u8>>,
    /// The SQLSTATE of an error.
    pub(super) error: Option<String>,
    /// Set if a transaction is open.
    pub(super) in_transaction: bool,
    /// The process of the connection.
    pub(super) pid: Option<i32>,
    /// The rows, as texts.
    pub(super) rows: Vec<Vec<String>>,
}

/// Reads replies.
#[derive(Default)]
pub(super) struct ReplyReader {
    buffer: Vec<u8>,
    reply: DatabaseReply,
}

impl ReplyReader {
    /// Adds bytes of the database. Returns the reply if it is complete.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Option<DatabaseReply> {
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        let mut is_complete = false;
        while let Some(length) = self.buffer.get(at + 1..at + 5) {
            let end = at + 1 + number(length);
            let Some(message) = self.buffer.get(at..end) else { break };
            at = end;
            if self.reply.note(message) {
                is_complete = true;
                break;
            }
        }
        self.buffer.drain(..at);
        is_complete.then(|| std::mem::take(&mut self.reply))
    }
}

impl DatabaseReply {
    /// Notes a message. Returns true if it is the last one.
    fn note(&mut self, message: &[u8]) -> bool {
        let (tag, body) = (message[0], &message[5..]);
        if tag == b'A' {
            self.announcements.push(message.to_vec());
            return false;
        }
        self.bytes.extend_from_slice(message);
        match tag {
            b'E' => {
                let mut fields = body.split(|byte| *byte == 0);
                let code = fields.find_map(|field| field.strip_prefix(b"C"));
                self.error = code.map(|code| String::from_utf8_lossy(code).into_owned());
            }
            b'K' => self.pid = Some(i32::try_from(number(&body[..4])).unwrap()),
            b'D' => self.rows.push(row(body)),
            b'Z' => self.in_transaction = body[0] != b'I',
            _ => {}
        }
        tag == b'Z'
    }
}

/// Returns the request to run statements without values.
pub(super) fn simple_query(sql: &str) -> Vec<u8> {
    let length = u32::try_from(sql.len() + 5).unwrap().to_be_bytes();
    [b"Q", length.as_slice(), sql.as_bytes(), b"\0"].concat()
}

/// Returns the request that starts a connection.
pub(super) fn startup(user: &str, database: &str) -> Vec<u8> {
    let values = format!("user\0{user}\0database\0{database}\0\0");
    let length = u32::try_from(values.len() + 8).unwrap().to_be_bytes();
    [length.as_slice(), &196_608_u32.to_be_bytes(), values.as_bytes()].concat()
}

/// Returns the answer to a ping.
pub(super) fn ready(in_transaction: bool) -> Vec<u8> {
    vec![b'Z', 0, 0, 0, 5, if in_transaction { b'T' } else { b'I' }]
}

fn row(body: &[u8]) -> Vec<String> {
    let mut columns = Vec::new();
    let mut rest = &body[2..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        // A length of -1 stands for NULL.
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        columns.push(String::from_utf8_lossy(&after[..length]).into_owned());
        rest = &after[length..];
    }
    columns
}

fn number(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes.try_into().unwrap()).try_into().unwrap()
}

/// Returns the text up to the next zero, and the rest.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let rest = bytes.get(end + 1..).unwrap_or_default();
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), rest)
}
