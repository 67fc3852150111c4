//! The commands that play the clients of a running server, to try it and to see what it sends.
//!
//! The modules in reading order: a [`device`], the [`back_end`] of an Application and its
//! [`domain`]; assertions of [`development`] mode, the [`channel`] that a device and a back end
//! follow, the [`connection`] to the server, and the [`signals`] that end a command.

mod back_end;
mod device;
mod domain;

mod development;

mod channel;
mod connection;
mod signals;

use clap::Subcommand;

use self::back_end::ListenArguments;
pub(super) use self::development::assertion;
use self::device::DeviceArguments;
use self::domain::ProveDomainArguments;
use super::output::CommandError;

/// A command that plays a client. It needs no settings of a server.
#[derive(Debug, Subcommand)]
pub(super) enum ClientCommand {
    /// Plays a phone: opens the Device Presence Channel, and prints each frame as a line of JSON.
    ///
    /// SIGINT or SIGTERM ends it in order. If the connection is lost, or the server closes it, it
    /// ends with exit code 1 and the reason.
    Device(DeviceArguments),
    /// Plays a back end: opens the AppService Presence Channel, and prints each frame as a line of
    /// JSON.
    ///
    /// SIGINT or SIGTERM ends it in order. If the connection is lost, or the server closes it, it
    /// ends with exit code 1 and the reason; `--cursor` then continues.
    Listen(ListenArguments),
    /// Plays the web server of a domain: shows a domain key, so that a server in development mode
    /// verifies the domain.
    ///
    /// The key is at /__presence. Other pages show the query with which a user comes back from the
    /// page that asks for permission.
    ProveDomain(ProveDomainArguments),
}

/// Runs a command until it is asked to end, or cannot go on.
pub(super) async fn run(command: ClientCommand) -> Result<(), CommandError> {
    match command {
        ClientCommand::Device(arguments) => device::run(arguments).await,
        ClientCommand::Listen(arguments) => back_end::run(arguments).await,
        ClientCommand::ProveDomain(arguments) => domain::run(arguments).await,
    }
}
