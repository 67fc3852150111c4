//! The ids of Applications, users of an Application, notifications and devices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The error for a text that is not a valid id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id")]
pub struct InvalidId;

macro_rules! random_id {
    ($(#[doc = $doc:literal])+ $name:ident) => {
        $(#[doc = $doc])+
        ///
        /// The id has 128 random bits. As text it has 32 lower-case hexadecimal digits.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// Returns the id with the given random bits.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// Returns the bits.
            pub const fn bits(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_bits(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

random_id! {
    /// The id of an Application.
    AppId
}
random_id! {
    /// The id of one user for one Application. It differs for every Application, and reveals
    /// nothing about the user.
    Puid
}
random_id! {
    /// The id of a notification.
    NotificationId
}

fn parse_bits(text: &str) -> Result<u128, InvalidId> {
    let is_hex = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 32 || !is_hex {
        return Err(InvalidId);
    }
    u128::from_str_radix(text, 16).map_err(|_| InvalidId)
}

/// The name of a device of a user: 1 to 64 characters of `A-Za-z0-9._-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(Box<str>);

impl DeviceName {
    /// The maximum number of characters.
    pub const MAX_CHARS: usize = 64;

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for DeviceName {
    /// Returns the name of a device that gave none: `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DeviceName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_valid =
            text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !is_valid || !(1..=Self::MAX_CHARS).contains(&text.len()) {
            return Err(InvalidId);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for DeviceName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_be_parsed_from_its_text() {
        let puid = Puid::from_bits(0xff);
        assert_eq!(puid.to_string(), "000000000000000000000000000000ff");
        assert_eq!(puid.to_string().parse(), Ok(puid));
    }

    #[test]
    fn other_spellings_of_an_id_are_invalid() {
        for text in
            ["", "ff", "000000000000000000000000000000FF", "+00000000000000000000000000000ff"]
        {
            assert_eq!(text.parse::<Puid>(), Err(InvalidId), "{text}");
        }
    }

    #[test]
    fn device_names_are_limited_in_length_and_characters() {
        assert!("Pixel_9.work-1".parse::<DeviceName>().is_ok());
        for text in ["", "a b", "é", &"x".repeat(65)] {
            assert_eq!(text.parse::<DeviceName>(), Err(InvalidId), "{text}");
        }
    }
}
