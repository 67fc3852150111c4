//! The device channel.

mod channel;
mod credential_requests;
mod credential_task;
mod credentials;
mod desired;
mod event;
mod event_queue;
mod events;
mod kept;
mod kept_ids;
mod options;
mod protocol;
mod renewal;

pub use channel::DeviceChannel;
pub use event::DeviceEvent;
pub use events::{CredentialRequests, DeviceEvents, Notifications};
pub use options::DeviceOptions;
