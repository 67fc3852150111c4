//! The members of the chat room, the log of messages, and the presence of the members.

mod view;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use presence_client::{
    AppServiceEvent, ConnectionState, NotificationId, PresenceMap, Puid, Receipt, Status,
};
use tokio::sync::watch;

pub(crate) use view::{Availability, LogEntry, LogEvent, MemberId, MemberView, RoomView};

/// The maximum number of members.
const MAX_MEMBERS: usize = 100;
/// The maximum number of entries in the log.
const MAX_LOG_ENTRIES: usize = 200;
/// The maximum number of open pages of a member.
const MAX_PAGES: u32 = 20;
/// The time in seconds within which two pings from one member to another count as one.
const PING_INTERVAL_SECONDS: u64 = 10;

/// The reason why the chat room refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChatRoomError {
    /// The name is too short or too long, or contains control characters.
    #[error("A name must have 1 to 24 characters.")]
    InvalidName,
    /// Another member has the name.
    #[error("This name is already used.")]
    NameTaken,
    /// The message is too short or too long, or contains control characters.
    #[error("A message must have 1 to 500 characters, without line breaks.")]
    InvalidMessage,
    /// There is the maximum number of members.
    #[error("The chat room is full.")]
    Full,
    /// The member has the maximum number of open pages.
    #[error("You have opened the chat room in too many tabs.")]
    TooManyPages,
    /// There is no such member, or they do not share their presence.
    #[error("This member cannot be pinged.")]
    NotPingable,
    /// The `state` of a grant result is not that of the last request of this member.
    #[error("This link is not valid any more. Please try again from the chat room.")]
    InvalidGrantState,
}

/// The chat room.
pub(crate) struct ChatRoom {
    state: Mutex<RoomState>,
    changed: watch::Sender<()>,
    started: Instant,
    /// A random text that differs in each run. Idempotency keys contain it.
    run_id: String,
}

#[derive(Default)]
struct RoomState {
    members: Vec<Member>,
    log: VecDeque<LogEntry>,
    next_entry: u64,
    users: PresenceMap,
    /// The receipts that arrived before the reply to their ping.
    early_receipts: VecDeque<Receipt>,
}

struct Member {
    name: String,
    /// The value of the cookie in their browser.
    cookie: String,
    /// The PUID of the member, if they share their presence.
    uid: Option<Puid>,
    /// The `state` of the last grant link.
    grant_state: Option<String>,
    /// The number of open pages.
    pages: u32,
}

/// A ping to send.
pub(crate) struct Ping {
    /// The name of the sender.
    pub(crate) from: String,
    /// The PUID of the receiver.
    pub(crate) uid: Puid,
    pub(crate) idempotency_key: String,
}

/// An open page of a member. Dropping it closes the page.
pub(crate) struct OpenPage {
    pub(crate) room: Arc<ChatRoom>,
    pub(crate) member: MemberId,
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        self.room.change_state(|state| {
            if let Some(member) = state.members.get_mut(self.member) {
                member.pages = member.pages.saturating_sub(1);
            }
        });
    }
}

impl ChatRoom {
    /// Creates an empty chat room.
    pub(crate) fn new() -> Self {
        let (changed, _) = watch::channel(());
        let (state, started, run_id) = (Mutex::default(), Instant::now(), random_token());
        Self { state, changed, started, run_id }
    }

    /// Adds a member, and returns the value of their cookie.
    pub(crate) fn join(&self, name: &str) -> Result<String, ChatRoomError> {
        let name = valid_text(name, 24).ok_or(ChatRoomError::InvalidName)?;
        self.change_state(|state| {
            let has_same_name = |member: &Member| member.name.to_lowercase() == name.to_lowercase();
            if state.members.iter().any(has_same_name) {
                return Err(ChatRoomError::NameTaken);
            }
            if state.members.len() >= MAX_MEMBERS {
                return Err(ChatRoomError::Full);
            }
            let cookie = random_token();
            state.add_entry(name.clone(), LogEvent::Joined);
            let (uid, grant_state, pages) = (None, None, 0);
            state.members.push(Member { name, cookie: cookie.clone(), uid, grant_state, pages });
            Ok(cookie)
        })
    }

    /// Returns the member with this cookie, and their name.
    pub(crate) fn member(&self, cookie: &str) -> Option<(MemberId, String)> {
        self.with_state(|state| {
            let mut members = state.members.iter().enumerate();
            let (id, member) = members.find(|(_, member)| member.cookie == cookie)?;
            Some((id, member.name.clone()))
        })
    }

    /// Starts a request for the grant of a member. Returns the `state` for the link, which connects
    /// the result to the member.
    pub(crate) fn start_grant(&self, member: MemberId) -> String {
        let grant_state = random_token();
        self.with_state(|state| {
            if let Some(member) = state.members.get_mut(member) {
                member.grant_state = Some(grant_state.clone());
            }
        });
        grant_state
    }

    /// Stores the result of a request for a grant. There is no PUID if the member declined. A
    /// `state` can be used once.
    pub(crate) fn finish_grant(
        &self,
        member: MemberId,
        grant_state: &str,
        uid: Option<Puid>,
    ) -> Result<(), ChatRoomError> {
        self.change_state(|state| {
            let Some(requested) = state.members.get_mut(member) else {
                return Err(ChatRoomError::InvalidGrantState);
            };
            if requested.grant_state.take().is_none_or(|expected| expected != grant_state) {
                return Err(ChatRoomError::InvalidGrantState);
            }
            if let Some(uid) = uid {
                // A user who has joined twice is shown only as the member who shared last.
                state.remove_uid(uid);
                if let Some(member) = state.members.get_mut(member) {
                    member.uid = Some(uid);
                }
            }
            Ok(())
        })
    }

