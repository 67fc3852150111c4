//! A rest: all goes on without faults until nothing is left to do. Then the promises are checked.

use super::run::Run;
use super::world::{APPS, SERVERS, USERS, app_of, user_of};

/// The time in milliseconds between two looks.
const TURN: u64 = 100;
/// The time in milliseconds after the last change of a rest.
const AFTER_CHANGE: u64 = 8_000;
/// The time in milliseconds in which servers remove the rests of users who were erased.
const REMOVAL: u64 = 12_000;
/// The time in milliseconds after which a rest must be over.
const LONGEST: u64 = 300_000;

impl Run {
    /// Lets all go on without faults until nothing is left to do.
    pub(super) async fn rest(&mut self) {
        self.network.events.add(|| "rest".to_owned());
        self.world.refused.clear();
        self.cut_off.clear();
        self.note_cut_off();
        while self.servers.values().filter(|server| !server.is_stopping()).count() < 2 {
            self.start_server().await;
        }
        let is_erasing = (0..USERS).any(|user| !self.world.is_here(user));
        let time = self.rest_time + if is_erasing { REMOVAL } else { 0 };
        let (begun, mut end) = (self.network.now, self.network.now + time);
        while self.network.now < end {
            self.run_all().await;
            if self.tend() {
                end = end.max(self.network.now + AFTER_CHANGE);
            }
            self.advance(TURN).await;
            let lasts = self.network.now - begun;
            self.checked(if lasts < LONGEST { Ok(()) } else { Err("no rest".to_owned()) });
        }
        self.run_all().await;
        let waiting: Vec<String> =
            self.world.in_flight.values().map(|it| format!("{:?}", it.command)).collect();
        let is_over = waiting.is_empty() && self.network.is_at_rest();
        let problem = format!("no end of {waiting:?}");
        self.checked(if is_over { Ok(()) } else { Err(problem) });
    }

    /// Does what clients do. Returns true if something has changed.
    fn tend(&mut self) -> bool {
        let is_changed = [self.end_sockets(), self.end_servers(), self.tend_readers()];
        for device in 0..self.world.devices.len() {
            let taken = self.world.take(device);
            let taken = self.checked(taken);
            self.settle_taken(device, taken);
            self.settle_all(device);
        }
        is_changed.contains(&true)
    }

    /// Closes the sockets that servers want to close.
    fn end_sockets(&mut self) -> bool {
        let closing = self.world.closing_devices();
        for device in &closing {
            let may_be_erased = !self.world.is_here(user_of(*device));
            let known = &mut self.world.devices[*device];
            known.forget_targeted(false);
            let removed = known.remove_closing(may_be_erased);
            self.checked(removed.map_err(|problem| format!("device {device}: {problem}")));
        }
        !closing.is_empty()
    }

    fn end_servers(&mut self) -> bool {
        let stopping = self.servers.iter().filter(|it| it.1.is_stopping());
        let stopping: Vec<usize> = stopping.map(|it| *it.0).collect();
        for server in &stopping {
            self.close_one_of(*server);
        }
        self.remove_stopped();
        !stopping.is_empty()
    }

    /// Lets each Application that is on have a socket at each server.
    fn tend_readers(&mut self) -> bool {
        let running = self.servers.iter().filter(|it| !it.1.is_stopping());
        let running: Vec<usize> = running.map(|it| *it.0).collect();
        let mut is_changed = false;
        for reader in 0..APPS * SERVERS {
            self.read(reader);
            let server = running[(reader % SERVERS) % running.len()];
            let may_be_on = self.world.switches[app_of(reader)].may_be_on()
                && !self.world.refused.contains(&reader);
            let known = &mut self.world.readers[reader];
            if known.socket.as_ref().is_some_and(|socket| socket.0 != server) {
                known.close();
            }
            if known.socket.is_none() && !known.is_busy && may_be_on {
                self.subscribe(reader, server);
                is_changed = true;
            }
        }
        is_changed
    }
}
