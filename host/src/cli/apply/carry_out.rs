//! Doing what is planned, one thing after the other, up to the first that fails.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::plan::{Confidence, Rebind, Version, Work};
use crate::cli::client::{Client, Refusal};
use crate::cli::confirm::unconfirmed;
use crate::cli::plugin;
use crate::cli::shown::{listed, text};
use crate::domain::plugin::Name;

/// Does it, and remembers what comes into being, for what refers to it.
pub(super) struct CarryOut<'a> {
    client: &'a Client,
    /// Permissions that a version may want more than the one before.
    confirm: &'a [String],
    sources: BTreeMap<Name, String>,
    versions: BTreeMap<Name, u64>,
}

impl<'a> CarryOut<'a> {
    pub(super) fn new(client: &'a Client, confirm: &'a [String]) -> Self {
        Self {
            client,
            confirm,
            sources: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    /// Does one thing, and gives the server's answer.
    pub(super) async fn work(&mut self, work: Work) -> anyhow::Result<Value> {
        let client = self.client;
        match work {
            Work::SetSecret(path, Confidence(value)) => {
                client.put(&path, &json!({"value": value})).await
            }
            Work::Create(list, body) => {
                let created = client.create(list, &body).await?;
                if list == "/sources"
                    && let Ok(name) = text(&created["name"]).parse()
                {
                    self.sources.insert(name, text(&created["id"]));
                }
                Ok(created)
            }
            Work::Change(path, now, changes) => client.change(&path, &now, &changes).await,
            Work::Upload(name, component) => {
                let version = plugin::upload(client, &name, component).await?;
                let number = version["version"].as_u64();
                let number = number.context("the answer names no version")?;
                self.versions.insert(name, number);
                Ok(version)
            }
            Work::Bind(bind) => {
                let source = match &bind.new_source {
                    Some(name) => Some(self.sources.get(name).context("the source is missing")?),
                    None => None,
                };
                let version = self.number(bind.version.as_ref())?;
                let body = bind.body(source.map(String::as_str), version);
                client.create("/bindings", &body).await
            }
            Work::Rebind(rebind) => self.rebind(rebind).await,
            Work::Delete(path) => match client.delete(&path).await {
                // It went with something else, or somebody was faster.
                Err(error) if is_gone(&error) => Ok(Value::Null),
                deleted => deleted.map(|()| Value::Null),
            },
        }
    }

    fn number(&self, version: Option<&Version>) -> anyhow::Result<Option<u64>> {
        match version {
            None => Ok(None),
            Some(Version::Number(number)) => Ok(Some(*number)),
            Some(Version::New(name)) => {
                let number = self.versions.get(name);
                Ok(Some(*number.context("the version is missing")?))
            }
        }
    }

    async fn rebind(&self, rebind: Rebind) -> anyhow::Result<Value> {
        let mut answer = Value::Null;
        if let Some((now, changes)) = &rebind.change {
            answer = self.client.change(&rebind.path, now, changes).await?;
        }
        if let Some(version) = self.number(rebind.version.as_ref())? {
            let path = format!("{}/activate", rebind.path);
            answer = self.activate(&path, version).await?;
        }
        Ok(answer)
    }

    /// What a version wants more must be confirmed for the whole file; a server takes only
    /// what it asks for.
    async fn activate(&self, path: &str, version: u64) -> anyhow::Result<Value> {
        let body = json!({"version": version});
        let refused = match self.client.post(path, &body).await {
            Ok(binding) => return Ok(binding),
            Err(refused) => refused,
        };
        let Some(added) = unconfirmed(&refused).map(|it| &it["added"]) else {
            return Err(refused);
        };
        let names = added.as_array().into_iter().flatten().map(text);
        let missing: Vec<_> = names.filter(|name| !self.confirm.contains(name)).collect();
        if !missing.is_empty() {
            let options: String = missing.iter().flat_map(|it| [" --confirm ", it]).collect();
            bail!(
                "version {version} wants more than the one before: {}; to let it, apply again with{options}",
                listed(added)
            );
        }
        let body = json!({"version": version, "confirm": added});
        self.client.post(path, &body).await
    }
}

fn is_gone(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Refusal>()
        .is_some_and(Refusal::is_not_found)
}
