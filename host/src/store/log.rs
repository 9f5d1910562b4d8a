//! What a plugin has logged, across the events it was asked about.
//!
//! The lines of one event are read with it (`event`).

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError, row};
use crate::domain::id::{BindingId, EventId, OrganizationId};
use crate::domain::log::LogLine;
use crate::domain::plugin::Name;

/// A line, and where it was said.
#[derive(Debug, Clone)]
pub struct PluginLine {
    pub at: LineAt,
    pub binding: BindingId,
    pub kind: String,
    pub call_id: String,
    pub received_at: Timestamp,
    pub line: LogLine,
}

/// A line's place among all: that of its event, then its own within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineAt {
    pub event: EventId,
    pub number: u32,
}

#[derive(FromRow)]
struct LineRow {
    event_id: Uuid,
    number: u32,
    binding_id: Uuid,
    level: String,
    message: String,
    kind: String,
    call_id: String,
    received_at: i64,
}

impl LineRow {
    fn read(self) -> Result<PluginLine, StoreError> {
        let level = serde_json::from_value(self.level.into())
            .map_err(|e| StoreError::corrupt("log_line.level", e))?;
        Ok(PluginLine {
            at: LineAt {
                event: self.event_id.into(),
                number: self.number,
            },
            binding: self.binding_id.into(),
            kind: self.kind,
            call_id: self.call_id,
            received_at: row::timestamp(self.received_at, "event.received_at")?,
            line: LogLine {
                level,
                message: self.message,
            },
        })
    }
}

/// Of one binding; each is walked alone, so that none is sorted.
const LINES: &str = "SELECT event_id, number, binding_id, level, \
    substr(message, 1, ?6) AS message, kind, call_id, received_at \
    FROM log_line INDEXED BY log_line_by_binding \
    CROSS JOIN event ON organization_id = ?1 AND id = event_id \
    WHERE binding_id = ?2 AND (event_id, number) < (?3, ?4) \
    ORDER BY event_id DESC, number DESC LIMIT ?5";

impl Store {
    /// Longest beginning of a line that a list shows, in characters.
    pub const LINE_SHOWN: u32 = 4096;

    /// The newest lines that the plugin's bindings have logged before a place, and whether
    /// there are more. What a deleted binding said is only with its events.
    pub async fn plugin_log(
        &self,
        organization: OrganizationId,
        plugin: &Name,
        before: Option<LineAt>,
        limit: u16,
    ) -> Result<(Vec<PluginLine>, bool), StoreError> {
        let (event, number) =
            before.map_or((Uuid::max(), u32::MAX), |at| (at.event.uuid(), at.number));
        let mut lines = Vec::new();
        for binding in self.ids_of_bindings(organization, plugin).await? {
            let rows: Vec<LineRow> = sqlx::query_as(LINES)
                .bind(organization.uuid())
                .bind(binding)
                .bind(event)
                .bind(number)
                .bind(i64::from(limit) + 1)
                .bind(Self::LINE_SHOWN)
                .fetch_all(self.journal_readers().await?)
                .await?;
            lines.extend(rows);
            // Of all there are, no more are held than are wanted.
            lines.sort_by_key(|row: &LineRow| std::cmp::Reverse((row.event_id, row.number)));
            lines.truncate(usize::from(limit) + 1);
        }
        let more = lines.len() > usize::from(limit);
        lines.truncate(limit.into());
        let lines = lines.into_iter().map(LineRow::read);
        Ok((lines.collect::<Result<_, _>>()?, more))
    }

    async fn ids_of_bindings(
        &self,
        organization: OrganizationId,
        plugin: &Name,
    ) -> Result<Vec<Uuid>, StoreError> {
        let ids: Vec<(Uuid,)> = sqlx::query_as(
            "SELECT binding.id FROM binding JOIN plugin ON plugin.id = binding.plugin_id \
             WHERE binding.organization_id = ?1 AND plugin.organization_id = ?1 \
             AND plugin.name = ?2 ORDER BY binding.id LIMIT 1000",
        )
        .bind(organization.uuid())
        .bind(plugin.as_str())
        .fetch_all(self.journal_readers().await?)
        .await?;
        Ok(ids.into_iter().map(|(id,)| id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::plan;
    use crate::store::{Durability, OpenStore};

    #[tokio::test]
    async fn a_log_walks_an_index_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(
            folder.path(),
            Durability::Process,
            &crate::store::KeySource::DataFolder,
        );
        let plan = plan(&open.await.unwrap().store, LINES).await;
        assert!(
            plan.contains("log_line_by_binding (binding_id=? AND (event_id,number)<(?,?))"),
            "{plan}"
        );
        assert!(plan.contains("SEARCH event USING PRIMARY KEY"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}
