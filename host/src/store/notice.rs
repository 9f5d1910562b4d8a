//! Pending notices: claimed by the worker under a lease, gone when handled.

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use super::journal::EventRecord;
use super::row;
use super::{Durability, Store, StoreError};
use crate::domain::event::Kind;

/// A notice a worker has claimed.
#[derive(Debug, Clone)]
pub struct ClaimedNotice {
    pub event: EventRecord,
    /// How often it was claimed before.
    pub attempts: u32,
}

/// In the order of age. It reads past what is leased, of which there is never much:
/// the table holds only what is pending.
const CLAIM_NOTICES: &str = "UPDATE pending_notice SET leased_until = ?1, attempts = attempts + 1 \
    WHERE event_id IN (SELECT event_id FROM pending_notice \
    WHERE leased_until <= ?2 ORDER BY event_id LIMIT ?3) RETURNING event_id";

const READ_NOTICES: &str = "SELECT event.organization_id, event.id, source_id, kind, \
    platform_type, call_id, agent_id, tool, received_at, fingerprint, identified, body, attempts \
    FROM pending_notice \
    JOIN event ON event.organization_id = pending_notice.organization_id \
    AND event.id = pending_notice.event_id \
    JOIN payload ON payload.event_id = pending_notice.event_id \
    WHERE pending_notice.event_id IN (SELECT unhex(value) FROM json_each(?1)) \
    ORDER BY pending_notice.event_id";

#[derive(FromRow)]
struct NoticeRow {
    organization_id: Uuid,
    id: Uuid,
    source_id: Uuid,
    kind: String,
    platform_type: String,
    call_id: String,
    agent_id: String,
    tool: Option<String>,
    received_at: i64,
    fingerprint: Option<Vec<u8>>,
    identified: bool,
    body: String,
    attempts: u32,
}

impl Store {
    /// Claims pending notices, oldest first, until the lease ends: nobody else gets
    /// them before. A worker that dies loses nothing, its notices come up again.
    pub async fn claim_notices(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        limit: u16,
    ) -> Result<Vec<ClaimedNotice>, StoreError> {
        let (now, until) = (now.as_millisecond(), leased_until.as_millisecond());
        let claimed: Vec<Uuid> = self
            .writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    let ids: Vec<(Uuid,)> = sqlx::query_as(CLAIM_NOTICES)
                        .bind(until)
                        .bind(now)
                        .bind(limit)
                        .fetch_all(connection)
                        .await?;
                    Ok(ids.into_iter().map(|(id,)| id).collect())
                })
            })
            .await?;
        self.notices(&claimed).await
    }

    async fn notices(&self, ids: &[Uuid]) -> Result<Vec<ClaimedNotice>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let rows: Vec<NoticeRow> = sqlx::query_as(READ_NOTICES)
            .bind(row::written(&ids)?)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(NoticeRow::read).collect()
    }

    /// Ends all leases. Right only at start, when no worker can hold one: the data
    /// folder has one server at a time.
    pub async fn release_notices(&self) -> Result<(), StoreError> {
        self.writer
            .change(Durability::Process, |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE pending_notice SET leased_until = 0 WHERE leased_until > 0",
                    )
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}

impl NoticeRow {
    fn read(self) -> Result<ClaimedNotice, StoreError> {
        let event = EventRecord {
            organization: self.organization_id.into(),
            id: self.id.into(),
            source: row::source(self.source_id),
            kind: Kind::parse(&self.kind).map_err(|e| StoreError::corrupt("event.kind", e))?,
            platform_type: self.platform_type,
            call_id: self.call_id,
            agent_id: self.agent_id,
            tool: self.tool,
            received_at: row::timestamp(self.received_at, "event.received_at")?,
            fingerprint: self
                .fingerprint
                .map(|digest| row::fingerprint(&digest, self.identified))
                .transpose()?,
            payload: self.body.into(),
        };
        Ok(ClaimedNotice {
            event,
            attempts: self.attempts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::plan;
    use crate::store::{KeySource, OpenStore};

    #[tokio::test]
    async fn claiming_reads_only_what_is_pending() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        for statement in [CLAIM_NOTICES, READ_NOTICES] {
            let plan = plan(&open.store, statement).await;
            for table in ["SCAN event", "SCAN payload"] {
                assert!(!plan.contains(table), "{plan}");
            }
        }
    }

    fn event(n: u128) -> EventRecord {
        EventRecord {
            organization: Uuid::from_u128(1).into(),
            id: Uuid::from_u128(n).into(),
            source: Some(Uuid::from_u128(2).into()),
            kind: Kind::COMPLETED,
            platform_type: "CompletedWebHookPayload".to_owned(),
            call_id: format!("call_{n}"),
            agent_id: "agent".to_owned(),
            tool: None,
            received_at: Timestamp::from_millisecond(1).unwrap(),
            fingerprint: None,
            payload: format!("{{\"n\":{n},\"text\":\"\\u0000 ü \\\"\"}}").into(),
        }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[tokio::test]
    async fn a_leased_notice_comes_up_again_only_after_its_lease() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        let store = &open.store;
        for n in [3, 1, 2] {
            store.accept(&event(n)).await.unwrap();
        }
        let claim = async |now, until, limit| {
            let claimed = store
                .claim_notices(at(now), at(until), limit)
                .await
                .unwrap();
            let seen = |notice: ClaimedNotice| (notice.event.id.uuid().as_u128(), notice.attempts);
            claimed.into_iter().map(seen).collect::<Vec<_>>()
        };
        assert_eq!(claim(10, 20, 2).await, [(1, 1), (2, 1)]);
        assert_eq!(claim(10, 30, 9).await, [(3, 1)]);
        assert_eq!(claim(19, 30, 9).await, []);
        assert_eq!(claim(20, 30, 9).await, [(1, 2), (2, 2)]);
        store.release_notices().await.unwrap();
        assert_eq!(claim(20, 30, 9).await.len(), 3);
    }

    #[tokio::test]
    async fn a_claimed_notice_is_what_was_accepted_small_or_large() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        let small = event(1);
        let large = EventRecord {
            payload: format!("{{\"text\":\"{}\"}}", "ü".repeat(1 << 20)).into(),
            ..event(2)
        };
        for sent in [&small, &large] {
            open.store.accept(sent).await.unwrap();
        }
        let claimed = open.store.claim_notices(at(0), at(1), 9).await.unwrap();
        for (sent, kept) in [small, large].iter().zip(claimed) {
            assert_eq!(kept.event.payload, sent.payload);
            assert_eq!(kept.event.call_id, sent.call_id);
            assert_eq!(kept.event.kind, sent.kind);
        }
    }
}
