//! The queue of what is owed.
//!
//! A delivery is claimed under a lease, by one worker at a time, and is owed until
//! that worker says what came of it (`journal::Settlement`). A worker that dies says
//! nothing; its leases end, and its deliveries come up again. So every delivery is
//! made **at least once**: an endpoint that answered just before the process died
//! sees the same `webhook-id` again.

use bytes::Bytes;
use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EndpointId, EventId, OrganizationId};
use crate::store::{Durability, Store, StoreError, row};

/// A delivery that a worker has claimed.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub id: DeliveryId,
    pub event: EventId,
    pub kind: Kind,
    /// Attempts made before.
    pub made: u32,
    /// Of these, those that do not count for the schedule.
    pub forgiven: u32,
    pub body: ClaimedBody,
    /// Whether that is something else than the event's payload.
    pub own_body: bool,
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub enum ClaimedBody {
    Here(Bytes),
    /// So large that it is read when its turn comes ([`Store::delivery_body`]).
    Stored {
        bytes: u64,
    },
}

/// Which deliveries a worker wants.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub organization: OrganizationId,
    pub endpoint: EndpointId,
    /// Only the oldest of each call, and that only if no older event of the call waits
    /// for its handler.
    pub in_order: bool,
    pub now: Timestamp,
    pub leased_until: Timestamp,
    pub limit: u16,
}

/// Bodies from this size on are not read with the claim, in bytes.
const LARGE: u32 = 64 << 10;

pub(super) const CLAIM: &str = "UPDATE delivery SET leased_until = ?1 WHERE organization_id = ?2 AND id IN \
    (SELECT id FROM delivery INDEXED BY delivery_due WHERE endpoint_id = ?3 AND state = 'owed' \
    AND due_at <= ?4 AND leased_until <= ?4 ORDER BY due_at LIMIT ?5) RETURNING id";

pub(super) const CLAIM_IN_ORDER: &str = "UPDATE delivery SET leased_until = ?1 \
    WHERE organization_id = ?2 AND id IN \
    (SELECT id FROM delivery AS owed INDEXED BY delivery_due WHERE endpoint_id = ?3 \
    AND state = 'owed' AND due_at <= ?4 AND leased_until <= ?4 \
    AND (call_id = '' OR (NOT EXISTS (SELECT 1 FROM delivery AS older \
    INDEXED BY delivery_in_order WHERE older.endpoint_id = ?3 AND older.state = 'owed' \
    AND older.call_id = owed.call_id AND older.event_id < owed.event_id) \
    AND NOT EXISTS (SELECT 1 FROM event JOIN pending_notice ON pending_notice.event_id = event.id \
    WHERE event.organization_id = ?2 AND event.call_id = owed.call_id AND event.call_id <> '' \
    AND event.id < owed.event_id))) \
    ORDER BY due_at LIMIT ?5) RETURNING id";

pub(super) const READ_CLAIMED: &str = "SELECT id, event_id, kind, attempts, forgiven, bytes, \
    EXISTS (SELECT 1 FROM delivery_body WHERE delivery_id = delivery.id) AS own_body, \
    CASE WHEN bytes < ?3 THEN coalesce( \
    (SELECT body FROM delivery_body WHERE delivery_id = delivery.id), \
    (SELECT body FROM payload WHERE event_id = delivery.event_id)) END AS body \
    FROM delivery WHERE organization_id = ?2 \
    AND id IN (SELECT unhex(value) FROM json_each(?1)) ORDER BY id";

const READ_BODY: &str = "SELECT coalesce( \
    (SELECT body FROM delivery_body WHERE delivery_id = ?1), \
    (SELECT body FROM payload WHERE event_id = ?2))";

/// When the next attempt of an endpoint may begin, leases aside.
pub(super) const NEXT_DUE: &str = "SELECT due_at FROM delivery INDEXED BY delivery_due \
    WHERE endpoint_id = ?1 AND state = 'owed' AND leased_until <= ?2 ORDER BY due_at LIMIT 1";

/// The same where only the oldest of each call may go. Whether an older event of the
/// call still waits for its handler is not looked at.
pub(super) const NEXT_DUE_IN_ORDER: &str = "SELECT due_at FROM delivery AS owed INDEXED BY delivery_due \
    WHERE endpoint_id = ?1 AND state = 'owed' AND leased_until <= ?2 \
    AND (call_id = '' OR NOT EXISTS (SELECT 1 FROM delivery AS older \
    INDEXED BY delivery_in_order WHERE older.endpoint_id = ?1 AND older.state = 'owed' \
    AND older.call_id = owed.call_id AND older.event_id < owed.event_id)) \
    ORDER BY due_at LIMIT 1";

pub(super) const WITH_WORK: &str = "SELECT organization_id, id FROM endpoint WHERE disabled_why IS NULL AND EXISTS \
    (SELECT 1 FROM delivery INDEXED BY delivery_due WHERE endpoint_id = endpoint.id \
    AND state = 'owed' AND due_at <= ?1 AND leased_until <= ?1)";

pub(super) const RELEASE: &str = "UPDATE delivery INDEXED BY delivery_due \
    SET leased_until = 0, due_at = min(due_at, iif(attempts = 0, ?1, ?2)) \
    WHERE state = 'owed' AND (leased_until > 0 OR due_at > ?1)";

