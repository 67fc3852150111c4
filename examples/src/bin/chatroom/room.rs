//! Who is a member, what was said, and what the room knows of its members' presence.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use presence_client::{
    AppServiceEvent, ConnectionState, NotificationId, PresenceMap, Puid, Receipt, ReceiptState,
    Status, StatusText,
};
use tokio::sync::watch;

/// More than that is no room.
const MOST_MEMBERS: usize = 100;
const MOST_LINES: usize = 200;
const MOST_PAGES: u32 = 20;
/// Pings from one to another within so many seconds are one.
const SAME_PING: u64 = 10;

/// The place of a member in the list.
pub(crate) type MemberId = usize;

/// Why something cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A name that cannot be shown on a line.
    #[error("A name has 1 to 24 characters.")]
    BadName,
    /// A name that somebody has.
    #[error("That name is taken.")]
    NameTaken,
    /// A text that cannot be shown on a line.
    #[error("A line has 1 to 500 characters.")]
    BadLine,
    /// No more members.
    #[error("The room is full.")]
    Full,
    /// No more pages of this member.
    #[error("You have the room open too often.")]
    TooManyPages,
    /// There is no such member, or they do not share their presence.
    #[error("They cannot be pinged.")]
    NotPingable,
    /// An answer that does not belong to this member's question.
    #[error("That was not the answer to what you were asked here.")]
    WrongState,
}

/// The room.
pub(crate) struct Room {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
    opened: Instant,
    name: String,
}

#[derive(Default)]
struct Inner {
    members: Vec<Member>,
    lines: VecDeque<Line>,
    next_line: u64,
    users: PresenceMap,
    /// Receipts that were here before the answer to their ping was.
    early: VecDeque<Receipt>,
}

struct Member {
    name: String,
    /// What the cookie of their browser says.
    key: String,
    /// Under which name the presence server knows them here.
    uid: Option<Puid>,
    /// What comes back with the answer to the question that was asked last.
    state: Option<String>,
    pages: u32,
}

/// A line of the log.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) id: u64,
    /// Milliseconds since 1970 UTC.
    pub(crate) at: u64,
    pub(crate) by: String,
    pub(crate) what: What,
}

/// What somebody did.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Joined,
    CommandOutput(String),
    Pinged { whom: String, id: NotificationId, state: Option<ReceiptState> },
}

/// What the room may say of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Has the page open.
    Here,
    /// Has not, but shares their presence.
    Away(Status),
    /// Does not share it.
    Unknown,
}

/// A member, as one of them sees another.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: MemberId,
    pub(crate) name: String,
    pub(crate) is_you: bool,
    pub(crate) shares: bool,
    pub(crate) seen: Seen,
    pub(crate) text: String,
}

/// What a member sees.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) members: Vec<Row>,
    pub(crate) lines: Vec<Line>,
    /// Whether what it shows of presence is the present.
    pub(crate) is_live: bool,
}

/// Whom a ping goes to, and the key that makes one of two.
pub(crate) struct Ping {
    pub(crate) from: String,
    pub(crate) uid: Puid,
    pub(crate) key: String,
}

/// An open page of a member. Dropping it closes it.
pub(crate) struct Page {
    pub(crate) room: Arc<Room>,
    pub(crate) member: MemberId,
}

impl Drop for Page {
    fn drop(&mut self) {
        self.room.change(|inner| {
            if let Some(member) = inner.members.get_mut(self.member) {
                member.pages = member.pages.saturating_sub(1);
            }
        });
    }
}

impl Room {
    /// An empty room.
    pub(crate) fn new() -> Self {
        let (changed, _) = watch::channel(());
        Self { inner: Mutex::default(), changed, opened: Instant::now(), name: secret() }
    }

    /// A new member: gives the secret for the cookie.
    pub(crate) fn join(&self, name: &str) -> Result<String, Refusal> {
        let name = plain(name, 24).ok_or(Refusal::BadName)?;
        self.change(|inner| {
            let same = |member: &Member| member.name.to_lowercase() == name.to_lowercase();
            if inner.members.iter().any(same) {
                return Err(Refusal::NameTaken);
            }
            if inner.members.len() >= MOST_MEMBERS {
                return Err(Refusal::Full);
            }
            let key = secret();
            inner.write(name.clone(), What::Joined);
            inner.members.push(Member { name, key: key.clone(), uid: None, state: None, pages: 0 });
            Ok(key)
        })
    }

    /// The member of a cookie, and their name.
    pub(crate) fn member(&self, key: &str) -> Option<(MemberId, String)> {
        self.with(|inner| {
            let mut members = inner.members.iter().enumerate();
            let (id, member) = members.find(|(_, member)| member.key == key)?;
            Some((id, member.name.clone()))
        })
    }

    /// Asks a member for their presence: gives the state that binds the answer to them.
    pub(crate) fn asks(&self, member: MemberId) -> String {
        let state = secret();
        self.with(|inner| {
            if let Some(member) = inner.members.get_mut(member) {
                member.state = Some(state.clone());
            }
        });
        state
    }

