//! The questions to the hub and its answers, as values.

use presence_core::UnixMillis;
use presence_core::reader::Reader;
use presence_core::roster::TooManyDevices;
use presence_core::stream::Stream;
use presence_protocol::{Puid, Status};
use presence_store::{Node, StoreError};

use super::topic::TooManySockets;

/// A reader of the stream of an Application, to be created.
#[derive(Clone)]
pub(crate) enum NewReader {
    /// One of the protocol of 2013, which gets the offline ones among these users too.
    Plain(Vec<Puid>),
    /// One of pages.
    Paged {
        /// The cursor to resume at.
        cursor: Option<String>,
        /// Set if it gets receipts.
        receipts: bool,
    },
}

impl NewReader {
    /// Creates the reader.
    pub(super) fn open(self, stream: &Stream) -> Reader {
        match self {
            Self::Plain(users) => Reader::plain(stream, users),
            Self::Paged { cursor, receipts } => Reader::paged(stream, cursor.as_deref(), receipts),
        }
    }
}

/// The reason why a socket gets no stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubscribeError {
    /// The Application has too many open sockets.
    #[error(transparent)]
    TooManySockets(#[from] TooManySockets),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The view that an Application has of a user, for this user.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SeenByApplication {
    /// The time of the last check.
    pub(crate) last_check: Option<UnixMillis>,
    /// Set if the Application gets each change now.
    pub(crate) is_checking: bool,
    /// The status that it sees.
    pub(crate) status: Status,
}

/// A server that shares presence with this one, or this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharingServer {
    /// The server as all know it.
    pub node: Node,
    /// Set if it is this one.
    pub is_this: bool,
}

/// The numbers that the metrics show.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HubFigures {
    pub(crate) app_sockets: usize,
    pub(crate) users: usize,
    pub(crate) mailboxes: usize,
    pub(crate) streams: usize,
}

/// The reason why a device is not connected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The user has too many connected devices.
    #[error(transparent)]
    TooManyDevices(#[from] TooManyDevices),
    /// The user was erased meanwhile.
    #[error("there is no such user")]
    NoUser,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