#[derive(FromRow)]
struct ClaimedRow {
    id: Uuid,
    event_id: Uuid,
    kind: String,
    attempts: u32,
    forgiven: u32,
    bytes: i64,
    own_body: bool,
    body: Option<String>,
}

impl ClaimedRow {
    fn read(self) -> Result<Claimed, StoreError> {
        Ok(Claimed {
            id: self.id.into(),
            event: self.event_id.into(),
            kind: Kind::parse(&self.kind).map_err(|e| StoreError::corrupt("delivery.kind", e))?,
            made: self.attempts,
            forgiven: self.forgiven,
            own_body: self.own_body,
            body: match self.body {
                Some(body) => ClaimedBody::Here(body.into()),
                None => ClaimedBody::Stored {
                    bytes: self.bytes.unsigned_abs(),
                },
            },
        })
    }
}

impl Store {
    /// Claims what is due for one endpoint, oldest first, until the lease ends: nobody
    /// else gets it before.
    pub async fn claim_deliveries(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let statement = if claim.in_order {
            CLAIM_IN_ORDER
        } else {
            CLAIM
        };
        let claimed: Vec<Uuid> = self
            .writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    let ids: Vec<(Uuid,)> = sqlx::query_as(statement)
                        .bind(claim.leased_until.as_millisecond())
                        .bind(claim.organization.uuid())
                        .bind(claim.endpoint.uuid())
                        .bind(claim.now.as_millisecond())
                        .bind(claim.limit)
                        .fetch_all(connection)
                        .await?;
                    Ok(ids.into_iter().map(|(id,)| id).collect())
                })
            })
            .await?;
        self.claimed(claim.organization, &claimed).await
    }

    async fn claimed(
        &self,
        organization: OrganizationId,
        ids: &[Uuid],
    ) -> Result<Vec<Claimed>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
        let rows: Vec<ClaimedRow> = sqlx::query_as(READ_CLAIMED)
            .bind(row::written(&ids)?)
            .bind(organization.uuid())
            .bind(LARGE)
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(ClaimedRow::read).collect()
    }

    /// What a delivery sends.
    pub async fn delivery_body(
        &self,
        delivery: DeliveryId,
        event: EventId,
    ) -> Result<Bytes, StoreError> {
        let (body,): (Option<String>,) = sqlx::query_as(READ_BODY)
            .bind(delivery.uuid())
            .bind(event.uuid())
            .fetch_one(&self.readers)
            .await?;
        let body = body.ok_or_else(|| StoreError::corrupt("payload", "it is missing"))?;
        Ok(body.into())
    }

    /// What arrived with an event; none if there is no such event.
    pub async fn payload(&self, event: EventId) -> Result<Option<Bytes>, StoreError> {
        let body: Option<(String,)> =
            sqlx::query_as("SELECT body FROM payload WHERE event_id = ?1")
                .bind(event.uuid())
                .fetch_optional(self.journal_readers().await?)
                .await?;
        Ok(body.map(|(body,)| body.into()))
    }

    /// Gives claimed deliveries back, no attempt having been made.
    pub async fn release_claims(
        &self,
        organization: OrganizationId,
        deliveries: Vec<DeliveryId>,
    ) -> Result<(), StoreError> {
        let ids: Vec<String> = deliveries
            .iter()
            .map(|id| id.uuid().simple().to_string())
            .collect();
        let ids = row::written(&ids)?;
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "UPDATE delivery SET leased_until = 0 WHERE organization_id = ?1 \
                         AND state = 'owed' AND id IN (SELECT unhex(value) FROM json_each(?2))",
                    )
                    .bind(organization.uuid())
                    .bind(ids)
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .await
    }

    /// When the next attempt of an endpoint may begin; none if nothing is owed to it
    /// that is not being attempted.
    pub async fn next_due(
        &self,
        endpoint: EndpointId,
        in_order: bool,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let statement = if in_order {
            NEXT_DUE_IN_ORDER
        } else {
            NEXT_DUE
        };
        let due: Option<(i64,)> = sqlx::query_as(statement)
            .bind(endpoint.uuid())
            .bind(now.as_millisecond())
            .fetch_optional(self.journal_readers().await?)
            .await?;
        due.map(|(due,)| row::timestamp(due, "delivery.due_at"))
            .transpose()
    }

    /// Endpoints to which something may be sent by then.
    pub async fn endpoints_with_work(
        &self,
        by: Timestamp,
    ) -> Result<Vec<(OrganizationId, EndpointId)>, StoreError> {
        let ids: Vec<(Uuid, Uuid)> = sqlx::query_as(WITH_WORK)
            .bind(by.as_millisecond())
            .fetch_all(self.journal_readers().await?)
            .await?;
        let ids = ids.into_iter();
        Ok(ids.map(|(owner, id)| (owner.into(), id.into())).collect())
    }

    /// Ends all leases; right only at start, when no worker can hold one: the data
    /// folder has one server at a time. First attempts are due by `now` afterwards and
    /// others by `latest`: a clock that was wrong and is set right again must not keep
    /// deliveries waiting for years.
    pub async fn release_deliveries(
        &self,
        now: Timestamp,
        latest: Timestamp,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::Process, move |connection| {
                Box::pin(async move {
                    sqlx::query(RELEASE)
                        .bind(now.as_millisecond())
                        .bind(latest.as_millisecond())
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}
