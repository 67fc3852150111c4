//! An AppService of a run, which reads the stream of its Application at one server after another.
//! It checks each frame.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use presence_core::View;
use presence_protocol::app::client::{ServerToAppService, StreamFrame, parse_frame};
use presence_protocol::open::{OpenOfflineCause, OpenPresence, OpenStatus};
use presence_protocol::{CloseCode, Puid, Status, StatusText};

use crate::hub::Subscription;
use crate::socket_waker::SocketWaker;

/// The views that an Application was shown, by user and version.
pub(super) type ShownViews = BTreeMap<(Puid, u64), View>;

/// The views that its Application was shown, and the versions at which it was switched off.
type ToldBefore<'a> = (&'a mut ShownViews, &'a BTreeSet<u64>);

/// An AppService.
#[derive(Default)]
pub(super) struct Application {
    /// The place of the server, with the open subscription.
    pub(super) socket: Option<(usize, Subscription, Arc<SocketWaker>)>,
    /// Set while it subscribes.
    pub(super) is_busy: bool,
    pub(super) cursor: Option<String>,
    /// The version and the view of each user.
    known: BTreeMap<Puid, (u64, View)>,
    /// The users of the snapshot that is being read.
    snapshot: Option<Vec<Puid>>,
    /// Set once a snapshot was read as a whole.
    pub(super) is_complete: bool,
    pub(super) is_stale: bool,
}

impl Application {
    /// Notes that a socket is open, which resumes at the cursor or not.
    pub(super) fn open(&mut self, server: usize, socket: (Subscription, Arc<SocketWaker>)) {
        self.socket = Some((server, socket.0, socket.1));
        self.snapshot = None;
        self.is_stale = false;
        if self.cursor.is_none() {
            self.is_complete = false;
        }
    }

    /// Closes the socket, if the server wants it or at will.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }

    /// Returns the code with which the server wants to close the socket.
    pub(super) fn closing(&self) -> Option<CloseCode> {
        self.socket.as_ref().and_then(|(_, _, waker)| waker.closing())
    }

    /// Returns the newest version of each user.
    pub(super) fn versions(&self) -> impl Iterator<Item = (Puid, u64)> {
        self.known.iter().map(|(puid, (version, _))| (*puid, *version))
    }

    /// Returns the view that the Application has of a user.
    pub(super) fn view(&self, puid: Puid) -> View {
        self.known.get(&puid).map(|(_, view)| view.clone()).unwrap_or_default()
    }

    /// Returns the users whom the Application sees.
    pub(super) fn visible(&self) -> impl Iterator<Item = Puid> {
        let visible = self.known.iter().filter(|it| it.1.1.status != Status::Offline);
        visible.map(|(puid, _)| *puid)
    }

    /// Reads all frames.
    ///
    /// # Errors
    ///
    /// The broken promise.
    pub(super) fn read(&mut self, warming_up: bool, told: ToldBefore<'_>) -> Result<(), String> {
        let (shown, off_versions) = told;
        while let Some((_, subscription, _)) = &mut self.socket {
            let Ok(frames) = subscription.next_frames(warming_up) else {
                // The socket has read too slowly.
                self.close();
                break;
            };
            if frames.is_empty() {
                break;
            }
            for frame in frames {
                let frame = std::str::from_utf8(&frame).map_err(|error| error.to_string())?;
                match parse_frame(frame).map_err(|error| error.to_string())? {
                    ServerToAppService::Stream(frame) => self.take(frame, (shown, off_versions))?,
                    ServerToAppService::Stale(is_stale) => self.is_stale = is_stale,
                    ServerToAppService::AuthOk
                    | ServerToAppService::Notified(..)
                    | ServerToAppService::Queried(..)
                    | ServerToAppService::Error(..)
                    | ServerToAppService::Unknown => {
                        return Err(format!("an unknown frame {frame}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: StreamFrame, told: ToldBefore<'_>) -> Result<(), String> {
        let (shown, off_versions) = told;
        if frame.snapshot && self.snapshot.is_none() {
            self.snapshot = Some(Vec::new());
        }
        // A frame without a cursor comes before the snapshot that a gap leads to.
        let is_known = frame.cursor.is_some();
        for update in &frame.presence.items {
            self.check_cause(update, (frame.snapshot, is_known), off_versions)?;
            self.update(update, (frame.snapshot, is_known), shown)?;
        }
        if frame.snapshot && !frame.more {
            let users = self.snapshot.take().unwrap_or_default();
            for (puid, (_, view)) in &mut self.known {
                if !users.contains(puid) {
                    *view = View::default();
                }
            }
            self.is_complete = true;
        }
        if frame.cursor.is_some() {
            self.cursor = frame.cursor;
        }
        Ok(())
    }

    /// Checks that an update that takes a user from sight has a cause, and no other one. Switching
    /// the Application off looks as if the user had left.
    fn check_cause(
        &self,
        update: &OpenPresence,
        (in_snapshot, is_known): (bool, bool),
        off_versions: &BTreeSet<u64>,
    ) -> Result<(), String> {
        let was_seen = self.view(update.uid).status != Status::Offline;
        let is_hidden = update.status == OpenStatus::from(Status::Offline);
        let is_right = match update.cause {
            Some(OpenOfflineCause::Left) => is_hidden && !in_snapshot,
            Some(OpenOfflineCause::Lost) => {
                is_hidden && !in_snapshot && !off_versions.contains(&update.version)
            }
            Some(_) => false,
            None => in_snapshot || !is_hidden || !was_seen || !self.is_complete || !is_known,
        };
        if is_right { Ok(()) } else { Err(format!("a wrong cause: {update:?}, seen {was_seen}")) }
    }

    fn update(
        &mut self,
        update: &OpenPresence,
        (in_snapshot, is_known): (bool, bool),
        shown: &mut ShownViews,
    ) -> Result<(), String> {
        let (uid, version) = (update.uid, update.version);
        let view = view_of(update)?;
        let other = shown.entry((uid, version)).or_insert_with(|| view.clone());
        if *other != view {
            return Err(format!("two views of one version: {other:?} and {update:?}"));
        }
        if let Some(users) = self.snapshot.as_mut().filter(|_| in_snapshot) {
            users.push(uid);
        }
        let (last, known) = self.known.get(&uid).cloned().unwrap_or_default();
        if version < last
            || (version == last && (!in_snapshot || known != view) && known != View::default())
        {
            return Err(format!("version {last} with {known:?} was before {update:?}"));
        }
        let is_first = !self.is_complete || !is_known || update.revoked;
        if !in_snapshot && known == view && !is_first {
            return Err(format!("{update:?} says what the one before it says"));
        }
        if in_snapshot && view == View::default() {
            return Err(format!("an offline user in a snapshot: {update:?}"));
        }
        self.known.insert(uid, (version, view));
        Ok(())
    }
}

fn view_of(update: &OpenPresence) -> Result<View, String> {
    let statuses = [Status::Offline, Status::Unavailable, Status::Online];
    let status = statuses.into_iter().find(|status| OpenStatus::from(*status) == update.status);
    let status = status.ok_or_else(|| format!("an unknown status {update:?}"))?;
    let text = update.message.clone().map(StatusText::try_from).transpose();
    let text = text.map_err(|error| error.to_string())?;
    Ok(View::new(status, text))
}
