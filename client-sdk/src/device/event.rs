//! The events of a device channel.

use presence_protocol::device::LiveNotification;

use crate::credential::CredentialRequest;
use crate::state::ConnectionState;

/// An event of a device channel.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DeviceEvent {
    /// The state of the channel has changed. A slow application gets only the newest state.
    State(ConnectionState),
    /// A notification. It is sent again after a restart of the application unless it was
    /// [acknowledged](crate::DeviceChannel::acknowledge), but never twice within one channel.
    Notification(LiveNotification),
    /// The channel needs a credential: see
    /// [`set_credential`](crate::DeviceChannel::set_credential). An application that has none at
    /// the moment calls
    /// [`report_credential_failure`](crate::DeviceChannel::report_credential_failure), and gets the
    /// event again after a wait. A channel with a credential provider has no such events.
    CredentialWanted(CredentialRequest),
}
