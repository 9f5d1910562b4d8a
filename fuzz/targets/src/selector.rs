//! Who is asked, in which order: bindings and an event, read from JSON.
//!
//! Judged by the sentence of the documentation, written down once more: the bindings
//! that match, by what they name (tool, then agent, then source, then kind), of
//! equals the older first.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use hookswitch::domain::binding::{self, Binding, PluginVersion, Selector, Settings};
use hookswitch::domain::decision::OnFailure;
use hookswitch::domain::event::{Facts, Kind};
use hookswitch::domain::grant::Granted;
use hookswitch::domain::id::{BindingId, PluginId, SourceId};
use hookswitch::domain::limits::Limits;
use hookswitch::domain::plugin::{Digest, Handler};
use hookswitch::domain::revision::Revision;
use hookswitch::json;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use crate::read_error;

/// Bindings beyond these are left out: sorting more finds nothing new.
const MOST_BINDINGS: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scene {
    bindings: Vec<Bound>,
    event: Happened,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    #[serde(default)]
    selector: Selector,
    #[serde(default = "all_handlers")]
    exports: Vec<Handler>,
    /// Milliseconds of an age; several bindings may be equally old.
    #[serde(default)]
    created: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happened {
    source: SourceId,
    #[serde(default)]
    agent: String,
    kind: Kind,
    tool: Option<String>,
}

fn all_handlers() -> Vec<Handler> {
    Handler::ALL.to_vec()
}

/// Checks the order in which a scene's bindings are asked.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let scene: Scene = match json::object(text) {
        Ok(scene) => scene,
        Err(error) => return read_error::check(text, "", &error),
    };
    let bindings: Vec<Binding> = scene
        .bindings
        .into_iter()
        .take(MOST_BINDINGS)
        .zip(1..)
        .map(|(bound, number)| bound.into_binding(number))
        .collect();
    let source = scene.event.source;
    let facts = Facts {
        agent: &scene.event.agent,
        kind: scene.event.kind,
        tool: scene.event.tool.as_deref(),
    };
    for binding in &bindings {
        reads_back(&binding.selector);
        widens(&binding.selector, source, &facts);
    }
    let asked = asked(bindings.clone(), source, &facts);
    assert_eq!(asked, documented(&bindings, source, &facts));

    let mut reversed = bindings.clone();
    reversed.reverse();
    assert_eq!(self::asked(reversed, source, &facts), asked);

    // Whoever does not match changes nothing by being there.
    let mut only_asked = bindings;
    only_asked.retain(|binding| asked.contains(&binding.id));
    assert_eq!(self::asked(only_asked, source, &facts), asked);
}

impl Bound {
    fn into_binding(self, number: u128) -> Binding {
        let created = Timestamp::from_millisecond(self.created.into());
        Binding {
            id: BindingId::from(Uuid::from_u128(number)),
            plugin_id: PluginId::from(Uuid::from_u128(number)),
            plugin: PluginVersion {
                name: "p".parse().expect("p is a name"),
                version: 1,
                digest: Digest::of(b""),
            },
            exports: self.exports.into_iter().collect(),
            permissions: BTreeSet::new(),
            selector: self.selector,
            config: Arc::new(Settings::default()),
            on_failure: OnFailure::default(),
            limits: Limits::default(),
            granted: Granted::default(),
            revision: Revision::FIRST,
            created_at: created.expect("49 days after the epoch at most"),
        }
    }
}

fn asked(mut bindings: Vec<Binding>, source: SourceId, facts: &Facts<'_>) -> Vec<BindingId> {
    binding::sort(&mut bindings);
    let asked = bindings
        .iter()
        .filter(|binding| binding.is_asked(source, facts));
    asked.map(|binding| binding.id).collect()
}

fn documented(bindings: &[Binding], source: SourceId, facts: &Facts<'_>) -> Vec<BindingId> {
    let handler = match facts.kind.as_str() {
        "call.start" => Handler::Start,
        "call.transfer" => Handler::Transfer,
        "tool.call" => Handler::Tool,
        _ => Handler::Event,
    };
    let mut asked: Vec<_> = bindings
        .iter()
        .filter(|binding| binding.exports.contains(&handler))
        .filter(|binding| {
            let Selector {
                source: wanted_source,
                agent,
                kind,
                tool,
            } = &binding.selector;
            [
                wanted_source.is_some_and(|wanted| wanted != source),
                agent.as_ref().is_some_and(|wanted| wanted != facts.agent),
                kind.as_ref().is_some_and(|wanted| *wanted != facts.kind),
                tool.as_deref()
                    .is_some_and(|wanted| facts.tool != Some(wanted)),
            ] == [false; 4]
        })
        .collect();
    asked.sort_by_key(|binding| {
        let Selector {
            source,
            agent,
            kind,
            tool,
        } = &binding.selector;
        let named = [
            tool.is_some(),
            agent.is_some(),
            source.is_some(),
            kind.is_some(),
        ];
        (Reverse(named), binding.created_at, binding.id)
    });
    asked.into_iter().map(|binding| binding.id).collect()
}

/// What the API shows of a selector is the selector.
fn reads_back(selector: &Selector) {
    let shown = serde_json::to_string(selector).expect("a selector is JSON");
    let again: Selector = json::object(&shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert_eq!(&again, selector);
}

/// A selector that names less matches no fewer events, and is asked no earlier.
fn widens(selector: &Selector, source: SourceId, facts: &Facts<'_>) {
    let without: [fn(&mut Selector); 4] = [
        |selector| selector.source = None,
        |selector| selector.agent = None,
        |selector| selector.kind = None,
        |selector| selector.tool = None,
    ];
    for forget in without {
        let mut wider = selector.clone();
        forget(&mut wider);
        assert!(!selector.matches(source, facts) || wider.matches(source, facts));
        assert!(selector.specificity() >= wider.specificity());
        assert_eq!(
            wider.specificity() == selector.specificity(),
            wider == *selector
        );
    }
    assert!(Selector::default().matches(source, facts));
}
