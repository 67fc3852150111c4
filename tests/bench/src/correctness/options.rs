//! The arguments of a run.

use std::time::Duration;

/// The amount of work of a run, and its conditions.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    /// The numbers of servers, each of which is a run of its own. One uses SQLite, several share
    /// the presence of a PostgreSQL database.
    pub(crate) servers: Vec<usize>,
    /// The number of users, each with a device.
    pub(crate) users: usize,
    /// The minimum number of changes that devices report. The faults repeat until then.
    pub(crate) changes: u64,
    /// The seed of all that is chosen at random.
    pub(crate) seed: u64,
    /// The time with traffic before and after each fault.
    pub(crate) traffic: Duration,
    /// The average time between two reports of a device.
    pub(crate) pace: Duration,
    /// The number of samples of each timed row.
    pub(crate) samples: usize,
    /// A flag: only a few faults, and none of those that take long.
    pub(crate) is_short: bool,
    /// A text that the names of the faults contain.
    pub(crate) only: String,
    /// The file of the results.
    pub(crate) json: Option<String>,
}

impl RunOptions {
    /// Reads the arguments. Returns `None` if they are wrong.
    pub(crate) fn of(arguments: &[&str]) -> Option<Self> {
        let mut options = Self {
            servers: vec![1, 3],
            users: 500,
            changes: 1_000_000,
            seed: presence_tests::SeededRng::seed(),
            traffic: Duration::from_secs(8),
            pace: Duration::from_millis(200),
            samples: 200,
            is_short: false,
            only: String::new(),
            json: None,
        };
        let mut arguments = arguments.iter().copied();
        while let Some(argument) = arguments.next() {
            match argument {
                "--smoke" => options = options.short(),
                "--json" => options.json = Some(arguments.next()?.to_owned()),
                "--servers" => {
                    let servers = arguments.next()?.split(',').map(|it| it.parse().ok());
                    options.servers = servers.collect::<Option<_>>()?;
                }
                "--only" => arguments.next()?.clone_into(&mut options.only),
                "--users" => options.users = arguments.next()?.parse().ok()?,
                "--changes" => options.changes = arguments.next()?.parse().ok()?,
                "--seed" => options.seed = arguments.next()?.parse().ok()?,
                _ => return None,
            }
        }
        let is_possible =
            options.users >= 10 && options.servers.iter().all(|it| (1..=9).contains(it));
        is_possible.then_some(options)
    }

    /// Returns a run of a minute that checks that everything works.
    fn short(self) -> Self {
        Self {
            servers: vec![2],
            users: 20,
            changes: 0,
            traffic: Duration::from_secs(1),
            pace: Duration::from_millis(50),
            samples: 10,
            is_short: true,
            ..self
        }
    }
}
