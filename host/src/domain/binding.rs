//! Bindings: which plugin is asked about which events, and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decision::OnFailure;
use super::event::{Facts, Kind};
use super::grant::Granted;
use super::id::{BindingId, PluginId, SourceId};
use super::limits::Limits;
use super::permission::Permission;
use super::plugin::{Digest, Handlers, Name};
use super::revision::Revision;

/// What a binding applies to. A field that is absent matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    pub source: Option<SourceId>,
    pub agent: Option<String>,
    pub kind: Option<Kind>,
    pub tool: Option<String>,
}

/// How narrow a selector is; the greater is asked first.
///
/// The derived order compares field after field: who names the tool goes before
/// who does not, whatever else they name; then likewise agent, source, kind. A
/// tool is one function of one assistant, so it says most; a kind says least.
#[allow(clippy::struct_excessive_bools)] // Not states: four independent facts, compared in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    tool: bool,
    agent: bool,
    source: bool,
    kind: bool,
}

impl Selector {
    pub fn matches(&self, source: SourceId, facts: &Facts<'_>) -> bool {
        self.source.is_none_or(|wanted| wanted == source)
            && self
                .agent
                .as_deref()
                .is_none_or(|wanted| wanted == facts.agent)
            && self
                .kind
                .as_ref()
                .is_none_or(|wanted| *wanted == facts.kind)
            && self
                .tool
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == facts.tool)
    }

    pub fn specificity(&self) -> Specificity {
        Specificity {
            tool: self.tool.is_some(),
            agent: self.agent.is_some(),
            source: self.source.is_some(),
            kind: self.kind.is_some(),
        }
    }
}

/// The version a binding runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PluginVersion {
    #[serde(rename = "plugin")]
    pub name: Name,
    pub version: u32,
    pub digest: Digest,
}

/// The settings a plugin reads through `config`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Settings(pub serde_json::Map<String, serde_json::Value>);

