//! Calls to the operating system: the cores of a process, its limit of open files, and the
//! resources it has used.

use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A process whose CPU time and memory are measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    pid: u32,
    clock: ClockId,
}

impl Process {
    pub(crate) fn of(pid: u32) -> Self {
        Self::try_of(pid).unwrap()
    }

    /// Returns `None` if the process has ended.
    pub(crate) fn try_of(pid: u32) -> Option<Self> {
        let clock = clock_getcpuclockid(Pid::from_raw(pid.try_into().ok()?)).ok()?;
        Some(Self { pid, clock })
    }

    /// Returns [`Process::cpu`], or `None` if the process has ended.
    pub(crate) fn try_cpu(self) -> Option<Duration> {
        self.clock.now().ok().map(Duration::from)
    }

    /// Returns the CPU time of all its threads so far, in user and kernel mode. It is more precise
    /// than the hundredths of a second in `/proc`.
    pub(crate) fn cpu(self) -> Duration {
        self.clock.now().unwrap().into()
    }

    /// Returns the private memory, in KiB.
    pub(crate) fn private_kib(self) -> f64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).unwrap();
        rollup
            .lines()
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                let value = value.trim().strip_suffix("kB")?;
                name.starts_with("Private_").then(|| value.trim().parse::<f64>().unwrap())
            })
            .sum()
    }
}

/// Returns the CPU time of the children of a process that have ended, in hundredths of a second.
pub(crate) fn cpu_of_ended_children(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program, in brackets, may hold spaces. The fields after it begin with the
    // third.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let ticks = fields.split_whitespace().skip(13).take(2).filter_map(|it| it.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// The half of the machine on which a process runs, so that the load generator does not take CPU
/// from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Server,
    Generator,
}

/// Moves this thread, and all processes that it starts from now on. Does nothing on a machine with
/// one core.
pub(crate) fn run_on(half: Half) {
    let cores = std::thread::available_parallelism().unwrap().get();
    // The first call restricts the cores that this process can see, so the machine's total is read
    // instead.
    let cores = cores.max(online());
    if cores < 2 {
        return;
    }
    let mut set = CpuSet::new();
    set.set(match half {
        Half::Server => 0,
        Half::Generator => 1,
    })
    .unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
    debug_assert_eq!(sched_getaffinity(Pid::from_raw(0)).ok(), Some(set));
}

/// Moves this thread, and all processes that it starts from now on, to all cores.
pub(crate) fn run_on_all_cores() {
    let mut set = CpuSet::new();
    (0..online()).for_each(|core| set.set(core).unwrap());
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

fn online() -> usize {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|line| line.starts_with("processor")).count()
}

/// Raises the limit of open files for this process and those that it starts.
pub(crate) fn allow_open_files(needed: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft >= needed {
        return;
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).unwrap_or_else(|error| {
        panic!("{needed} open files are needed, and the limit is {hard}: {error}")
    });
}

/// Limits the open files of processes that are started in `work`.
pub(crate) async fn with_open_files<T>(files: u64, work: impl Future<Output = T>) -> T {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, files, hard).unwrap();
    let result = work.await;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    result
}

/// Describes the machine and the measured version.
pub(crate) fn describe() -> Value {
    let line = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        found.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let whole = |file: &str| std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned());
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let commit = git.ok().filter(|answer| answer.status.success());
    json!({
        "cpu": line("/proc/cpuinfo", "model name"),
        "cores": online(),
        "memory": line("/proc/meminfo", "MemTotal"),
        "kernel": whole("/proc/sys/kernel/osrelease"),
        "load": whole("/proc/loadavg"),
        "commit": commit.map(|answer| String::from_utf8_lossy(&answer.stdout).trim().to_owned()),
    })
}
