//! The plugins' key-value spaces. The rules are the domain's
//! ([`Operation::apply`]); here they meet the tables.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::writer::Terms;
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
        let terms = Terms::from(self.answers).of_bytes(operation.size()).apart();
        self.writer
            .change(terms, move |connection| {
                Box::pin(apply(connection, space, key, operation, quota, now))
            })
            .await
    }

    /// Removes entries that have expired; gives how many.
    pub async fn sweep_kv(&self, now: Timestamp) -> Result<u64, StoreError> {
        let now = now.as_millisecond();
        self.writer
            .change(
                Terms::from(Durability::Process).apart(),
                move |connection| Box::pin(sweep(connection, now)),
            )
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

/// An entry without its value, and its size: a large value is pages that would be
/// read, and copied, while everybody waits for the writer.
async fn measure(
    connection: &mut SqliteConnection,
    space: Space,
    key: &str,
) -> Result<Option<(Entry, i64)>, StoreError> {
    let row: Option<(i64, Option<i64>)> = sqlx::query_as(
        "SELECT length(CAST(key AS BLOB)) + length(value), expires_at FROM kv_entry \
         WHERE organization_id = ?1 AND plugin_id = ?2 AND key = ?3",
    )
    .bind(space.organization.uuid())
    .bind(space.plugin.uuid())
    .bind(key)
    .fetch_optional(connection)
    .await?;
    let entry = |expires_at| Entry {
        value: Vec::new(),
        expires_at,
    };
    Ok(row.map(|(size, expires_at)| (entry(expires_at), size)))
}

fn size(key: &str, entry: &Entry) -> i64 {
    i64::try_from(key.len() + entry.value.len()).unwrap_or(i64::MAX)
}

async fn apply(
    connection: &mut SqliteConnection,
    space: Space,
    key: String,
    operation: Operation,
    quota: Quota,
    now: i64,
) -> Result<Result<Outcome, Fault>, StoreError> {
    let (stored, held) = if operation.looks_at_the_value() {
        let stored = read(connection, space, &key).await?;
        let held = stored.as_ref().map(|entry| size(&key, entry));
        (stored, held)
    } else {
        measure(connection, space, &key).await?.unzip()
    };
    let current = live(stored, now);
    let (change, outcome) = match operation.apply(current.as_ref(), now) {
        Ok(next) => next,
        Err(fault) => return Ok(Err(fault)),
    };
    match change {
        Change::Keep => {}
        Change::Put(entry) => {
            let entries = i64::from(held.is_none());
            let bytes = size(&key, &entry) - held.unwrap_or(0);
            if !account(connection, space, entries, bytes, quota).await? {
                return Ok(Err(Fault::QuotaExceeded(quota)));
            }
            put(connection, space, &key, &entry).await?;
        }
        Change::Remove => {
            account(connection, space, -1, -held.unwrap_or(0), quota).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeySource, OpenStore};

    fn space(n: u128) -> Space {
        Space {
            organization: Uuid::from_u128(1).into(),
            plugin: Uuid::from_u128(n).into(),
        }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    fn set(value: &str, ttl_ms: Option<u64>) -> Operation {
        Operation::Set {
            value: value.into(),
            ttl_ms,
        }
    }

    async fn open() -> (tempfile::TempDir, OpenStore) {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        (folder, open)
    }

    async fn apply(
        store: &Store,
        space: Space,
        key: &str,
        operation: Operation,
        now: i64,
    ) -> Result<Outcome, Fault> {
        let quota = Quota {
            entries: 3,
            bytes: 20,
        };
        store
            .kv(space, key.to_owned(), operation, quota, at(now))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn spaces_do_not_see_each_other() {
        let (_folder, open) = open().await;
        let store = &open.store;
        apply(store, space(1), "k", set("one", None), 0)
            .await
            .unwrap();
        let there = apply(store, space(1), "k", Operation::Get, 0).await;
        assert_eq!(there, Ok(Outcome::Value(Some(b"one".to_vec()))));
        let elsewhere = apply(store, space(2), "k", Operation::Get, 0).await;
        assert_eq!(elsewhere, Ok(Outcome::Value(None)));
    }

    #[tokio::test]
    async fn an_expired_entry_is_gone_before_and_after_it_is_swept() {
        let (_folder, open) = open().await;
        let store = &open.store;
        apply(store, space(1), "k", set("v", Some(100)), 1_000)
            .await
            .unwrap();
        let live = apply(store, space(1), "k", Operation::Get, 1_099).await;
        assert_eq!(live, Ok(Outcome::Value(Some(b"v".to_vec()))));
        for swept in [1, 0] {
            let gone = apply(store, space(1), "k", Operation::Get, 1_100).await;
            assert_eq!(gone, Ok(Outcome::Value(None)));
            assert_eq!(store.sweep_kv(at(1_100)).await.unwrap(), swept);
        }
    }

    #[tokio::test]
    async fn a_full_space_takes_no_more_and_what_leaves_makes_room() {
        let (_folder, open) = open().await;
        let store = &open.store;
        let full = Err(Fault::QuotaExceeded(Quota {
            entries: 3,
            bytes: 20,
        }));
        for key in ["a", "b", "c"] {
            apply(store, space(1), key, set("1234", Some(50)), 0)
                .await
                .unwrap();
        }
        assert_eq!(
            apply(store, space(1), "d", set("", None), 0).await,
            full,
            "entries"
        );
        assert_eq!(
            apply(store, space(1), "a", set("1234567890", None), 0).await,
            full,
            "bytes"
        );
        apply(store, space(1), "a", set("", Some(50)), 0)
            .await
            .unwrap();
        apply(store, space(1), "b", Operation::Delete, 0)
            .await
            .unwrap();
        apply(store, space(1), "d", set("1234", None), 0)
            .await
            .unwrap();
        assert_eq!(
            apply(store, space(1), "e", set("", None), 0).await,
            full,
            "entries again"
        );
        // Expired entries count until they are swept: "a" and "c".
        assert_eq!(store.sweep_kv(at(50)).await.unwrap(), 2);
        apply(store, space(1), "e", set("1234", None), 50)
            .await
            .unwrap();
        apply(store, space(2), "a", set("1234", None), 50)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn increments_from_many_sides_sum_exactly() {
        let (_folder, open) = open().await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let store = open.store.clone();
            tasks.spawn(async move {
                let increment = Operation::Increment {
                    delta: 1,
                    ttl_ms: None,
                };
                apply(&store, space(1), "n", increment, 0).await.unwrap()
            });
        }
        let mut sums: Vec<i64> = tasks
            .join_all()
            .await
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Sum(sum) => sum,
                other => panic!("{other:?}"),
            })
            .collect();
        sums.sort_unstable();
        assert_eq!(sums, (1..=200).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn entries_outlive_the_process() {
        let (folder, open) = open().await;
        apply(&open.store, space(1), "k", set("v", None), 0)
            .await
            .unwrap();
        open.close().await;
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        let kept = apply(&open.store, space(1), "k", Operation::Get, 0).await;
        assert_eq!(kept, Ok(Outcome::Value(Some(b"v".to_vec()))));
    }
}
