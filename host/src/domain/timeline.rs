//! What was recorded of a call, one entry for each thing: an event arrived, a plugin said
//! something, a decision was made, an attempt went out.
//!
//! `store` reads entries back in their order (a call's timeline), `call` and `delivery`
//! make them of what they have just stored, and `live` hands these to who listens. They
//! are summaries: payloads, answers and bodies stay where they are kept.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::delivery::State;
use super::event::Kind;
use super::id::{BindingId, DeliveryId, EndpointId, EventId, SourceId};
use super::log::Level;
use super::plugin::Name;

/// One of our own words: from memory, or read back.
pub type Word = Cow<'static, str>;

/// One thing that was recorded, and when it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: Timestamp,
    pub about: Arc<About>,
    pub what: What,
}

/// The event that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub event: EventId,
    /// None for what Hookswitch says itself.
    pub source: Option<SourceId>,
    pub kind: Kind,
    pub call_id: String,
    pub agent_id: String,
    pub tool: Option<String>,
}

/// In the order in which they happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It arrived.
    Event {
        platform_type: String,
    },
    Log(Said),
    /// There is more of it than is shown; how much, where that is known.
    LeftOut {
        lines: Option<u64>,
    },
    /// An endpoint was asked.
    Forward(Tried),
    Decision(Decided),
    /// It came to be owed to an endpoint.
    Delivery(Owed),
    /// It was tried to deliver it.
    Attempt(Tried),
}

/// A line of a plugin's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub number: u32,
    pub binding: BindingId,
    pub plugin: Option<Name>,
    pub level: Level,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub outcome: Word,
    pub reason: Option<Word>,
    /// The answer's word, such as "reject".
    pub decision: Word,
    pub reply_status: Option<u16>,
    pub elapsed_us: u64,
    pub invocations: Vec<Asked>,
}

/// One plugin on the way to a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub binding: BindingId,
    pub plugin: Name,
    pub version: u32,
    pub outcome: Word,
    pub error: Option<Failed>,
    pub elapsed_us: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub code: Word,
    pub message: String,
}

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    pub delivery: DeliveryId,
    pub endpoint: EndpointId,
    pub state: State,
    pub attempts: u32,
    /// Of one that is owed.
    pub due_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Of the last attempt.
    pub status: Option<u16>,
    pub error: Option<Word>,
}

/// One request to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    pub delivery: DeliveryId,
    pub endpoint: EndpointId,
    pub number: u32,
    pub status: Option<u16>,
    pub error: Option<Word>,
    /// In words, for people.
    pub detail: Option<String>,
    pub elapsed_us: u64,
    /// How the delivery stood afterwards, where that is known.
    pub state: Option<State>,
}

/// By what an entry is known to be the same that was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    event: EventId,
    rank: u8,
    delivery: Uuid,
    number: u32,
}

impl Entry {
    /// Longest text of somebody else's in an entry, in characters.
    pub const LONGEST_TEXT: usize = 1_000;

    pub fn identity(&self) -> Identity {
        let (rank, delivery, number) = match &self.what {
            What::Event { .. } => (0, Uuid::nil(), 0),
            What::Log(said) => (1, Uuid::nil(), said.number),
            What::LeftOut { .. } => (2, Uuid::nil(), 0),
            What::Forward(tried) => (3, tried.delivery.uuid(), tried.number),
            What::Decision(_) => (4, Uuid::nil(), 0),
            What::Delivery(owed) => (5, owed.delivery.uuid(), 0),
            What::Attempt(tried) => (6, tried.delivery.uuid(), tried.number),
        };
        Identity {
            event: self.about.event,
            rank,
            delivery,
            number,
        }
    }

    /// By time; what has the same time is in the order of arrival, and of what follows
    /// from what.
    pub fn order(&self) -> (Timestamp, Identity) {
        (self.at, self.identity())
    }
}

