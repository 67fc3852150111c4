//! The steps of AppServices and their sockets.

use super::{Simulation, check_equal};
use crate::client::{CheckResult, Client};
use crate::hub::NextFrame;
use crate::model::offline;

impl Simulation {
    pub(super) fn open_if_closed(&mut self, client: usize, with_cursor: bool) {
        let client = client % (self.clients.len() - self.active.len());
        if self.clients[client].reader.is_none() {
            self.open(client, with_cursor);
        }
    }

    pub(super) fn close(&mut self, client: usize) {
        let client = client % (self.clients.len() - self.active.len());
        self.clients[client].reader = None;
    }

    pub(super) fn open(&mut self, client: usize, with_cursor: bool) {
        let app = self.clients[client].config.app;
        let of_app = self
            .stored_grants
            .iter()
            .flat_map(|grants| &grants.grants)
            .filter(|grant| grant.app == app);
        let grants = of_app.map(|grant| grant.uid).collect();
        let expected = self.expected(app);
        self.clients[client].open(self.hub.stream(app), with_cursor, &expected, grants);
    }

    /// Reads everything with the clients that keep up.
    pub(super) fn read_current_clients(&mut self) -> CheckResult {
        for client in 0..self.clients.len() {
            if self.clients[client].config.keeps_up && self.clients[client].reader.is_some() {
                self.read(client, true)?;
            }
        }
        Ok(())
    }

    /// Reads one frame, or everything. A client that reads everything and is closed as too slow
    /// opens a new socket at once.
    pub(super) fn read(&mut self, number: usize, everything: bool) -> CheckResult {
        let app = self.clients[number].config.app;
        let expected = self.expected(app);
        let with_client = |error| format!("client {number} (of application {app}): {error}");
        loop {
            let client = &mut self.clients[number];
            let Some(reader) = &mut client.reader else { return Ok(()) };
            match self.hub.next(app, reader, self.warming_up) {
                NextFrame::Nothing => return client.handle_nothing(&expected).map_err(with_client),
                NextFrame::Frame(frame) => {
                    client.handle_frame(&frame, &expected).map_err(with_client)?;
                }
                NextFrame::TooSlow => {
                    client.handle_too_slow(&expected).map_err(with_client)?;
                    if everything {
                        self.open(number, true);
                    }
                }
            }
            if !everything {
                return Ok(());
            }
        }
    }

    /// Reads everything with all clients, and compares those that resumed with those that never
    /// left.
    pub(super) fn read_all(&mut self) -> CheckResult {
        for client in 0..self.clients.len() {
            if self.clients[client].reader.is_none() {
                self.open(client, true);
            }
            self.read(client, true)?;
        }
        let apps = self.active.len();
        let (clients, witnesses) = self.clients.split_at(self.clients.len() - apps);
        for client in clients {
            let visible = |client: &Client| {
                let mut state = client.state.clone();
                state.retain(|_, status| *status != offline());
                state
            };
            let expected = visible(&witnesses[client.config.app]);
            check_equal("6: the state of a client that never left", expected, visible(client))?;
        }
        Ok(())
    }
}
