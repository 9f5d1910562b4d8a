//! Permissions: what a component's imports mean, in plain words, and by which grant
//! it gets them.
//!
//! A component imports what it was built to use, so its imports tell what it wants.
//! An import without its grant is linked all the same and fails inside the guest.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

/// One thing a component may want of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Permission {
    /// Known to every handler: the event, its payload, the time that is left.
    Event,
    Log,
    Config,
    Kv,
    Http,
    Clocks,
    Random,
    Output,
    Environment,
    Files,
    Sockets,
    /// Streams and pollables, which the others are made of.
    Streams,
    /// Of the contract or of WASI, but not one of these.
    Other,
}

impl Permission {
    /// What an imported interface is about: `wasi:http/types@0.2.6` is HTTP.
    pub fn of(import: &str) -> Self {
        let interface = import.split('@').next().unwrap_or_default();
        match interface {
            "hookswitch:plugin/context" | "hookswitch:plugin/types" => Self::Event,
            "hookswitch:plugin/log" => Self::Log,
            "hookswitch:plugin/config" => Self::Config,
            "hookswitch:plugin/kv" => Self::Kv,
            "wasi:cli/environment" => Self::Environment,
            _ => match interface.split('/').next().unwrap_or_default() {
                "wasi:http" => Self::Http,
                "wasi:clocks" => Self::Clocks,
                "wasi:random" => Self::Random,
                "wasi:cli" => Self::Output,
                "wasi:filesystem" => Self::Files,
                "wasi:sockets" => Self::Sockets,
                "wasi:io" => Self::Streams,
                _ => Self::Other,
            },
        }
    }

    /// All that a component's imports ask for.
    pub fn of_all<'i>(imports: impl IntoIterator<Item = &'i String>) -> BTreeSet<Self> {
        imports.into_iter().map(|import| Self::of(import)).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Log => "log",
            Self::Config => "config",
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Clocks => "clocks",
            Self::Random => "random",
            Self::Output => "output",
            Self::Environment => "environment",
            Self::Files => "files",
            Self::Sockets => "sockets",
            Self::Streams => "streams",
            Self::Other => "other",
        }
    }

    /// For whoever decides about it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Event => "reads the event it is asked about, with its whole payload",
            Self::Log => "writes lines that are kept with the decision",
            Self::Config => "reads the settings of its binding",
            Self::Kv => "keeps values between calls, if the binding grants it a key-value space",
            Self::Http => "sends HTTP requests, to the hosts that the binding grants",
            Self::Clocks => "reads the time",
            Self::Random => "draws random numbers, which follow from the call's recorded seed",
            Self::Output => "writes standard output and error, which are kept as log lines",
            Self::Environment => "asks for environment variables and arguments; there are none",
            Self::Files => "asks for files; there are none",
            Self::Sockets => "asks for network sockets; there are none",
            Self::Streams => "uses streams and waits, which other permissions are made of",
            Self::Other => "imports a part of WASI with nothing behind it",
        }
    }

    /// The field of a binding's grants that gives it; none where there is nothing to
    /// grant.
    pub fn grant(self) -> Option<&'static str> {
        match self {
            Self::Kv => Some("kv"),
            Self::Http => Some("http"),
            _ => None,
        }
    }
}

/// What changes for a binding if it runs another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Wanted by the new version only, and a matter of grants.
    pub added: Vec<Permission>,
    pub removed: Vec<Permission>,
}

impl Difference {
    pub fn between(bound: &BTreeSet<Permission>, new: &BTreeSet<Permission>) -> Self {
        let granted = |permission: &&Permission| permission.grant().is_some();
        Self {
            added: new.difference(bound).filter(granted).copied().collect(),
            removed: bound.difference(new).filter(granted).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_told_by_interface_whatever_their_version() {
        for (import, wanted) in [
            ("hookswitch:plugin/kv@1.0.0", Permission::Kv),
            ("hookswitch:plugin/types@1.0.0", Permission::Event),
            ("wasi:http/outgoing-handler@0.2.3", Permission::Http),
            ("wasi:http/types@0.2.12", Permission::Http),
            ("wasi:cli/stderr@0.2.6", Permission::Output),
            ("wasi:cli/environment@0.2.0", Permission::Environment),
            ("wasi:random/insecure-seed@0.2.0", Permission::Random),
            ("wasi:clocks/timezone@0.2.0", Permission::Clocks),
            ("acme:other/thing", Permission::Other),
        ] {
            assert_eq!(Permission::of(import), wanted, "{import}");
        }
    }

    #[test]
    fn only_what_can_be_granted_makes_a_difference() {
        let set = |permissions: &[Permission]| permissions.iter().copied().collect();
        let difference = Difference::between(
            &set(&[Permission::Log, Permission::Kv]),
            &set(&[Permission::Http, Permission::Clocks]),
        );
        assert_eq!(difference.added, [Permission::Http]);
        assert_eq!(difference.removed, [Permission::Kv]);
    }
}