/// The beginning of a text that somebody else wrote.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(Entry::LONGEST_TEXT) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// Which entries somebody wants to hear of. Absent fields match everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    pub source: Option<SourceId>,
    pub call: Option<String>,
    pub kind: Option<Kind>,
    /// What that plugin said, and decisions for which it was asked.
    pub plugin: Option<Name>,
    /// Lines of a log from that level on. What is no such line has no level, and is not
    /// left out for it.
    pub level: Option<Level>,
}

impl Wanted {
    pub fn is(&self, entry: &Entry) -> bool {
        let about = &entry.about;
        self.source.is_none_or(|id| about.source == Some(id))
            && self.call.as_ref().is_none_or(|id| about.call_id == *id)
            && self.kind.as_ref().is_none_or(|kind| about.kind == *kind)
            && self.plugin.as_ref().is_none_or(|it| concerns(entry, it))
            && self.level.is_none_or(|least| match &entry.what {
                What::Log(said) => said.level >= least,
                _ => true,
            })
    }
}

fn concerns(entry: &Entry, plugin: &Name) -> bool {
    match &entry.what {
        What::Log(said) => said.plugin.as_ref() == Some(plugin),
        What::Decision(decided) => decided.invocations.iter().any(|it| it.plugin == *plugin),
        What::Event { .. }
        | What::LeftOut { .. }
        | What::Forward(_)
        | What::Delivery(_)
        | What::Attempt(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(what: What) -> Entry {
        Entry {
            at: Timestamp::UNIX_EPOCH,
            about: Arc::new(About {
                event: Uuid::from_u128(1).into(),
                source: Some(Uuid::from_u128(2).into()),
                kind: Kind::START,
                call_id: "call".to_owned(),
                agent_id: "agent".to_owned(),
                tool: None,
            }),
            what,
        }
    }

    fn log(level: Level) -> Entry {
        entry(What::Log(Said {
            number: 0,
            binding: Uuid::from_u128(3).into(),
            plugin: "gate".parse().ok(),
            level,
            message: String::new(),
        }))
    }

    fn decision(plugin: &str) -> Entry {
        entry(What::Decision(Decided {
            outcome: "answered".into(),
            reason: None,
            decision: "accept".into(),
            reply_status: Some(200),
            elapsed_us: 1,
            invocations: vec![Asked {
                binding: Uuid::from_u128(3).into(),
                plugin: plugin.parse().unwrap(),
                version: 1,
                outcome: "answered".into(),
                error: None,
                elapsed_us: 1,
            }],
        }))
    }

    #[test]
    fn every_condition_leaves_out_what_it_does_not_fit() {
        let platform_type = String::new();
        let event = entry(What::Event { platform_type });
        let any = Wanted::default;
        let source = |n| Wanted {
            source: Some(Uuid::from_u128(n).into()),
            ..any()
        };
        let call = |id: &str| Wanted {
            call: Some(id.to_owned()),
            ..any()
        };
        let kind = |kind| Wanted {
            kind: Some(kind),
            ..any()
        };
        let plugin = |name: &str| Wanted {
            plugin: name.parse().ok(),
            ..any()
        };
        let level = |level| Wanted {
            level: Some(level),
            ..any()
        };
        for (wanted, entry, expected) in [
            (any(), &event, true),
            (source(2), &event, true),
            (source(9), &event, false),
            (call("call"), &event, true),
            (call("other"), &event, false),
            (kind(Kind::START), &event, true),
            (kind(Kind::TOOL), &event, false),
            (plugin("gate"), &event, false),
            (plugin("gate"), &log(Level::Info), true),
            (plugin("desk"), &log(Level::Info), false),
            (plugin("gate"), &decision("gate"), true),
            (plugin("desk"), &decision("gate"), false),
            (level(Level::Warn), &log(Level::Error), true),
            (level(Level::Warn), &log(Level::Warn), true),
            (level(Level::Warn), &log(Level::Info), false),
            (level(Level::Warn), &event, true),
        ] {
            assert_eq!(wanted.is(entry), expected, "{wanted:?}: {entry:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let longest = "ü".repeat(Entry::LONGEST_TEXT);
        assert_eq!(shortened(&longest), longest);
        assert_eq!(shortened(&format!("{longest}ü")), format!("{longest}…"));
    }
}
