//! Pruning: the oldest events of an organization that has more than it may keep.
//!
//! An event goes with all that is known of it: payload, decision, log, deliveries and
//! their attempts. It stays while something is still to be done about it (its handler or
//! its plugin is to run, something is owed) and while a repetition would ask for it
//! ([`super::repeat`]). What is to go is looked for with a reader; the writer, who is
//! everybody's, only gets short lists, and looks once more at what may have changed since.
//!
//! [`crate::pruning`] decides when.

use jiff::{SignedDuration, Timestamp};
use sqlx::{Connection as _, FromRow};
use uuid::Uuid;

use super::repeat::LONGEST_ANSWER;
use super::writer::Terms;
use super::{Durability, Store, StoreError, row};
use crate::domain::id::{EventId, OrganizationId};
use crate::domain::organization::Quotas;
use crate::domain::repeat::{Fingerprint, RepeatWindow};

/// An organization that has more events than it may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    pub organization: OrganizationId,
    pub events: u64,
}

/// The oldest events after a position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Oldest {
    /// How many were looked at.
    pub looked_at: u64,
    pub last: Option<EventId>,
    /// Those of them that nobody needs any more.
    pub to_prune: Vec<EventId>,
}

const COUNTS: &str = "SELECT organization.id, quotas, events FROM event_count \
    CROSS JOIN organization ON organization.id = event_count.organization_id";

/// The weight is about what pruning the event writes, in bytes: of its texts, and of some
/// pages for each row that lies in several indexes.
const OLDEST: &str = "SELECT id, identified AND id >= ?4 AS remembered, \
    EXISTS (SELECT 1 FROM pending_notice WHERE event_id = event.id) \
    OR EXISTS (SELECT 1 FROM pending_question WHERE event_id = event.id) \
    OR EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_by_event \
    WHERE event_id = event.id AND state = 'owed') \
    OR EXISTS (SELECT 1 FROM decision WHERE organization_id = ?1 AND event_id = event.id \
    AND decided_at >= iif(event.identified, ?6, ?5)) AS needed, \
    4096 + coalesce((SELECT octet_length(body) FROM payload WHERE event_id = event.id), 0) \
    + coalesce((SELECT octet_length(answer) + coalesce(octet_length(reply_body), 0) \
    + octet_length(invocations) FROM decision \
    WHERE organization_id = ?1 AND event_id = event.id), 0) \
    + coalesce((SELECT sum(128 + octet_length(message)) FROM log_line \
    WHERE event_id = event.id), 0) \
    + coalesce((SELECT sum(4096 + 2048 * attempts + coalesce( \
    (SELECT octet_length(body) FROM delivery_body WHERE delivery_id = delivery.id), 0)) \
    FROM delivery INDEXED BY delivery_by_event WHERE event_id = event.id), 0) AS weight \
    FROM event WHERE organization_id = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?7";

/// Of events that were looked at, those for which nothing has come to be owed since.
const STILL_DONE: &str = "SELECT value FROM json_each(?1) WHERE NOT EXISTS \
    (SELECT 1 FROM delivery INDEXED BY delivery_by_event \
    WHERE event_id = unhex(value) AND state = 'owed')";

/// Each takes the events as its argument.
const DELETE_ALL_OF_EVENTS: [&str; 5] = [
    "DELETE FROM attempt WHERE delivery_id IN (SELECT delivery.id FROM json_each(?) AS gone \
     CROSS JOIN delivery INDEXED BY delivery_by_event WHERE event_id = unhex(gone.value))",
    "DELETE FROM delivery_body WHERE delivery_id IN (SELECT delivery.id \
     FROM json_each(?) AS gone CROSS JOIN delivery INDEXED BY delivery_by_event \
     WHERE event_id = unhex(gone.value))",
    "DELETE FROM delivery INDEXED BY delivery_by_event \
     WHERE event_id IN (SELECT unhex(value) FROM json_each(?))",
    "DELETE FROM log_line WHERE event_id IN (SELECT unhex(value) FROM json_each(?))",
    "DELETE FROM payload WHERE event_id IN (SELECT unhex(value) FROM json_each(?))",
];

const DELETE_DECISIONS: &str = "DELETE FROM decision WHERE organization_id = ?1 \
    AND event_id IN (SELECT unhex(value) FROM json_each(?2))";

const DELETE_EVENTS: &str = "DELETE FROM event WHERE organization_id = ?1 \
    AND id IN (SELECT unhex(value) FROM json_each(?2))";

/// No more than this is pruned in one go, but for a single event that has more.
const MOST_WEIGHT: i64 = 1 << 20;

/// What a batch is to the writer: always a large change, after which large ones rest.
const BATCH_BYTES: usize = 2 << 20;

#[derive(FromRow)]
struct OldRow {
    id: Uuid,
    remembered: bool,
    needed: bool,
    weight: i64,
}

