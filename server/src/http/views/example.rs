//! The values that the examples of the document share.

/// The Application.
pub(crate) const APPID: &str = "8f14e45fceea167a5a36dedd4bea2543";
/// The id by which that Application knows Alice.
pub(crate) const UID: &str = "c9f0f895fb98ab9159f51fd0297e236d";
/// An id that is no user's.
pub(crate) const UNKNOWN_UID: &str = "00000000000000000000000000000000";
/// A notification.
pub(crate) const NOTIFICATION: &str = "45c48cce2e2d7fbdea1afc51c7c6ad26";
/// The Application's name.
pub(crate) const NAME: &str = "Chess by Mail";
/// The sender of a notification.
pub(crate) const SOURCE: &str = "bob@example.org";
/// The Application's domain.
pub(crate) const DOMAIN: &str = "chess.example.org";
/// The Application's description.
pub(crate) const DESCRIPTION: &str = "Tells you when your opponent is there.";
/// The URL that a notification opens.
pub(crate) const ACTION: &str = "https://chess.example.org/games/7";
/// The e-mail of the user.
pub(crate) const EMAIL: &str = "alice@example.org";
/// The earliest time in the examples, in milliseconds since 1970 UTC.
pub(crate) const START_TIME: u64 = 1_767_225_600_000;
/// An hour, in milliseconds.
pub(crate) const HOUR: u64 = 3_600_000;
/// An API key that does not exist.
pub(crate) const API_KEY: &str = "prs_live_ExampleExampleExampleExampleExampleExampleExample";
/// The first characters of that key.
pub(crate) const PREFIX: &str = "prs_live_ExampleE";
/// A bearer token that does not exist.
pub(crate) const TOKEN: &str = "prt_ExampleExampleExampleExampleExampleExampleExampleEx";
/// An assertion, shortened.
pub(crate) const ASSERTION: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3Mi….c2ln~eyJhbGciOiJSUzI1NiJ9.eyJhdWQi….c2ln";
