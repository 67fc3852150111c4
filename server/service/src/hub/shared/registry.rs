//! The connections of devices to this server.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use presence_core::UserId;
use presence_core::roster::ConnectionNumber;
use presence_protocol::{AppId, CloseCode, DeviceName};
use presence_store::SharedRoster;

use super::seats::{Seat, Seats};
use crate::mailbox::Mailbox;

/// The connections, by user. It has an entry only for users with a connection.
#[derive(Default)]
pub(super) struct Registry(Mutex<HashMap<UserId, Seats>>);

impl Registry {
    /// Adds a connection that the database does not have yet.
    pub(super) fn add(
        &self,
        user: UserId,
        (device, number): (DeviceName, u64),
        mailbox: &Arc<Mailbox>,
    ) {
        let mailbox = Arc::clone(mailbox);
        let seat = Seat { device, number, mailbox, is_confirmed: false, is_restoring: false };
        self.lock().entry(user).or_default().seats.push(seat);
    }

    /// Records that the database has a connection. Earlier ones of the same device are closed as
    /// replaced.
    pub(super) fn confirm(&self, user: UserId, (device, number): (&DeviceName, u64)) {
        let mut users = self.lock();
        let Some(seats) = users.get_mut(&user) else { return };
        for seat in seats.seats.iter_mut().filter(|seat| seat.device == *device) {
            if seat.number == number {
                seat.is_confirmed = true;
            } else if seat.is_confirmed {
                seat.mailbox.close(CloseCode::Replaced);
            }
        }
    }

    /// Removes a connection.
    pub(super) fn remove(&self, user: UserId, number: u64) {
        let mut users = self.lock();
        if let Some(seats) = users.get_mut(&user) {
            seats.seats.retain(|seat| seat.number != number);
            if seats.seats.is_empty() {
                users.remove(&user);
            }
        }
    }

    /// Returns the device and the number of a connection.
    pub(super) fn find(&self, user: UserId, mailbox: &Arc<Mailbox>) -> Option<(DeviceName, u64)> {
        let users = self.lock();
        let seat = users.get(&user)?.seats.iter().find(|it| Arc::ptr_eq(&it.mailbox, mailbox))?;
        Some((seat.device.clone(), seat.number))
    }

    /// Returns the roster of a user as this server last knew it.
    pub(super) fn roster(&self, user: UserId) -> Option<(i64, Arc<SharedRoster>)> {
        self.lock().get(&user)?.roster.clone()
    }

    /// Records the roster of a user with a connection, as it was read. A batch of this server may
    /// have written a newer one meanwhile.
    pub(super) fn note_roster(&self, user: UserId, rev: i64, roster: SharedRoster) {
        if let Some(seats) = self.lock().get_mut(&user)
            && seats.roster.as_ref().is_none_or(|(known, _)| *known < rev)
        {
            seats.roster = Some((rev, Arc::new(roster)));
        }
    }

    /// Records the roster of a user with a connection, as this server has written it.
    pub(super) fn set_roster(&self, user: UserId, rev: i64, roster: SharedRoster) {
        if let Some(seats) = self.lock().get_mut(&user) {
            seats.roster = Some((rev, Arc::new(roster)));
        }
    }

    /// Returns all users whose connections the database had. They are to be put back.
    pub(super) fn begin_restoring(&self) -> Vec<UserId> {
        let mut users = self.lock();
        let begin = |(user, seats): (&UserId, &mut Seats)| {
            seats.seats.iter_mut().for_each(|seat| seat.is_restoring |= seat.is_confirmed);
            seats.roster.is_some().then_some(*user)
        };
        users.iter_mut().filter_map(begin).collect()
    }

    /// Records that the connections of a user were put back. Those that were not are closed.
    pub(super) fn end_restoring(&self, user: UserId, roster: &SharedRoster) {
        let mut users = self.lock();
        let Some(seats) = users.get_mut(&user) else { return };
        for seat in seats.seats.iter_mut().filter(|seat| seat.is_restoring) {
            seat.is_restoring = false;
            let put_back = roster.connection_of(&seat.device).map(|(number, _)| number);
            if put_back != Some(ConnectionNumber(seat.number)) {
                // Another server was first to put a connection of the device back, and nobody knows
                // which one is newer: the device connects again.
                seat.mailbox.close(CloseCode::Restart);
            }
        }
    }

    /// Returns the connections of these users that the database has.
    pub(super) fn confirmed(&self, users: &[UserId]) -> BTreeMap<UserId, Vec<Seat>> {
        let known = self.lock();
        let of_user = |user: &UserId| {
            let seats = known.get(user)?.seats.iter().filter(|seat| seat.is_confirmed);
            Some((*user, seats.cloned().collect::<Vec<Seat>>()))
        };
        users.iter().filter_map(of_user).filter(|(_, seats)| !seats.is_empty()).collect()
    }

    /// Returns all users with a connection.
    pub(super) fn all_users(&self) -> Vec<UserId> {
        self.lock().keys().copied().collect()
    }

    /// Closes the connections of a user for which this is true, since a proof is not valid any
    /// more.
    pub(super) fn close_connections(&self, user: UserId, is_affected: impl Fn(&Mailbox) -> bool) {
        if let Some(seats) = self.lock().get(&user) {
            seats
                .seats
                .iter()
                .filter(|seat| is_affected(&seat.mailbox))
                .for_each(|seat| seat.mailbox.close(CloseCode::NotAuthorised));
        }
    }

    /// Closes the connections of a device.
    pub(super) fn close_device(&self, user: UserId, device: &DeviceName, code: CloseCode) {
        if let Some(seats) = self.lock().get(&user) {
            seats
                .seats
                .iter()
                .filter(|seat| seat.device == *device && seat.is_confirmed)
                .for_each(|seat| seat.mailbox.close(code));
        }
    }

    /// Returns true if a visibility list shows a device to no Application that does not see it
    /// already.
    pub(super) fn narrows_visibility(
        &self,
        user: UserId,
        device: &DeviceName,
        apps: &[AppId],
    ) -> bool {
        let roster = self.roster(user);
        roster.is_none_or(|(_, roster)| roster.narrows_visibility(device, apps))
    }

    /// Returns the number of connections.
    pub(super) fn connections(&self) -> usize {
        self.lock().values().map(|seats| seats.seats.len()).sum()
    }

    /// Returns the number of users with a connection.
    pub(super) fn users(&self) -> usize {
        self.lock().len()
    }

    /// Returns the number of notifications in the mailboxes.
    pub(super) fn waiting_notifications(&self) -> usize {
        let users = self.lock();
        users.values().flat_map(|it| &it.seats).map(|seat| seat.mailbox.depth()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, Seats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
