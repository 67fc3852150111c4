//! The faults of a run.

use super::network::Fate;
use super::run::Run;
use super::world::SERVERS;

/// The time in milliseconds between two looks while a server is cut off.
const TURN: u64 = 100;
/// The longest time in milliseconds for which a server is cut off.
const LONG: u64 = 60_000;
/// The time in milliseconds after which a call is given up.
const GIVEN_UP: u64 = 6_000;
/// The number of commands that begin just before a crash.
const BURST: usize = 6;

/// The faults between two rests, each in so many of a thousand steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    pub(super) statement: usize,
    pub(super) announcement: usize,
    pub(super) server: usize,
    pub(super) database: usize,
}

impl Run {
    /// Decides what goes wrong until the next rest.
    pub(super) fn choose_faults(&mut self) {
        let choices = [
            Faults { statement: 0, announcement: 0, server: 0, database: 0 },
            Faults { statement: 10, announcement: 100, server: 0, database: 0 },
            Faults { statement: 30, announcement: 300, server: 4, database: 0 },
            Faults { statement: 5, announcement: 50, server: 8, database: 2 },
        ];
        self.faults = self.rng.pick(&choices);
        self.world.is_calm = self.faults.statement == 0;
        self.rest_time = 9_000;
    }

    pub(super) fn fate(&mut self) -> Fate {
        if !self.rng.permille(self.faults.statement) {
            Fate::Runs
        } else if self.rng.below(3) == 0 {
            Fate::Lost
        } else {
            Fate::AnswerLost
        }
    }

    pub(super) async fn disturb_server(&mut self) {
        let servers: Vec<usize> = self.servers.keys().copied().collect();
        if servers.len() < SERVERS && self.rng.below(2) == 0 {
            return self.start_server().await;
        }
        let server = self.rng.pick(&servers);
        match self.rng.below(6) {
            0 if servers.len() > 1 => {
                self.begin_many().await;
                self.crash(server).await;
            }
            1 if servers.len() > 1 => {
                self.network.events.add(|| format!("{server}: stops"));
                self.servers[&server].stop();
                self.rest_time = self.rest_time.max(20_000);
            }
            2 | 3 => {
                let listening = self.network.listening();
                if !listening.is_empty() {
                    let link = self.rng.pick(&listening);
                    self.network.events.add(|| "a listener is lost".to_owned());
                    self.network.close(link);
                }
            }
            _ => self.cut_off(server).await,
        }
    }

    /// Cuts a server off from the database for some time.
    async fn cut_off(&mut self, server: usize) {
        let time = self.rng.pick(&[1_000, 4_000, 8_000, 25_000, LONG, LONG]);
        if time == LONG {
            return self.cut_off_for_long(server).await;
        }
        let only_answers = self.rng.below(2) == 0;
        let what = if only_answers { "gets no answers" } else { "is cut off" };
        self.network.events.add(|| format!("{server}: {what} for {time}"));
        self.cut_off.insert(server, (self.network.now + time, only_answers));
        self.note_cut_off();
        self.rest_time = self.rest_time.max(time + 25_000);
    }

    /// Cuts a server off while devices connect to it, for so long that they get no answer, or that
    /// the others declare it dead. They connect to others then. It comes back in the next steps.
    async fn cut_off_for_long(&mut self, server: usize) {
        let time = self.rng.pick(&[0, 12_000, 18_000]);
        self.network.events.add(|| format!("{server}: is cut off until it is given up, {time}"));
        self.rest_time = self.rest_time.max(LONG);
        self.cut_off.insert(server, (self.network.now + LONG, false));
        for _ in 0..2 * BURST {
            let device = self.rng.below(self.world.devices.len());
            self.open_device(device, server);
        }
        self.go_on(GIVEN_UP).await;
        let others: Vec<usize> =
            self.running().into_iter().filter(|other| *other != server).collect();
        let alone = |device: &usize| self.world.devices[*device].sockets.is_empty();
        let alone: Vec<usize> = (0..self.world.devices.len()).filter(alone).collect();
        for device in alone.into_iter().filter(|_| !others.is_empty()) {
            let other = self.rng.pick(&others);
            self.open_device(device, other);
        }
        self.go_on(time).await;
        let rest = u64::try_from(self.rng.below(500)).unwrap();
        self.cut_off.insert(server, (self.network.now + rest, false));
    }

    /// Lets time pass, in which all goes on that can.
    async fn go_on(&mut self, millis: u64) {
        let end = self.network.now + millis;
        while self.network.now < end {
            self.run_all().await;
            self.advance(TURN).await;
        }
    }

    pub(super) async fn disturb_database(&mut self) {
        self.begin_many().await;
        // A server that begins an epoch holds locks that a reader would wait for.
        self.network.close_where(|_| true);
        self.collect_receipts();
        if self.rng.below(3) == 0 {
            self.network.events.add(|| "the database restarts".to_owned());
            return;
        }
        self.network.events.add(|| "the database crashes".to_owned());
        self.network.database.empty_live_tables();
        self.world.note_emptied(self.network.events.steps);
        self.rest_time = self.rest_time.max(20_000);
    }

    /// Lets users and Applications do much at once.
    async fn begin_many(&mut self) {
        (0..BURST).for_each(|_| self.start_something());
        self.settle().await;
    }
}
