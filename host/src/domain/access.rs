//! Who may do what with the API: tokens and their scopes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::{OrganizationId, TokenId};

/// What a token may be used for. Each scope includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Reads.
    Viewer,
    /// Uploads plugins, binds them, tests them, and sends deliveries again.
    Developer,
    /// Sets up sources, endpoints and secrets, and gives tokens to others.
    Owner,
    /// Sets up organizations, and acts in any of them.
    Operator,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Owner, Self::Operator];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Owner => "owner",
            Self::Operator => "operator",
        }
    }

    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a token; the token itself is known to its owner alone.
#[derive(Debug, Clone)]
pub struct Token {
    pub id: TokenId,
    pub organization: OrganizationId,
    /// What people call it.
    pub label: Label,
    /// Its first characters; none for one that an operator chose.
    pub prefix: Option<String>,
    pub scope: Scope,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
}

impl Token {
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A line of text that people call something by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

crate::domain::schema::of!(Label as String);

/// A text that is no label.
#[derive(Debug, thiserror::Error)]
#[error("a label is a line of 1 to 100 characters, without control characters")]
pub struct InvalidLabel;

impl TryFrom<String> for Label {
    type Error = InvalidLabel;
    fn try_from(text: String) -> Result<Self, InvalidLabel> {
        let length = text.chars().count();
        if (1..=100).contains(&length) && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidLabel)
        }
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl std::str::FromStr for Label {
    type Err = InvalidLabel;
    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        text.to_owned().try_into()
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_includes_those_before_it() {
        assert!(Scope::ALL.is_sorted());
        for scope in Scope::ALL {
            assert_eq!(Scope::named(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::named("root"), None);
    }

    #[test]
    fn labels_are_lines() {
        assert!("Anna's laptop".parse::<Label>().is_ok());
        for bad in ["", "two\nlines", &"a".repeat(101)] {
            assert!(bad.parse::<Label>().is_err(), "{bad:?}");
        }
    }
}
