//! What has to be done so that a server has what a file says: read from both, written to
//! neither.

use std::collections::BTreeMap;

use anyhow::Context as _;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::difference::{FieldChange, between};
use super::document::Document;
use super::setup::{Binding, Confidential, Endpoint, Selector, Setup, Source, Wanted};
use crate::cli::client::{Client, Tagged};
use crate::cli::names::{SOURCE, named};
use crate::cli::plugin;
use crate::cli::shown::text;
use crate::domain::plugin::{Digest, Name};
use crate::domain::proof;

/// Everything to be done, in an order in which it can be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// How many things are as the file says.
    pub(super) unchanged: usize,
}

/// One thing to be done.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// What people know it by.
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) fields: Vec<FieldChange>,
    pub(super) work: Work,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Secret,
    Source,
    Plugin,
    Endpoint,
    Binding,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Source => "source",
            Self::Plugin => "plugin",
            Self::Endpoint => "endpoint",
            Self::Binding => "binding",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    Create,
    Change,
    Delete,
}

/// The requests that do it.
#[derive(Debug)]
pub(super) enum Work {
    SetSecret(String, Confidence),
    Create(&'static str, Value),
    Change(String, Tagged, Value),
    Upload(Name, Bytes),
    Bind(Bind),
    Rebind(Rebind),
    Delete(String),
}

/// A secret's value.
pub(super) struct Confidence(pub(super) String);

impl std::fmt::Debug for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(confidential)")
    }
}

#[derive(Debug)]
pub(super) struct Bind {
    pub(super) plugin: Name,
    pub(super) version: Option<Version>,
    pub(super) selector: Value,
    /// The source of the selector, if it comes into being only now.
    pub(super) new_source: Option<Name>,
    pub(super) fields: Value,
}

#[derive(Debug)]
pub(super) struct Rebind {
    pub(super) path: String,
    pub(super) change: Option<(Tagged, Value)>,
    pub(super) version: Option<Version>,
}

/// A version that a binding shall run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Version {
    Number(u64),
    /// The one that is uploaded only now.
    New(Name),
}

/// What is wanted beside what the file says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wishes {
    /// To send secrets again that the server has already.
    pub(super) rotate_secrets: bool,
    /// To delete what the file does not name.
    pub(super) prune: bool,
}

/// Makes a plan.
pub(super) struct Planner<'a> {
    client: &'a Client,
    document: &'a Document,
    setup: &'a Setup,
    wishes: Wishes,
    there: There,
    plan: Plan,
}

/// What the server has.
struct There {
    secrets: Vec<String>,
    /// Names with their ids.
    sources: BTreeMap<String, String>,
    endpoints: BTreeMap<String, String>,
    bindings: Vec<Value>,
    plugins: BTreeMap<Name, Versions>,
}

/// A plugin's versions: those there are, and whether the file's is one of them.
#[derive(Debug)]
struct Versions {
    latest: Option<u64>,
    of_file: Option<Version>,
}

impl There {
    async fn read(client: &Client) -> anyhow::Result<Self> {
        let secrets = client.get("/secrets").await?;
        let secrets = secrets["data"].as_array().into_iter().flatten();
        Ok(Self {
            secrets: secrets.map(|secret| text(&secret["name"])).collect(),
            sources: ids(client, "/sources").await?,
            endpoints: ids(client, "/endpoints").await?,
            bindings: client.all("/bindings").await?,
            plugins: BTreeMap::new(),
        })
    }
}

async fn ids(client: &Client, list: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let all = client.all(list).await?;
    let named = |it: &Value| (text(&it["name"]), text(&it["id"]));
    Ok(all.iter().map(named).collect())
}

