//! The plugins' key-value spaces. The rules are the domain's
//! ([`Operation::apply`]); here they meet the tables.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::{Durability, Store, StoreError};
use crate::domain::kv::{Change, Entry, Fault, Operation, Outcome, Quota, Space};

impl Store {
    /// Runs one operation. It has taken effect, as durable as a decision, when this
    /// returns.
    pub async fn kv(
        &self,
        space: Space,
        key: String,
        operation: Operation,
        quota: Quota,
        now: Timestamp,
    ) -> Result<Result<Outcome, Fault>, StoreError> {
        let now = now.as_millisecond();
        if operation == Operation::Get {
            let entry = {
                let mut reader = self.readers.acquire().await?;
                live(read(&mut reader, space, &key).await?, now)
            };
            return Ok(operation
                .apply(entry.as_ref(), now)
                .map(|(_, outcome)| outcome));
        }
        self.writer
            .change(self.answers, move |connection| {
                Box::pin(apply(connection, space, key, operation, quota, now))
            })
            .await
    }

    /// Removes entries that have expired; gives how many.
    pub async fn sweep_kv(&self, now: Timestamp) -> Result<u64, StoreError> {
        let now = now.as_millisecond();
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(sweep(connection, now))
            })
            .await
    }
}

fn live(entry: Option<Entry>, now: i64) -> Option<Entry> {
    entry.filter(|entry| entry.expires_at.is_none_or(|at| at > now))
}

async fn read(
    connection: &mut SqliteConnection,
    space: Space,
    key: &str,
) -> Result<Option<Entry>, StoreError> {
    let row: Option<(Vec<u8>, Option<i64>)> = sqlx::query_as(
        "SELECT value, expires_at FROM kv_entry \
         WHERE organization_id = ?1 AND plugin_id = ?2 AND key = ?3",
    )
    .bind(space.organization.uuid())
    .bind(space.plugin.uuid())
    .bind(key)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(value, expires_at)| Entry { value, expires_at }))
}

async fn apply(
    connection: &mut SqliteConnection,
    space: Space,
    key: String,
    operation: Operation,
    quota: Quota,
    now: i64,
) -> Result<Result<Outcome, Fault>, StoreError> {
    let stored = read(connection, space, &key).await?;
    let current = live(stored.clone(), now);
    let (change, outcome) = match operation.apply(current.as_ref(), now) {
        Ok(next) => next,
        Err(fault) => return Ok(Err(fault)),
    };
    let size = |entry: &Entry| i64::try_from(key.len() + entry.value.len()).unwrap_or(i64::MAX);
    let held = stored.as_ref().map_or(0, size);
    match change {
        Change::Keep => {}
        Change::Put(entry) => {
            let entries = i64::from(stored.is_none());
            let bytes = size(&entry) - held;
            if !account(connection, space, entries, bytes, quota).await? {
                return Ok(Err(Fault::QuotaExceeded(quota)));
            }
            put(connection, space, &key, &entry).await?;
        }
        Change::Remove => {
            account(connection, space, -1, -held, quota).await?;
            remove(connection, space, &key).await?;
        }
    }
    Ok(Ok(outcome))
}

async fn put(
    connection: &mut SqliteConnection,
    space: Space,
    key: &str,
    entry: &Entry,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO kv_entry (organization_id, plugin_id, key, value, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (organization_id, plugin_id, key) \
         DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
    )
    .bind(space.organization.uuid())
    .bind(space.plugin.uuid())
    .bind(key)
    .bind(&entry.value)
    .bind(entry.expires_at)
    .execute(connection)
    .await?;
    Ok(())
}

async fn remove(
    connection: &mut SqliteConnection,
    space: Space,
    key: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM kv_entry WHERE organization_id = ?1 AND plugin_id = ?2 AND key = ?3")
        .bind(space.organization.uuid())
        .bind(space.plugin.uuid())
        .bind(key)
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds to what a space holds; false, and nothing added, if that would be growth
/// past its quota.
async fn account(
    connection: &mut SqliteConnection,
    space: Space,
    entries: i64,
    bytes: i64,
    quota: Quota,
) -> Result<bool, StoreError> {
    if entries == 0 && bytes == 0 {
        return Ok(true);
    }
    let limit = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let updated = sqlx::query(
        "INSERT INTO kv_usage (organization_id, plugin_id, entries, bytes) \
         SELECT ?1, ?2, ?3, ?4 WHERE ?3 <= ?5 AND ?4 <= ?6 \
         ON CONFLICT (organization_id, plugin_id) DO UPDATE \
         SET entries = entries + ?3, bytes = bytes + ?4 \
         WHERE (?3 <= 0 OR entries + ?3 <= ?5) AND (?4 <= 0 OR bytes + ?4 <= ?6)",
    )
    .bind(space.organization.uuid())
    .bind(space.plugin.uuid())
    .bind(entries)
    .bind(bytes)
    .bind(limit(quota.entries))
    .bind(limit(quota.bytes))
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Expired entries in one go, so that no commit waits long.
const SWEEP: i64 = 1_000;

async fn sweep(connection: &mut SqliteConnection, now: i64) -> Result<u64, StoreError> {
    let expired: Vec<(Uuid, Uuid, i64)> = sqlx::query_as(
        "DELETE FROM kv_entry WHERE (organization_id, plugin_id, key) IN \
         (SELECT organization_id, plugin_id, key FROM kv_entry \
         WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2) \
         RETURNING organization_id, plugin_id, length(CAST(key AS BLOB)) + length(value)",
    )
    .bind(now)
    .bind(SWEEP)
    .fetch_all(&mut *connection)
    .await?;
    let swept = expired.len() as u64;
    for (organization, plugin, bytes) in expired {
        let space = Space {
            organization: organization.into(),
            plugin: plugin.into(),
        };
        account(connection, space, -1, -bytes, Quota::default()).await?;
    }
    Ok(swept)
}
