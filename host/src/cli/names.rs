//! Names: people know things by them, the API by ids. Either is taken.
//!
//! What is typed becomes part of a path, so only what can be an id or a name gets there.

use anyhow::bail;
use serde_json::Value;

use super::client::Client;
use super::shown::text;
use crate::domain::plugin::Name;

/// A kind of thing that has an id, and maybe a name.
#[derive(Debug)]
pub(super) struct Noun {
    /// As people call one.
    what: &'static str,
    /// What its ids begin with.
    prefix: &'static str,
    /// Where the API has them.
    path: &'static str,
    /// The fields that people know it by.
    known_by: &'static [&'static str],
}

pub(super) const SOURCE: Noun = Noun::new("source", "src_", "/sources", &["name"]);
/// A binding has no name; where it is the only one of its plugin, the plugin's will do.
pub(super) const BINDING: Noun = Noun::new("binding", "bnd_", "/bindings", &["plugin"]);
pub(super) const ENDPOINT: Noun = Noun::new("endpoint", "ep_", "/endpoints", &["name"]);
pub(super) const TOKEN: Noun = Noun::new("token", "tok_", "/tokens", &["label", "prefix"]);
pub(super) const ORGANIZATION: Noun =
    Noun::new("organization", "org_", "/organizations", &["name"]);
pub(super) const EVENT: Noun = Noun::new("event", "evt_", "/events", &[]);
pub(super) const DELIVERY: Noun = Noun::new("delivery", "dlv_", "/deliveries", &[]);
pub(super) const JOB: Noun = Noun::new("job", "job_", "/jobs", &[]);

impl Noun {
    const fn new(
        what: &'static str,
        prefix: &'static str,
        path: &'static str,
        known_by: &'static [&'static str],
    ) -> Self {
        Self {
            what,
            prefix,
            path,
            known_by,
        }
    }

    pub(super) fn is_id(&self, given: &str) -> bool {
        let digits = given.strip_prefix(self.prefix);
        digits.is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_hexdigit()))
    }

    /// The path of the one that is meant.
    pub(super) async fn path(&self, client: &Client, given: &str) -> anyhow::Result<String> {
        Ok(format!("{}/{}", self.path, self.id(client, given).await?))
    }

    /// The id of the one that is meant.
    pub(super) async fn id(&self, client: &Client, given: &str) -> anyhow::Result<String> {
        if self.is_id(given) {
            return Ok(given.to_owned());
        }
        let Self { what, prefix, .. } = self;
        if self.known_by.is_empty() {
            bail!(
                "{given:?} is no id of {}; such an id begins with {prefix}",
                self.one()
            );
        }
        let mut found = client.all(self.path).await?;
        found.retain(|item| self.known_by.iter().any(|field| item[*field] == given));
        match found.as_slice() {
            [] => bail!(
                "there is no {what} {given:?}: give its {} or its id (hookswitch {what} list)",
                self.known_by[0]
            ),
            [one] => Ok(text(&one["id"])),
            many => {
                let ids: Vec<_> = many.iter().map(|it| text(&it["id"])).collect();
                bail!("which {what}? {given:?} may mean {}", ids.join(", "))
            }
        }
    }

    /// The ids and names of all there are.
    pub(super) async fn names(&self, client: &Client) -> anyhow::Result<Names> {
        let all = client.all(self.path).await?;
        let named = |it: &Value| (text(&it["id"]), text(&it["name"]));
        Ok(Names(all.iter().map(named).collect()))
    }

    fn one(&self) -> String {
        let vowel = self.what.starts_with(['a', 'e', 'i', 'o', 'u']);
        format!("{} {}", if vowel { "an" } else { "a" }, self.what)
    }
}

/// Which id has which name.
#[derive(Debug)]
pub(super) struct Names(Vec<(String, String)>);

impl Names {
    /// The name; what was deleted has none any more, and is shown by its id.
    pub(super) fn of(&self, id: &Value) -> String {
        let id = text(id);
        let named = self.0.iter().find(|(known, _)| *known == id);
        named.map_or(id, |(_, name)| name.clone())
    }
}

/// A plugin's or a secret's path: the API, too, knows these by their names.
pub(super) fn named(path: &str, name: &Name) -> String {
    format!("{path}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_go_into_paths() {
        assert!(DELIVERY.is_id("dlv_0192"));
        for bad in ["", "dlv_", "evt_0192", "dlv_../../secrets", "dlv_01?x=1"] {
            assert!(!DELIVERY.is_id(bad), "{bad}");
        }
    }
}