impl<'a> Planner<'a> {
    pub(super) async fn new(
        client: &'a Client,
        document: &'a Document,
        setup: &'a Setup,
        wishes: Wishes,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            document,
            setup,
            wishes,
            there: There::read(client).await?,
            plan: Plan::default(),
        })
    }

    /// What is used comes before what uses it; what is deleted, after everything.
    pub(super) async fn plan(mut self) -> anyhow::Result<Plan> {
        let setup = self.setup;
        self.secrets()?;
        for (name, source) in &setup.sources {
            self.source(name, source).await?;
        }
        for (name, file) in &setup.plugins {
            self.plugin(name, &file.file).await?;
        }
        for (name, endpoint) in &setup.endpoints {
            self.endpoint(name, endpoint).await?;
        }
        let mut kept = Vec::new();
        for (at, binding) in setup.bindings.iter().enumerate() {
            kept.push(self.binding(at, binding).await?);
        }
        if self.wishes.prune {
            self.prune(&kept);
        }
        Ok(self.plan)
    }

    fn step(&mut self, kind: Kind, name: &str, action: Action, work: Work) -> &mut Step {
        self.plan.steps.push(Step {
            kind,
            name: name.to_owned(),
            action,
            fields: Vec::new(),
            work,
        });
        let last = self.plan.steps.len() - 1;
        &mut self.plan.steps[last]
    }

    fn secrets(&mut self) -> anyhow::Result<()> {
        for (name, secret) in &self.setup.secrets {
            let known = self.there.secrets.iter().any(|it| it == name.as_str());
            if known && !self.wishes.rotate_secrets {
                self.plan.unchanged += 1;
                continue;
            }
            let value = secret.text(self.document.folder());
            let value = value.map_err(|error| {
                self.document
                    .error(&format!("secrets.{name}"), error.to_string())
            })?;
            let action = if known {
                Action::Change
            } else {
                Action::Create
            };
            let work = Work::SetSecret(named("/secrets", name), Confidence(value));
            let step = self.step(Kind::Secret, name.as_str(), action, work);
            if known {
                step.fields.push(set_again("value"));
            }
        }
        Ok(())
    }

    /// A proof as it is sent.
    fn proof<P>(&self, owner: &str, proof: &[P]) -> anyhow::Result<Value>
    where
        P: proof::HoldsSecrets<Secret = Confidential>,
        P::With<String>: Serialize,
    {
        let sent = proof.iter().enumerate().map(|(at, proof)| {
            let sent = proof.map(|secret| secret.text(self.document.folder()));
            let sent = sent.map_err(|error| {
                self.document
                    .error(&format!("{owner}.proof[{at}]"), error.to_string())
            })?;
            Ok(serde_json::to_value(sent)?)
        });
        Ok(Value::Array(sent.collect::<anyhow::Result<_>>()?))
    }

    async fn source(&mut self, name: &Name, source: &Source) -> anyhow::Result<()> {
        let owner = format!("sources.{name}");
        let mut wanted = source.fields();
        let Some(id) = self.there.sources.get(name.as_str()) else {
            wanted["name"] = json!(name);
            wanted["proof"] = self.proof(&owner, &source.proof)?;
            let work = Work::Create("/sources", wanted);
            self.step(Kind::Source, name.as_str(), Action::Create, work);
            return Ok(());
        };
        let path = format!("/sources/{id}");
        self.change(Kind::Source, name, &owner, path, wanted, &source.proof)
            .await
    }

    async fn endpoint(&mut self, name: &Name, endpoint: &Endpoint) -> anyhow::Result<()> {
        let owner = format!("endpoints.{name}");
        let mut wanted = endpoint.fields();
        let Some(id) = self.there.endpoints.get(name.as_str()) else {
            wanted["name"] = json!(name);
            wanted["proof"] = self.proof(&owner, &endpoint.proof)?;
            if let Some(secret) = &endpoint.signing_secret {
                let secret = secret.text(self.document.folder()).map_err(|error| {
                    let field = format!("{owner}.signing_secret");
                    self.document.error(&field, error.to_string())
                })?;
                wanted["signing_secret"] = secret.into();
            }
            let work = Work::Create("/endpoints", wanted);
            self.step(Kind::Endpoint, name.as_str(), Action::Create, work);
            return Ok(());
        };
        let path = format!("/endpoints/{id}");
        self.change(Kind::Endpoint, name, &owner, path, wanted, &endpoint.proof)
            .await
    }

    /// Compares a source or an endpoint with what it shall be.
    async fn change<P>(
        &mut self,
        kind: Kind,
        name: &Name,
        owner: &str,
        path: String,
        wanted: Value,
        proof: &[P],
    ) -> anyhow::Result<()>
    where
        P: proof::HoldsSecrets<Secret = Confidential>,
        P::With<String>: Serialize,
    {
        let now = self.client.read(&path).await?;
        let (mut changes, mut fields) = between(&now.body, &wanted);
        // Of proofs the server shows the form alone, so the form alone is compared.
        let form = json!(
            proof
                .iter()
                .map(proof::HoldsSecrets::shown)
                .collect::<Vec<_>>()
        );
        let (of_proof, shown) = between(&now.body, &json!({"proof": form}));
        fields.extend(shown);
        if of_proof.is_empty() && self.wishes.rotate_secrets && !proof.is_empty() {
            fields.push(set_again("proof"));
        }
        if fields.iter().any(|it| it.field == "proof") {
            changes.insert("proof".to_owned(), self.proof(owner, proof)?);
        }
        if changes.is_empty() {
            self.plan.unchanged += 1;
            return Ok(());
        }
        let work = Work::Change(path, now, changes.into());
        self.step(kind, name.as_str(), Action::Change, work).fields = fields;
        Ok(())
    }

    async fn plugin(&mut self, name: &Name, file: &std::path::Path) -> anyhow::Result<()> {
        let component = plugin::component(&self.document.folder().join(file));
        let component = component.map_err(|error| {
            self.document
                .error(&format!("plugins.{name}.file"), format!("{error:#}"))
        })?;
        let digest = Digest::of(&component).to_string();
        let there = self.plugin_there(name).await?;
        let versions = there.as_ref().map_or(&[][..], |it| {
            it["versions"].as_array().map_or(&[][..], Vec::as_slice)
        });
        let known = versions.iter().find(|version| version["digest"] == digest);
        let latest = there.as_ref().and_then(|it| it["latest_version"].as_u64());
        let of_file = match known {
            Some(version) => Version::Number(version["version"].as_u64().unwrap_or_default()),
            None => Version::New(name.clone()),
        };
        if known.is_some() {
            self.plan.unchanged += 1;
        } else {
            let action = match &there {
                Some(_) => Action::Change,
                None => Action::Create,
            };
            let step = self.step(
                Kind::Plugin,
                name.as_str(),
                action,
                Work::Upload(name.clone(), component),
            );
            step.fields.push(FieldChange {
                field: "newest version".to_owned(),
                before: latest.into(),
                after: digest.into(),
            });
        }
        let versions = Versions {
            latest,
            of_file: Some(of_file),
        };
        self.there.plugins.insert(name.clone(), versions);
        Ok(())
    }

    async fn plugin_there(&self, name: &Name) -> anyhow::Result<Option<Value>> {
        self.client.found(&named("/plugins", name)).await
    }

    /// Compares a binding with what it shall be, and gives its id if it has one.
    async fn binding(&mut self, at: usize, binding: &Binding) -> anyhow::Result<Option<String>> {
        let owner = format!("bindings[{at}]");
        let twin = self.setup.bindings[..at]
            .iter()
            .any(|it| it.plugin == binding.plugin && it.selector == binding.selector);
        if twin {
            let problem = "there is a binding of this plugin with this selector above";
            return Err(self.document.error(&owner, problem));
        }
        let version = self.version(&owner, binding).await?;
        let (selector, new_source) = self.selector(&owner, &binding.selector)?;
        let mut same = self
            .there
            .bindings
            .iter()
            .filter(|it| it["plugin"] == binding.plugin.as_str() && it["selector"] == selector);
        let found = (new_source.is_none()).then(|| same.next()).flatten();
        if found.is_some() && same.next().is_some() {
            let problem = "the server has several bindings of this plugin with this selector: delete all but one (hookswitch binding list)";
            return Err(self.document.error(&owner, problem));
        }
        let name = name(binding);
        let Some(id) = found.map(|it| text(&it["id"])) else {
            let bind = Bind {
                plugin: binding.plugin.clone(),
                version,
                selector,
                new_source,
                fields: binding.fields(),
            };
            self.step(Kind::Binding, &name, Action::Create, Work::Bind(bind));
            return Ok(None);
        };
        self.rebind(&name, &id, version, &binding.fields()).await?;
        Ok(Some(id))
    }

    async fn rebind(
        &mut self,
        name: &str,
        id: &str,
        version: Option<Version>,
        wanted: &Value,
    ) -> anyhow::Result<()> {
        let path = format!("/bindings/{id}");
        let now = self.client.read(&path).await?;
        let (changes, mut fields) = between(&now.body, wanted);
        let runs = now.body["version"].as_u64().unwrap_or_default();
        let version = version.filter(|version| *version != Version::Number(runs));
        if let Some(version) = &version {
            fields.push(FieldChange {
                field: "version".to_owned(),
                before: runs.into(),
                after: match version {
                    Version::Number(number) => (*number).into(),
                    Version::New(_) => "(the one to be uploaded)".into(),
                },
            });
        }
        if fields.is_empty() {
            self.plan.unchanged += 1;
            return Ok(());
        }
        let change = (!changes.is_empty()).then(|| (now, changes.into()));
        let rebind = Rebind {
            path,
            change,
            version,
        };
        let work = Work::Rebind(rebind);
        self.step(Kind::Binding, name, Action::Change, work).fields = fields;
        Ok(())
    }

    /// The version to run; none leaves it as it is, and is the newest at first.
    async fn version(&mut self, owner: &str, binding: &Binding) -> anyhow::Result<Option<Version>> {
        let name = &binding.plugin;
        if !self.there.plugins.contains_key(name) {
            let there = self.plugin_there(name).await?;
            let there = there.ok_or_else(|| {
                let problem = format!(
                    "there is no plugin {name}: name its file in [plugins.{name}], or upload it (hookswitch plugin push)"
                );
                self.document.error(&format!("{owner}.plugin"), problem)
            })?;
            let versions = Versions {
                latest: there["latest_version"].as_u64(),
                of_file: None,
            };
            self.there.plugins.insert(name.clone(), versions);
        }
        let versions = self.there.plugins.get(name).context("was put in above")?;
        let wrong = |problem: String| self.document.error(&format!("{owner}.version"), problem);
        match binding.version {
            Wanted::Unsaid => Ok(versions.of_file.clone()),
            Wanted::File => match &versions.of_file {
                Some(version) => Ok(Some(version.clone())),
                None => Err(wrong(format!("the file names no file of {name}"))),
            },
            Wanted::Latest => Ok(match &versions.of_file {
                Some(new @ Version::New(_)) => Some(new.clone()),
                _ => versions.latest.map(Version::Number),
            }),
            Wanted::Number(number) => {
                let latest = versions.latest.unwrap_or_default();
                if u64::from(number) > latest {
                    return Err(wrong(format!(
                        "{name} has no version {number}; its newest is {latest}"
                    )));
                }
                Ok(Some(Version::Number(number.into())))
            }
        }
    }

    /// The selector as the server shows it, and its source if that is yet to come.
    fn selector(&self, owner: &str, selector: &Selector) -> anyhow::Result<(Value, Option<Name>)> {
        let Some(given) = selector.source.as_deref() else {
            return Ok((selector.shown(None), None));
        };
        if SOURCE.is_id(given) {
            return Ok((selector.shown(Some(given)), None));
        }
        if let Some(id) = self.there.sources.get(given) {
            return Ok((selector.shown(Some(id)), None));
        }
        let new = self.setup.sources.keys().find(|it| it.as_str() == given);
        let new = new.ok_or_else(|| {
            let problem = format!("there is no source {given}, here or in the server");
            self.document
                .error(&format!("{owner}.selector.source"), problem)
        })?;
        Ok((selector.shown(None), Some(new.clone())))
    }

    /// What uses something goes before it.
    fn prune(&mut self, kept: &[Option<String>]) {
        let setup = self.setup;
        let bindings = self.there.bindings.iter().map(|binding| {
            let (plugin, id) = (text(&binding["plugin"]), text(&binding["id"]));
            (Kind::Binding, format!("{plugin} ({id})"), "/bindings", id)
        });
        let bindings = bindings.filter(|(.., id)| !kept.iter().flatten().any(|it| it == id));
        let unnamed = |there: &BTreeMap<String, String>, here: Vec<&str>| {
            let there = there
                .iter()
                .filter(move |(name, _)| !here.contains(&name.as_str()));
            let there = there.map(|(name, id)| (name.clone(), id.clone()));
            there.collect::<Vec<_>>()
        };
        let endpoints = setup.endpoints.keys().map(Name::as_str).collect();
        let endpoints = unnamed(&self.there.endpoints, endpoints).into_iter();
        let endpoints = endpoints.map(|(name, id)| (Kind::Endpoint, name, "/endpoints", id));
        let sources = setup.sources.keys().map(Name::as_str).collect();
        let sources = unnamed(&self.there.sources, sources).into_iter();
        let sources = sources.map(|(name, id)| (Kind::Source, name, "/sources", id));
        let named = |name: &&String| setup.secrets.keys().any(|it| it.as_str() == name.as_str());
        let secrets = self.there.secrets.iter().filter(|name| !named(name));
        let secrets = secrets.map(|name| (Kind::Secret, name.clone(), "/secrets", name.clone()));
        let gone: Vec<_> = bindings
            .chain(endpoints)
            .chain(sources)
            .chain(secrets)
            .collect();
        for (kind, name, list, id) in gone {
            let work = Work::Delete(format!("{list}/{id}"));
            self.step(kind, &name, Action::Delete, work);
        }
    }
}

fn set_again(field: &str) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: "(not shown)".into(),
        after: "(set again)".into(),
    }
}

/// A binding's plugin, and what sets it apart from others of it.
fn name(binding: &Binding) -> String {
    let mut selector = binding.selector.shown(None);
    selector["source"] = binding.selector.source.clone().into();
    let said = selector.as_object().into_iter().flatten();
    let said: Vec<_> = said
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| format!("{name} {}", text(value)))
        .collect();
    match said.as_slice() {
        [] => binding.plugin.to_string(),
        said => format!("{} ({})", binding.plugin, said.join(", ")),
    }
}

impl Bind {
    /// The request's body, once it is known which ids and versions there are.
    pub(super) fn body(self, source: Option<&str>, version: Option<u64>) -> Value {
        let mut selector = self.selector;
        if let Some(source) = source {
            selector["source"] = source.into();
        }
        let mut body = Map::from_iter([
            ("plugin".to_owned(), json!(self.plugin)),
            ("selector".to_owned(), selector),
        ]);
        if let Some(version) = version {
            body.insert("version".to_owned(), version.into());
        }
        if let Value::Object(fields) = self.fields {
            body.extend(fields);
        }
        body.into()
    }
}