/// Which events are so old that no repetition asks for them.
struct Forgotten {
    /// Ids of events that are: by the longest window, and by a delivery's name.
    before: Uuid,
    named_before: Uuid,
    /// The same for when they were decided.
    decided_before: Timestamp,
    named_decided_before: Timestamp,
}

impl Forgotten {
    fn at(now: Timestamp) -> Self {
        let ago = |span: SignedDuration| now.saturating_sub(span).unwrap_or(Timestamp::UNIX_EPOCH);
        let window = SignedDuration::from_millis(RepeatWindow::MAX_MS.into());
        let named = SignedDuration::try_from(Fingerprint::IDENTIFIED).unwrap_or(window);
        Self {
            before: row::first_id(ago(window + LONGEST_ANSWER)),
            named_before: row::first_id(ago(named + LONGEST_ANSWER)),
            decided_before: ago(window),
            named_decided_before: ago(named),
        }
    }
}

impl Store {
    /// Events that are looked at in one go.
    pub const PRUNE_BATCH: u16 = 200;

    /// Who has more events than they may keep.
    pub async fn excesses(&self) -> Result<Vec<Excess>, StoreError> {
        let counts: Vec<(Uuid, String, i64)> = sqlx::query_as(COUNTS)
            .fetch_all(self.journal_readers().await?)
            .await?;
        let mut excesses = Vec::new();
        for (organization, quotas, events) in counts {
            let own: Quotas = row::parsed(&quotas, "organization.quotas")?;
            let Some(kept) = own.or(self.quotas).events_kept else {
                continue;
            };
            let events = events.unsigned_abs().saturating_sub(kept);
            if events > 0 {
                excesses.push(Excess {
                    organization: organization.into(),
                    events,
                });
            }
        }
        Ok(excesses)
    }

    /// The next events in the order of their age, as many as can be pruned in one go and
    /// at most so many. None that a repetition might ask for.
    pub async fn oldest_events(
        &self,
        organization: OrganizationId,
        after: Option<EventId>,
        limit: u64,
        now: Timestamp,
    ) -> Result<Oldest, StoreError> {
        let forgotten = Forgotten::at(now);
        let rows: Vec<OldRow> = sqlx::query_as(OLDEST)
            .bind(organization.uuid())
            .bind(after.map_or(Uuid::nil(), EventId::uuid))
            .bind(forgotten.before)
            .bind(forgotten.named_before)
            .bind(forgotten.decided_before.as_millisecond())
            .bind(forgotten.named_decided_before.as_millisecond())
            .bind(limit.min(Self::PRUNE_BATCH.into()).cast_signed())
            .fetch_all(self.journal_readers().await?)
            .await?;
        let mut oldest = Oldest::default();
        let mut weight = 0_i64;
        // Those after one that is remembered by its name are younger still.
        for row in rows.into_iter().take_while(|row| !row.remembered) {
            if !row.needed {
                weight = weight.saturating_add(row.weight);
                if weight > MOST_WEIGHT && !oldest.to_prune.is_empty() {
                    break;
                }
                oldest.to_prune.push(row.id.into());
            }
            oldest.looked_at += 1;
            oldest.last = Some(row.id.into());
        }
        Ok(oldest)
    }

    /// Deletes events with all that is known of them, but for those that something has
    /// come to be owed for. How many are gone.
    ///
    /// If power is lost right after, they may be there again.
    pub async fn prune(
        &self,
        organization: OrganizationId,
        events: &[EventId],
    ) -> Result<u64, StoreError> {
        let ids = events.iter().map(|it| it.uuid().simple().to_string());
        let ids = row::written(&ids.collect::<Vec<_>>())?;
        let terms = Terms::from(Durability::Process).of_bytes(BATCH_BYTES);
        self.writer
            .change(terms, move |connection| {
                Box::pin(async move {
                    let mut transaction = connection.begin().await?;
                    let done: Vec<(String,)> = sqlx::query_as(STILL_DONE)
                        .bind(ids)
                        .fetch_all(&mut *transaction)
                        .await?;
                    let done: Vec<String> = done.into_iter().map(|(id,)| id).collect();
                    let done = row::written(&done)?;
                    for statement in DELETE_ALL_OF_EVENTS {
                        sqlx::query(statement)
                            .bind(&done)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    let mut gone = 0;
                    for statement in [DELETE_DECISIONS, DELETE_EVENTS] {
                        let deleted = sqlx::query(statement)
                            .bind(organization.uuid())
                            .bind(&done)
                            .execute(&mut *transaction)
                            .await?;
                        gone = deleted.rows_affected();
                    }
                    transaction.commit().await?;
                    Ok(gone)
                })
            })
            .await
    }
}

#[cfg(test)]
mod tests;
