//! The channel of an AppService, which is the back end of an Application.

mod channel;
mod chunks;
mod event;
mod event_queue;
mod options;
mod presence_map;
mod protocol;
mod requests;
mod stored_presence_map;

pub use channel::{AppServiceChannel, AppServiceEvents};
pub use event::{AppServiceEvent, Receipts, Snapshot, Updates};
pub use options::AppServiceOptions;
pub use presence_map::{PresenceChange, PresenceMap};
pub use stored_presence_map::StoredPresenceMap;
