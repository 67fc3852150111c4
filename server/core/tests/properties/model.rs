//! The truth, from the contract alone: every user's devices with all that they ever said, replayed from the beginning for every
//! question. Slow, and deliberately without any of the code that it is held against.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use presence_core::Steady;
use presence_protocol::Status;

/// A user as one Application knows them.
pub(crate) type Uid = u128;
/// What an Application is shown: a status, and a text.
pub(crate) type Shown = (Status, String);

/// Gone, hidden, paused: all alike.
pub(crate) fn offline() -> Shown {
    (Status::Offline, String::new())
}

/// A user's grants as the hub was told of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    pub(crate) revision: i64,
    pub(crate) live: Vec<Live>,
}

/// A grant.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) app: usize,
    pub(crate) uid: Uid,
    pub(crate) paused: bool,
}

/// A connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seat {
    pub(crate) user: usize,
    pub(crate) device: usize,
    pub(crate) generation: u64,
}

enum Here {
    Connected,
    Lost(Steady),
    Gone(Steady),
}

enum Word {
    Status(Shown),
    ShowOnly,
}

struct Said {
    turn: u64,
    word: Word,
    /// To whom; absent where to all.
    to: Option<BTreeSet<Uid>>,
}

struct Device {
    generation: u64,
    here: Here,
    said: Vec<Said>,
}

impl Device {
    /// What the device lets a user of that name be seen as, and when it said so.
    fn shown_to(&self, uid: Uid) -> Option<(Shown, u64)> {
        let (mut latest, mut hidden, mut in_spite_of_it) = (None, false, None);
        for Said { turn, word, to } in &self.said {
            let named = to.as_ref().map(|to| to.contains(&uid));
            match (word, named) {
                (Word::ShowOnly, _) => (hidden, in_spite_of_it) = (named != Some(true), None),
                (Word::Status(_), Some(false)) => {}
                (Word::Status(shown), None) => latest = Some((shown.clone(), *turn)),
                (Word::Status(shown), Some(true)) => {
                    latest = Some((shown.clone(), *turn));
                    in_spite_of_it.clone_from(&latest);
                }
            }
        }
        if hidden { in_spite_of_it } else { latest }
    }

    /// What is left of a device when its grace time is over, and an hour after.
    fn survives(&mut self, now: Steady) -> bool {
        if let Here::Lost(until) = self.here
            && until <= now
        {
            self.said.retain(|said| matches!(said.word, Word::ShowOnly));
            self.here = Here::Gone(until + Duration::from_hours(1));
        }
        match self.here {
            Here::Gone(until) => until > now && !self.said.is_empty(),
            Here::Connected | Here::Lost(_) => true,
        }
    }
}

/// A user of whom a device is, or was just, here.
#[derive(Default)]
struct User {
    grants: Option<Grants>,
    devices: BTreeMap<usize, Device>,
}

/// The truth about all users.
#[derive(Default)]
pub(crate) struct Model {
    users: BTreeMap<usize, User>,
    turn: u64,
}

impl Model {
    /// A device gets its seat, unless too many others are connected.
    pub(crate) fn connect(&mut self, seat: Seat, most: usize) -> bool {
        let user = self.users.entry(seat.user).or_default();
        let connected = |(name, device): (&usize, &Device)| {
            *name != seat.device && matches!(device.here, Here::Connected)
        };
        let fits = user.devices.iter().filter(|d| connected(*d)).count() < most;
        if fits {
            let device = user.devices.entry(seat.device).or_insert_with(|| Device {
                generation: 0,
                here: Here::Connected,
                said: vec![],
            });
            (device.generation, device.here) = (seat.generation, Here::Connected);
        }
        self.tidy();
        fits
    }

    /// Grants reach the hub; of two sets the newer counts, and nobody remembers those of a user who isn't here.
    pub(crate) fn load(&mut self, user: usize, grants: &Grants) {
        if let Some(user) = self.users.get_mut(&user)
            && user.grants.as_ref().is_none_or(|held| held.revision < grants.revision)
        {
            user.grants = Some(grants.clone());
        }
    }

    /// A device says a status. False where its seat is another's.
    pub(crate) fn say(&mut self, seat: Seat, shown: Shown, only: Option<&[usize]>) -> bool {
        self.speak(seat, Word::Status(shown), only)
    }

    /// A device chooses who sees it. False where its seat is another's.
    pub(crate) fn show_only_to(&mut self, seat: Seat, apps: &[usize]) -> bool {
        self.speak(seat, Word::ShowOnly, Some(apps))
    }

    fn speak(&mut self, seat: Seat, word: Word, only: Option<&[usize]>) -> bool {
        self.turn += 1;
        let turn = self.turn;
        let Some(user) = self.users.get_mut(&seat.user) else { return false };
        let live = user.grants.iter().flat_map(|grants| &grants.live);
        let to = only.map(|apps| {
            live.filter(|live| apps.contains(&live.app)).map(|live| live.uid).collect()
        });
        let Some(device) = user.devices.get_mut(&seat.device).filter(|d| d.is(seat)) else {
            return false;
        };
        device.said.push(Said { turn, word, to });
        true
    }

    /// A connection ended; lost, it has until then to come back. False where its seat is another's.
    pub(crate) fn leave(&mut self, seat: Seat, lost_until: Option<Steady>) -> bool {
        let Some(user) = self.users.get_mut(&seat.user) else { return false };
        let Some(device) = user.devices.get_mut(&seat.device).filter(|d| d.is(seat)) else {
            return false;
        };
        match lost_until {
            Some(until) => device.here = Here::Lost(until),
            None => drop(user.devices.remove(&seat.device)),
        }
        self.tidy();
        true
    }

    /// The user ends a device.
    pub(crate) fn end(&mut self, user: usize, device: usize) {
        if let Some(user) = self.users.get_mut(&user) {
            let present = |d: &Device| !matches!(d.here, Here::Gone(_));
            if user.devices.get(&device).is_some_and(present) {
                user.devices.remove(&device);
            }
        }
        self.tidy();
    }

    /// Somebody looks at the clock.
    pub(crate) fn tick(&mut self, now: Steady) {
        for user in self.users.values_mut() {
            user.devices.retain(|_, device| device.survives(now));
        }
        self.tidy();
    }

    /// What the holder of this grant sees, were its Application active.
    pub(crate) fn shown(&self, uid: Uid) -> Shown {
        let may_see = |user: &&User| {
            let mut live = user.grants.iter().flat_map(|grants| &grants.live);
            live.any(|live| live.uid == uid && !live.paused)
        };
        let Some(user) = self.users.values().find(may_see) else { return offline() };
        let shown: Vec<_> = user.devices.values().filter_map(|d| d.shown_to(uid)).collect();
        for status in [Status::Online, Status::Unavailable] {
            let equals = shown.iter().filter(|((said, _), _)| *said == status);
            if let Some((best, _)) = equals.max_by_key(|(_, turn)| *turn) {
                return best.clone();
            }
        }
        offline()
    }

    /// How many users somebody must have in mind.
    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }

    fn tidy(&mut self) {
        self.users.retain(|_, user| !user.devices.is_empty());
    }
}

impl Device {
    fn is(&self, seat: Seat) -> bool {
        self.generation == seat.generation && matches!(self.here, Here::Connected)
    }
}
