//! The rows of the report. A new row is a variant here and a module below.

pub(crate) mod devices;
pub(crate) mod fan_in;
pub(crate) mod fan_out;
mod file_limit;
mod notify;
pub(crate) mod rest;
mod sharing;
mod sign_ins;
pub(crate) mod status;
mod storm;
mod tls;

use crate::report::Finding;
use crate::scale::Scale;
use crate::sdk;

pub(crate) use notify::commit_each;

/// A row or a group of rows that can be measured separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    Status,
    Devices,
    Tls,
    Storm,
    FanOut,
    FanIn,
    Notify,
    Rest,
    FileLimit,
    SignIns,
    Sdk,
    Sharing,
}

impl Row {
    /// The rows that measure the server.
    pub(crate) const OF_THE_SERVER: [Self; 9] = [
        Self::Status,
        Self::Devices,
        Self::Tls,
        Self::Storm,
        Self::FanOut,
        Self::FanIn,
        Self::Notify,
        Self::Rest,
        Self::FileLimit,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().find(|row| row.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        self.words().0
    }

    /// Lists the names, each with a description.
    pub(crate) fn list() -> String {
        let line = |row: Self| {
            let (name, what) = row.words();
            format!("  {name:<10}  {what}\n")
        };
        Self::all().map(line).collect()
    }

    pub(crate) async fn measure(self, scale: &Scale) -> Vec<Finding> {
        match self {
            Self::Status => status::measure(scale).await,
            Self::Devices => devices::measure(scale).await,
            Self::Tls => tls::measure(scale).await,
            Self::Storm => storm::measure(scale).await,
            Self::FanOut => fan_out::measure(scale).await,
            Self::FanIn => fan_in::measure(scale).await,
            Self::Notify => notify::measure(scale).await,
            Self::Rest => rest::measure(scale).await,
            Self::FileLimit => file_limit::measure(scale).await,
            Self::SignIns => sign_ins::measure(scale).await,
            Self::Sdk => sdk::measure(scale).await,
            Self::Sharing => sharing::measure(scale).await,
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        Self::OF_THE_SERVER.into_iter().chain([Self::SignIns, Self::Sdk, Self::Sharing])
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Status => ("status", "a status until its OK"),
            Self::Devices => ("devices", "connecting devices, and the memory of an idle one"),
            Self::Tls => ("tls", "the memory of an idle device over TLS"),
            Self::Storm => ("storm", "thousands of devices that come back at once"),
            Self::FanOut => ("fan-out", "one status to many sockets of an Application, and bursts"),
            Self::FanIn => ("fan-in", "the statuses of many users to one socket"),
            Self::Notify => ("notify", "notifications that are on disk before they are answered"),
            Self::Rest => ("rest", "calls of AppServices and users over REST"),
            Self::FileLimit => ("file-limit", "a server at its limit of open files"),
            Self::SignIns => {
                ("sign-ins", "fresh BrowserID assertions beside their bare signatures")
            }
            Self::Sdk => ("sdk", "the cost of the client SDK beside a bare client"),
            Self::Sharing => ("sharing", "two servers on PostgreSQL beside one on SQLite"),
        }
    }
}
