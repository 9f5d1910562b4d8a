//! Secrets: texts that prove something, and are never shown again.

use std::fmt;

use serde::Deserialize;

/// A secret text. It is never shown: not by `Debug`, not by the API.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Secret(String);

crate::domain::schema::of!(Secret as String);

impl Secret {
    /// The text itself, for comparing, signing and storing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A secret that keeps nothing secret.
#[derive(Debug, thiserror::Error)]
#[error("a secret has 1 to 4096 bytes")]
pub struct InvalidSecret;

impl TryFrom<String> for Secret {
    type Error = InvalidSecret;
    fn try_from(text: String) -> Result<Self, InvalidSecret> {
        if (1..=4096).contains(&text.len()) {
            Ok(Self(text))
        } else {
            Err(InvalidSecret)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::try_from("hunter2".to_owned()).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
