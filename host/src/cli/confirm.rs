//! Letting a plugin do more: whoever activates a version says so, permission by
//! permission.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, Refusal};
use super::shown::{listed, text};

#[derive(Debug, Args)]
pub(super) struct Confirm {
    /// A permission that the version may want more than the one before; may be repeated.
    #[arg(long, value_name = "PERMISSION")]
    confirm: Vec<String>,
}

impl Confirm {
    /// Activates a version. `again` is the command as it was given, for whoever has to
    /// say more.
    pub(super) async fn activate(
        &self,
        client: &Client,
        path: &str,
        version: u32,
        again: &str,
    ) -> anyhow::Result<Value> {
        let body = json!({"version": version, "confirm": self.confirm});
        let activated = client.post(path, &body).await;
        activated.map_err(|error| match unconfirmed(&error) {
            Some(difference) => anyhow::anyhow!("{}", explained(difference, again)),
            None => error,
        })
    }
}

/// What a version wants more or less, if that is why it was refused.
pub(super) fn unconfirmed(error: &anyhow::Error) -> Option<&Value> {
    let refusal: &Refusal = error.downcast_ref()?;
    let difference = &refusal.problem["difference"];
    (refusal.code() == "confirmation_required").then_some(difference)
}

fn explained(difference: &Value, again: &str) -> String {
    let mut said = "this version wants other permissions than the one before:".to_owned();
    for (field, sign) in [("added", "+"), ("removed", "-")] {
        for permission in difference[field].as_array().into_iter().flatten() {
            said.extend(["\n  ", sign, " ", &text(permission)]);
        }
    }
    let confirmed: String = difference["added"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|it| [" --confirm ".to_owned(), text(it)])
        .collect();
    format!("{said}\nto let it: {again}{confirmed}")
}

/// A difference in a line.
pub(super) fn in_a_line(difference: &Value) -> String {
    let parts = [("more", "added"), ("no more", "removed")];
    let parts = parts.map(|(said, field)| (said, listed(&difference[field])));
    let said = parts.iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<_> = said
        .map(|(said, names)| format!("{said}: {names}"))
        .collect();
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_confirm_sees_the_difference_and_the_command() {
        let difference = json!({"added": ["http", "kv"], "removed": ["random"]});
        let said = explained(&difference, "hookswitch plugin activate gate 2");
        let wanted = "this version wants other permissions than the one before:\
            \n  + http\n  + kv\n  - random\
            \nto let it: hookswitch plugin activate gate 2 --confirm http --confirm kv";
        assert_eq!(said, wanted);
        assert_eq!(in_a_line(&difference), "more: http, kv; no more: random");
    }
}
