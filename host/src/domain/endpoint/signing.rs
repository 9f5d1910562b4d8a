//! The keys an endpoint's requests are signed with (Standard Webhooks).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;

/// A signing key: `whsec_` and 24 to 64 bytes in base64. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SigningSecret {
    key: Vec<u8>,
}

crate::domain::schema::of!(SigningSecret as String);

/// A text that is no signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected whsec_ followed by 24 to 64 bytes in base64")]
pub struct InvalidSigningSecret;

const PREFIX: &str = "whsec_";

impl SigningSecret {
    /// Bytes of a key that is made here.
    pub const LEN: usize = 32;

    pub fn new(random: [u8; Self::LEN]) -> Self {
        Self {
            key: random.to_vec(),
        }
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The text form, for its owner and for the store.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.key))
    }
}

impl TryFrom<String> for SigningSecret {
    type Error = InvalidSigningSecret;
    fn try_from(text: String) -> Result<Self, InvalidSigningSecret> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidSigningSecret)?;
        let key = STANDARD.decode(digits).map_err(|_| InvalidSigningSecret)?;
        if (24..=64).contains(&key.len()) {
            Ok(Self { key })
        } else {
            Err(InvalidSigningSecret)
        }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(signing secret)")
    }
}

/// The key, and the one before it for as long as both hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    pub current: SigningSecret,
    pub previous: Option<(SigningSecret, Timestamp)>,
}

impl Signing {
    /// The keys that hold at a time, the newest first.
    pub fn keys(&self, now: Timestamp) -> impl Iterator<Item = &SigningSecret> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        std::iter::once(&self.current).chain(previous.map(|(secret, _)| secret))
    }

    /// With a new key; the current one holds on until then.
    #[must_use]
    pub fn rotated(self, new: SigningSecret, until: Timestamp) -> Self {
        Self {
            current: new,
            previous: Some((self.current, until)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_what_it_shows_and_shows_itself_to_nobody_else() {
        let secret = SigningSecret::new([7; 32]);
        assert_eq!(SigningSecret::try_from(secret.expose()), Ok(secret.clone()));
        assert_eq!(format!("{secret:?}"), "(signing secret)");
        for text in ["", "whsec_", "whsec_AAAA", "sec_AAAA", "whsec_*"] {
            assert!(SigningSecret::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn two_keys_hold_until_the_overlap_is_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (old, new) = (SigningSecret::new([1; 32]), SigningSecret::new([2; 32]));
        let signing = Signing {
            current: old.clone(),
            previous: None,
        };
        let signing = signing.rotated(new.clone(), at(100));
        assert_eq!(signing.keys(at(99)).collect::<Vec<_>>(), [&new, &old]);
        assert_eq!(signing.keys(at(100)).collect::<Vec<_>>(), [&new]);
    }
}
