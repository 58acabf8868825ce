//! The two ids: of a node (its public key) and of a content (its hash). Both are 32 bytes and print as 64 hex digits.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

/// A running swarm process: its Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 32]);

/// The immutable thing a manifest describes: BLAKE3 of the manifest's canonical body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

/// A string that is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: it takes 64 hex digits")]
pub struct ParseIdError(String);

macro_rules! id {
    ($name:ident) => {
        impl $name {
            /// Takes the 32 bytes as they are.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Takes a slice, if it is 32 bytes long.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Some(Self(bytes.try_into().ok()?))
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first 8 hex digits: enough for a person to tell ids apart.
            pub fn short(&self) -> String {
                HEXLOWER.encode(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; 32];
                if text.len() != 64 {
                    return Err(ParseIdError(text.to_owned()));
                }
                match HEXLOWER.decode_mut(text.to_ascii_lowercase().as_bytes(), &mut bytes) {
                    Ok(32) => Ok(Self(bytes)),
                    _ => Err(ParseIdError(text.to_owned())),
                }
            }
        }
    };
}

id!(NodeId);
id!(ContentId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_being_printed_and_read() {
        let id = NodeId::from_bytes([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        assert_eq!(id.short(), "abababab");
    }

    #[test]
    fn what_is_not_64_hex_digits_is_no_id() {
        for text in ["", "ab", &"g".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<ContentId>().is_err(), "{text}");
        }
    }
}
