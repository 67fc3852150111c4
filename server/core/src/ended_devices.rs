//! The devices that a session does not open, since their user has ended them after its sign-in.

use std::fmt;
use std::str::FromStr;

use presence_protocol::DeviceName;
use presence_protocol::id::InvalidId;

/// The text for a session that opens no device at all. It is no device name.
const ALL: &str = "*";

/// The devices that a session does not open. None is forgotten: beyond the maximum, the session
/// opens no device any more, and the user has to sign in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndedDevices {
    /// The devices with these names.
    Named(Vec<DeviceName>),
    /// All devices.
    All,
}

impl EndedDevices {
    /// The maximum number of names.
    pub const MAX_NAMES: usize = 100;

    /// Returns true if a device of this name is one of them.
    pub fn contains(&self, device: &DeviceName) -> bool {
        match self {
            Self::Named(names) => names.contains(device),
            Self::All => true,
        }
    }

    /// Adds a device. Returns false if it is one of them already.
    pub fn add(&mut self, device: &DeviceName) -> bool {
        match self {
            Self::Named(names) if names.contains(device) => false,
            Self::Named(names) if names.len() < Self::MAX_NAMES => {
                names.push(device.clone());
                true
            }
            Self::Named(_) => {
                *self = Self::All;
                true
            }
            Self::All => false,
        }
    }
}

impl Default for EndedDevices {
    fn default() -> Self {
        Self::Named(Vec::new())
    }
}

/// Writes the names with spaces between them.
impl fmt::Display for EndedDevices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Named(names) = self else { return f.write_str(ALL) };
        for (number, name) in names.iter().enumerate() {
            if number > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for EndedDevices {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == ALL {
            return Ok(Self::All);
        }
        text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().map(Self::Named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_forgotten_and_beyond_the_maximum_all_devices_are_ended() {
        let mut ended = EndedDevices::default();
        let name = |n: usize| format!("d{n}").parse::<DeviceName>().unwrap();
        for n in 0..EndedDevices::MAX_NAMES {
            assert!(ended.add(&name(n)) && !ended.add(&name(n)));
            assert!((0..=n).all(|n| ended.contains(&name(n))));
            assert!(!ended.contains(&name(n + 1)));
            assert_eq!(ended.to_string().parse(), Ok(ended.clone()));
        }
        assert!(ended.add(&name(1_000)));
        assert!(ended.contains(&name(0)) && ended.contains(&name(2_000)));
        assert_eq!(ended.to_string().parse(), Ok(EndedDevices::All));
        assert_eq!("".parse(), Ok(EndedDevices::default()));
    }
}
