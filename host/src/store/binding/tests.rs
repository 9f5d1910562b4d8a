use std::collections::BTreeSet;

use bytes::Bytes;

use super::super::fixture::Fixture;
use super::super::plan::plan;
use super::*;
use crate::domain::decision::Verdicts;
use crate::domain::inspection::Inspection;
use crate::domain::plugin::{Digest, Handler};
use crate::domain::repeat::RepeatWindow;
use crate::domain::source::Patience;
use crate::store::{NewSource, Upload};

/// A store with a plugin, so that there is something to bind.
struct Bound {
    fixture: Fixture,
    plugin: PluginId,
    sources: Vec<SourceId>,
}

impl Bound {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        let plugin = PluginId::from(Uuid::now_v7());
        let bytes = Bytes::from_static(b"a component");
        let upload = Upload {
            organization: fixture.organization,
            plugin: "router".parse().unwrap(),
            new_plugin: plugin,
            inspection: Inspection {
                digest: Digest::of(&bytes),
                size: bytes.len() as u64,
                contract: "hookswitch:plugin@1.0.0".to_owned(),
                exports: Handler::ALL.into_iter().collect(),
                imports: Vec::new(),
                tools: Vec::new(),
                resources: None,
                compile_ms: None,
            },
            bytes,
        };
        let by = By::of_host(fixture.organization, fixture.begin);
        fixture.store().upload(upload, by).await.unwrap();
        let mut bound = Self {
            fixture,
            plugin,
            sources: Vec::new(),
        };
        for name in ["first", "second"] {
            let source = bound.source(name).await;
            bound.sources.push(source);
        }
        bound
    }

    async fn source(&self, name: &str) -> SourceId {
        let new = NewSource {
            id: SourceId::from(Uuid::now_v7()),
            organization: self.fixture.organization,
            name: name.parse().unwrap(),
            dialect: "dasha".to_owned(),
            proof: Vec::new(),
            patience: Patience::default(),
            repeat_window: RepeatWindow::default(),
            agent_config: None,
            rate: None,
            verdicts: Verdicts::default(),
            created_at: self.fixture.begin,
        };
        let id = new.id;
        let creation = Creation::of_host(self.fixture.organization, self.fixture.begin);
        let created = self.fixture.store().create_source(new, creation).await;
        created.unwrap();
        id
    }

    async fn bind(&self, source: Option<SourceId>, agent: Option<&str>, tool: Option<&str>) {
        let new = NewBinding {
            id: BindingId::from(Uuid::now_v7()),
            organization: self.fixture.organization,
            plugin: self.plugin,
            version: 1,
            selector: Selector {
                source,
                agent: agent.map(str::to_owned),
                kind: None,
                tool: tool.map(str::to_owned),
            },
            config: Settings::default(),
            on_failure: OnFailure::default(),
            limits: Limits::default(),
            granted: Granted::default(),
            created_at: self.fixture.begin,
        };
        let creation = Creation::of_host(self.fixture.organization, self.fixture.begin);
        let created = self.fixture.store().create_binding(new, creation).await;
        created.unwrap();
    }

    async fn narrowly(&self, source: SourceId) -> bool {
        let organization = self.fixture.organization;
        let store = self.fixture.store();
        store.binds_narrowly(organization, source).await.unwrap()
    }
}

fn ids<'a>(bindings: impl Iterator<Item = &'a Binding>) -> BTreeSet<BindingId> {
    bindings.map(|binding| binding.id).collect()
}

#[tokio::test]
async fn those_for_an_event_are_those_whose_selector_lets_it_through() {
    let bound = Bound::new().await;
    let sources = [Some(bound.sources[0]), Some(bound.sources[1]), None];
    for source in sources {
        for agent in [Some("a"), Some("b"), None] {
            for tool in [Some("t"), Some("u"), None] {
                bound.bind(source, agent, tool).await;
            }
        }
    }
    let store = bound.fixture.store();
    let organization = bound.fixture.organization;
    let page = PageRequest {
        after: None,
        limit: 100,
    };
    let all = store.bindings(organization, page).await.unwrap().items;
    assert_eq!(all.len(), 27);
    for source in bound.sources.iter().copied() {
        for (agent, tool) in [("a", Some("t")), ("a", None), ("c", Some("u")), ("", None)] {
            let about = About {
                source,
                agent,
                tool,
            };
            let found = store.bindings_for(organization, about).await.unwrap();
            let open = |named: Option<&str>, is: Option<&str>| named.is_none() || named == is;
            let expected = all.iter().filter(|binding| {
                let selector = &binding.selector;
                selector.source.is_none_or(|it| it == source)
                    && open(selector.agent.as_deref(), Some(agent))
                    && open(selector.tool.as_deref(), tool)
            });
            assert_eq!(ids(found.iter()), ids(expected), "{about:?}");
            assert_eq!(found.len(), ids(found.iter()).len(), "none comes twice");
        }
    }
}

#[tokio::test]
async fn whether_agents_and_tools_make_a_difference_is_known_by_source() {
    let bound = Bound::new().await;
    let [first, second] = [bound.sources[0], bound.sources[1]];
    bound.bind(Some(first), None, None).await;
    bound.bind(None, None, None).await;
    assert!(!bound.narrowly(first).await);
    bound.bind(Some(first), Some("a"), None).await;
    assert!(bound.narrowly(first).await);
    assert!(!bound.narrowly(second).await);
    bound.bind(None, None, Some("t")).await;
    assert!(bound.narrowly(second).await);
}

/// An answer costs the same beside a hundred thousand bindings as beside ten.
#[tokio::test]
async fn those_for_an_event_are_found_by_the_index() {
    let bound = Bound::new().await;
    let store = bound.fixture.store();
    for statement in [FOR_EVENT.as_str(), NARROWLY] {
        let plan = plan(store, statement).await;
        assert!(plan.contains("binding_by_selector"), "{plan}");
        assert!(!plan.contains("SCAN binding"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
    let plan = plan(store, FOR_EVENT.as_str()).await;
    let rows = [
        "SEARCH binding USING PRIMARY KEY (id=?)",
        "SEARCH plugin USING PRIMARY KEY (id=?)",
        "SEARCH plugin_version USING PRIMARY KEY (plugin_id=? AND number=?)",
    ];
    for row in rows {
        assert!(plan.contains(row), "{row}\n{plan}");
    }
    let by_all = "(organization_id=? AND source_id=? AND agent=? AND tool=?)";
    assert_eq!(plan.matches(by_all).count(), 8, "{plan}");
}