    /// The answer: under which name the room may see them, or that it may not. A state counts once.
    pub(crate) fn answered(
        &self,
        member: MemberId,
        state: &str,
        uid: Option<Puid>,
    ) -> Result<(), Refusal> {
        self.change(|inner| {
            let Some(asked) = inner.members.get_mut(member) else {
                return Err(Refusal::WrongState);
            };
            if asked.state.take().is_none_or(|asked| asked != state) {
                return Err(Refusal::WrongState);
            }
            if let Some(uid) = uid {
                // One person is one member: the one that they joined as last.
                inner.forget(uid);
                if let Some(member) = inner.members.get_mut(member) {
                    member.uid = Some(uid);
                }
            }
            Ok(())
        })
    }

    /// A member says something.
    pub(crate) fn say(&self, member: MemberId, text: &str) -> Result<(), Refusal> {
        let text = plain(text, 500).ok_or(Refusal::BadLine)?;
        self.change(|inner| {
            let by = inner.name_of(member);
            inner.write(by, What::CommandOutput(text));
        });
        Ok(())
    }

    /// A ping from one to another.
    pub(crate) fn ping(&self, from: MemberId, whom: MemberId) -> Result<Ping, Refusal> {
        let while_open = self.opened.elapsed().as_secs() / SAME_PING;
        self.with(|inner| {
            let uid = inner.members.get(whom).and_then(|member| member.uid);
            let uid = uid.filter(|_| from != whom).ok_or(Refusal::NotPingable)?;
            let key = format!("{}-{from}-{whom}-{while_open}", self.name);
            Ok(Ping { from: inner.name_of(from), uid, key })
        })
    }

    /// A ping is on its way.
    pub(crate) fn pinged(&self, from: MemberId, whom: MemberId, id: NotificationId) {
        self.change(|inner| {
            if inner.lines.iter().any(|line| line.is_ping(id)) {
                return;
            }
            let early = inner.early.iter().find(|receipt| receipt.id == id);
            let state = early.map(|receipt| receipt.state);
            let (by, whom) = (inner.name_of(from), inner.name_of(whom));
            inner.write(by, What::Pinged { whom, id, state });
        });
    }

    /// Something happened on the channel; gives what ended it, where it did.
    pub(crate) fn hears(&self, event: &AppServiceEvent) -> Option<String> {
        self.change(|inner| {
            for change in inner.users.apply(event) {
                if change.now.revoked {
                    inner.forget(change.now.uid);
                }
            }
            if let AppServiceEvent::Receipts(news) = event {
                news.receipts.iter().for_each(|receipt| inner.receipt(*receipt));
            }
        });
        let AppServiceEvent::State(ConnectionState::Ended(end)) = event else { return None };
        Some(end.to_string())
    }

    /// Opens a page.
    pub(crate) fn enter(self: &Arc<Self>, member: MemberId) -> Result<Page, Refusal> {
        self.change(|inner| {
            let found = inner.members.get_mut(member).filter(|member| member.pages < MOST_PAGES);
            found.ok_or(Refusal::TooManyPages)?.pages += 1;
            Ok(Page { room: Arc::clone(self), member })
        })
    }

    /// Rings whenever something has changed.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What a member sees now.
    pub(crate) fn view(&self, me: MemberId) -> View {
        self.with(|inner| {
            let members = inner.members.iter().enumerate();
            let mut members: Vec<_> =
                members.map(|(id, member)| inner.row(id, member, id == me)).collect();
            members.sort_by_key(|row| row.name.to_lowercase());
            let lines = inner.lines.iter().cloned().collect();
            View { members, lines, is_live: inner.users.is_live() }
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let done = self.with(work);
        self.changed.send_replace(());
        done
    }
}

impl Inner {
    fn row(&self, id: MemberId, member: &Member, is_you: bool) -> Row {
        let presence = member.uid.and_then(|uid| self.users.get(&uid));
        let text = presence.and_then(|presence| presence.message.as_ref());
        let seen = match member.uid {
            _ if member.pages > 0 => Seen::Here,
            None => Seen::Unknown,
            Some(_) => Seen::Away(presence.map_or(Status::Offline, |presence| presence.status)),
        };
        Row {
            id,
            name: member.name.clone(),
            is_you,
            shares: member.uid.is_some(),
            seen,
            text: text.map(StatusText::as_str).unwrap_or_default().to_owned(),
        }
    }

    fn name_of(&self, member: MemberId) -> String {
        self.members.get(member).map(|member| member.name.clone()).unwrap_or_default()
    }

    fn forget(&mut self, uid: Puid) {
        for member in &mut self.members {
            member.uid = member.uid.filter(|known| *known != uid);
        }
    }

    fn write(&mut self, by: String, what: What) {
        if self.lines.len() == MOST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { id: self.next_line, at: now(), by, what });
        self.next_line += 1;
    }

    fn receipt(&mut self, receipt: Receipt) {
        for line in &mut self.lines {
            if let What::Pinged { id, state, .. } = &mut line.what
                && *id == receipt.id
            {
                *state = Some(receipt.state);
                return;
            }
        }
        if self.early.len() == MOST_LINES {
            self.early.pop_front();
        }
        self.early.push_back(receipt);
    }
}

impl Line {
    fn is_ping(&self, wanted: NotificationId) -> bool {
        matches!(self.what, What::Pinged { id, .. } if id == wanted)
    }
}

/// A text of a line: trimmed, neither empty nor too long, without control characters.
fn plain(text: &str, most: usize) -> Option<String> {
    let text = text.trim();
    let good = (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}

/// What nobody guesses.
fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one clock of the room, for the times beside lines"
)]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
