//! Which part of a list is wanted.

use clap::Args;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::client::Client;
use super::shown::Output;

/// What every list takes.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub(super) paging: Paging,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Paging {
    /// How many, 1 to 200.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Where the list goes on: the next_cursor of the one before.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// The whole list, however long.
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    all: bool,
}

impl Paging {
    /// A page of a list, or all of it in the form of a page. Absent filters match all.
    pub(super) async fn page(
        &self,
        client: &Client,
        list: &str,
        filters: &[(&str, Option<String>)],
    ) -> anyhow::Result<Value> {
        let mut query = Serializer::new(String::new());
        for (name, value) in filters {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        if self.all {
            let query = query.finish();
            let joint = if query.is_empty() { "" } else { "?" };
            let data = client.all(&format!("{list}{joint}{query}")).await?;
            return Ok(json!({"data": data, "next_cursor": null}));
        }
        query.append_pair("limit", &self.limit.to_string());
        if let Some(cursor) = &self.cursor {
            query.append_pair("cursor", cursor);
        }
        client.get(&format!("{list}?{}", query.finish())).await
    }
}