    /// Adds a message of a member.
    pub(crate) fn add_message(&self, member: MemberId, text: &str) -> Result<(), ChatRoomError> {
        let text = valid_text(text, 500).ok_or(ChatRoomError::InvalidMessage)?;
        self.change_state(|state| {
            let author = state.name_of(member);
            state.add_entry(author, LogEvent::Message(text));
        });
        Ok(())
    }

    /// Returns the ping to send from one member to another.
    pub(crate) fn ping(&self, from: MemberId, to: MemberId) -> Result<Ping, ChatRoomError> {
        let interval = self.started.elapsed().as_secs() / PING_INTERVAL_SECONDS;
        self.with_state(|state| {
            let uid = state.members.get(to).and_then(|member| member.uid);
            let uid = uid.filter(|_| from != to).ok_or(ChatRoomError::NotPingable)?;
            let idempotency_key = format!("{}-{from}-{to}-{interval}", self.run_id);
            Ok(Ping { from: state.name_of(from), uid, idempotency_key })
        })
    }

    /// Adds a ping that was sent.
    pub(crate) fn add_ping(&self, from: MemberId, to: MemberId, id: NotificationId) {
        self.change_state(|state| {
            if state.log.iter().any(|entry| entry.is_ping(id)) {
                return;
            }
            let receipt = state.early_receipts.iter().find(|receipt| receipt.id == id);
            let receipt = receipt.map(|receipt| receipt.state.clone());
            let (from, to) = (state.name_of(from), state.name_of(to));
            state.add_entry(from, LogEvent::Ping { member: to, id, state: receipt });
        });
    }

    /// Applies an event of the channel. Returns the reason if the channel has ended.
    pub(crate) fn apply(&self, event: &AppServiceEvent) -> Option<String> {
        self.change_state(|state| {
            for change in state.users.apply(event) {
                if change.after.revoked {
                    state.remove_uid(change.after.uid);
                }
            }
            if let AppServiceEvent::Receipts(event) = event {
                event.receipts.iter().for_each(|receipt| state.add_receipt(receipt));
            }
        });
        let AppServiceEvent::State(ConnectionState::Ended(end)) = event else { return None };
        Some(end.to_string())
    }

    /// Opens a page of a member.
    pub(crate) fn open_page(self: &Arc<Self>, member: MemberId) -> Result<OpenPage, ChatRoomError> {
        self.change_state(|state| {
            let found = state.members.get_mut(member).filter(|member| member.pages < MAX_PAGES);
            found.ok_or(ChatRoomError::TooManyPages)?.pages += 1;
            Ok(OpenPage { room: Arc::clone(self), member })
        })
    }

    /// Returns a receiver that is notified of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns the chat room as a member sees it.
    pub(crate) fn view(&self, viewer: MemberId) -> RoomView {
        self.with_state(|state| {
            let members = state.members.iter().enumerate();
            let mut members: Vec<_> =
                members.map(|(id, member)| state.member_view(id, member, id == viewer)).collect();
            members.sort_by_key(|member| member.name.to_lowercase());
            let log = state.log.iter().cloned().collect();
            RoomView { members, log, is_live: state.users.is_live() }
        })
    }

    fn with_state<T>(&self, work: impl FnOnce(&mut RoomState) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_state<T>(&self, work: impl FnOnce(&mut RoomState) -> T) -> T {
        let result = self.with_state(work);
        self.changed.send_replace(());
        result
    }
}

impl RoomState {
    fn member_view(&self, id: MemberId, member: &Member, is_you: bool) -> MemberView {
        let presence = member.uid.and_then(|uid| self.users.get(&uid));
        let text = presence.and_then(|presence| presence.message.as_ref());
        let availability = match member.uid {
            _ if member.pages > 0 => Availability::PageOpen,
            None => Availability::Unknown,
            Some(_) => Availability::PageClosed(
                presence.map_or(Status::Offline, |presence| presence.status.clone()),
            ),
        };
        MemberView {
            id,
            name: member.name.clone(),
            is_you,
            shares: member.uid.is_some(),
            availability,
            text: text.cloned().unwrap_or_default(),
        }
    }

    fn name_of(&self, member: MemberId) -> String {
        self.members.get(member).map(|member| member.name.clone()).unwrap_or_default()
    }

    /// Removes the PUID from the member who has it.
    fn remove_uid(&mut self, uid: Puid) {
        for member in &mut self.members {
            member.uid = member.uid.filter(|current| *current != uid);
        }
    }

    fn add_entry(&mut self, member: String, event: LogEvent) {
        if self.log.len() == MAX_LOG_ENTRIES {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry { id: self.next_entry, time: now(), member, event });
        self.next_entry += 1;
    }

    fn add_receipt(&mut self, receipt: &Receipt) {
        for entry in &mut self.log {
            if let LogEvent::Ping { id, state, .. } = &mut entry.event
                && *id == receipt.id
            {
                *state = Some(receipt.state.clone());
                return;
            }
        }
        if self.early_receipts.len() == MAX_LOG_ENTRIES {
            self.early_receipts.pop_front();
        }
        self.early_receipts.push_back(receipt.clone());
    }
}

/// Trims a text. Returns `None` if it is empty, too long or contains control characters.
fn valid_text(text: &str, max_chars: usize) -> Option<String> {
    let text = text.trim();
    let is_valid =
        (1..=max_chars).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_valid.then(|| text.to_owned())
}

/// Returns a random text that cannot be guessed.
fn random_token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the only clock of the chat room, for the times in the log"
)]
fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