impl Settings {
    /// A string as its text, everything else as JSON.
    pub fn get(&self, key: &str) -> Option<String> {
        match self.0.get(key)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Binding {
    pub id: BindingId,
    pub plugin_id: PluginId,
    pub plugin: PluginVersion,
    pub exports: Handlers,
    /// What the version's imports ask for.
    pub permissions: BTreeSet<Permission>,
    pub selector: Selector,
    pub config: Arc<Settings>,
    pub on_failure: OnFailure,
    pub limits: Limits,
    pub granted: Granted,
    pub revision: Revision,
    pub created_at: Timestamp,
}

/// Sorts bindings into the order in which they are asked: the most specific
/// first, of equals the older first.
pub fn sort(bindings: &mut [Binding]) {
    bindings.sort_by_key(|binding| {
        (
            std::cmp::Reverse(binding.selector.specificity()),
            binding.created_at,
            binding.id,
        )
    });
}

impl Binding {
    /// Whether it is asked about an event of a source.
    pub fn is_asked(&self, source: SourceId, facts: &Facts<'_>) -> bool {
        self.exports.contains(&facts.kind.handler()) && self.selector.matches(source, facts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::plugin::Handler;

    fn source(n: u128) -> SourceId {
        SourceId::from(Uuid::from_u128(n))
    }

    fn binding(n: u128, selector: Selector, exports: &[Handler]) -> Binding {
        Binding {
            id: BindingId::from(Uuid::from_u128(n)),
            plugin_id: PluginId::from(Uuid::from_u128(n)),
            plugin: PluginVersion {
                name: "p".parse().unwrap(),
                version: 1,
                digest: Digest::of(&n.to_le_bytes()),
            },
            exports: exports.iter().copied().collect(),
            permissions: BTreeSet::new(),
            selector,
            config: Arc::default(),
            on_failure: OnFailure::default(),
            limits: Limits::default(),
            granted: Granted::default(),
            revision: Revision::FIRST,
            created_at: Timestamp::from_millisecond(n as i64).unwrap(),
        }
    }

    fn selector(s: Option<u128>, a: Option<&str>, k: Option<Kind>, t: Option<&str>) -> Selector {
        Selector {
            source: s.map(source),
            agent: a.map(Into::into),
            kind: k,
            tool: t.map(Into::into),
        }
    }

    #[test]
    fn the_most_specific_binding_is_asked_first() {
        let mut bindings = vec![
            binding(1, selector(None, None, None, None), &Handler::ALL),
            binding(
                2,
                selector(None, None, Some(Kind::TOOL), None),
                &Handler::ALL,
            ),
            binding(3, selector(Some(7), None, None, None), &Handler::ALL),
            binding(4, selector(None, Some("a"), None, None), &Handler::ALL),
            binding(
                5,
                selector(Some(7), None, Some(Kind::TOOL), None),
                &Handler::ALL,
            ),
            binding(6, selector(Some(7), Some("a"), None, None), &Handler::ALL),
            binding(7, selector(None, None, None, Some("t")), &Handler::ALL),
            binding(
                8,
                selector(Some(7), Some("a"), Some(Kind::TOOL), Some("t")),
                &Handler::ALL,
            ),
            binding(9, selector(None, None, None, None), &Handler::ALL),
        ];
        sort(&mut bindings);
        let facts = Facts {
            agent: "a",
            kind: Kind::TOOL,
            tool: Some("t"),
        };
        let order: Vec<u128> = bindings
            .iter()
            .filter(|binding| binding.is_asked(source(7), &facts))
            .map(|binding| binding.id.uuid().as_u128())
            .collect();
        assert_eq!(order, [8, 7, 6, 4, 5, 3, 2, 1, 9]);
    }

    #[test]
    fn a_plugin_without_the_handler_is_not_asked() {
        let bindings = [binding(
            1,
            Selector::default(),
            &[Handler::Start, Handler::Event],
        )];
        let asked = |kind: Kind| {
            let facts = Facts {
                agent: "",
                kind,
                tool: None,
            };
            let asked = |binding: &&Binding| binding.is_asked(source(1), &facts);
            bindings.iter().filter(asked).count()
        };
        assert_eq!(asked(Kind::START), 1);
        assert_eq!(asked(Kind::COMPLETED), 1);
        assert_eq!(asked(Kind::UNKNOWN), 1);
        assert_eq!(asked(Kind::TRANSFER), 0);
        assert_eq!(asked(Kind::TOOL), 0);
    }

    #[test]
    fn settings_are_text_or_json() {
        let settings: Settings =
            serde_json::from_str(r#"{"a":"text","b":[1,"x"],"c":null,"d":7}"#).unwrap();
        assert_eq!(settings.get("a").as_deref(), Some("text"));
        assert_eq!(settings.get("b").as_deref(), Some(r#"[1,"x"]"#));
        assert_eq!(settings.get("c").as_deref(), Some("null"));
        assert_eq!(settings.get("d").as_deref(), Some("7"));
        assert_eq!(settings.get("e"), None);
    }

    fn any_selector() -> impl Strategy<Value = Selector> {
        let agent = prop_oneof![Just("a"), Just("b")];
        let kind = prop_oneof![Just(Kind::TOOL), Just(Kind::START)];
        let tool = prop_oneof![Just("t"), Just("u")];
        (
            prop::option::of(0..2_u128),
            prop::option::of(agent),
            prop::option::of(kind),
            prop::option::of(tool),
        )
            .prop_map(|(s, a, k, t)| selector(s, a, k, t))
    }

    proptest! {
        #[test]
        fn the_order_does_not_depend_on_the_order_of_the_rows(
            selectors in prop::collection::vec(any_selector(), 0..12),
            seed in any::<u64>(),
        ) {
            let rows: Vec<Binding> = selectors
                .into_iter()
                .zip(1..)
                .map(|(selector, n)| binding(n, selector, &Handler::ALL))
                .collect();
            let mut shuffled = rows.clone();
            shuffled.sort_by_key(|row| row.id.uuid().as_u128().wrapping_mul(u128::from(seed | 1)) % 97);
            let mut sorted = rows;
            sort(&mut sorted);
            sort(&mut shuffled);
            let ids = |rows: &[Binding]| rows.iter().map(|row| row.id).collect::<Vec<_>>();
            prop_assert_eq!(ids(&sorted), ids(&shuffled));
        }

        #[test]
        fn a_binding_that_says_more_and_matches_goes_first(narrow in any_selector(), wide in any_selector()) {
            let subset = (wide.source.is_none() || wide.source == narrow.source)
                && (wide.agent.is_none() || wide.agent == narrow.agent)
                && (wide.kind.is_none() || wide.kind == narrow.kind)
                && (wide.tool.is_none() || wide.tool == narrow.tool);
            if subset {
                prop_assert!(narrow.specificity() >= wide.specificity());
            }
        }
    }
}
