//! What was recorded, in the order in which it happened: of one call, or of late.
//!
//! Events are read first, by an index, then what belongs to them with one statement per
//! table. Each statement reads a bounded number of rows: where there are more, the page
//! ends before the event whose rows are not all there (`page`; the rows are those of
//! `rows`). `call::told` makes the same entries of what it has just stored.

mod page;
mod rows;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use self::page::{Cut, Page};
use self::rows::{
    ATTEMPTS, AttemptRow, DECISIONS, DELIVERIES, DecisionRow, DeliveryRow, EventRow, LINES, LineRow,
};
use super::page::PageRequest;
use super::row;
use super::{Store, StoreError};
use crate::domain::id::{EventId, OrganizationId};
use crate::domain::timeline::{About, Entry};

/// A part of a call's timeline, and what the whole call came to.
#[derive(Debug, Clone)]
pub struct CallTimeline {
    pub agent_id: String,
    pub started_at: Timestamp,
    /// When the platform said that the call has ended.
    pub ended_at: Option<Timestamp>,
    pub summary: CallSummary,
    /// All that belongs to this page's events, by time.
    pub entries: Vec<Entry>,
    /// The last event of this page, if there are more.
    pub next: Option<Uuid>,
}

/// What a call came to. Counts go up to [`CallSummary::MOST`] events and as many
/// deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSummary {
    pub events: u64,
    pub decisions: u64,
    /// Of the decisions, those that no plugin and no endpoint made.
    pub verdicts: u64,
    /// Of the verdicts, those that stand because something failed.
    pub failures: u64,
    /// Forwarded questions among them.
    pub deliveries: u64,
    pub owed: u64,
    pub delivered: u64,
    /// Given up or refused.
    pub failed: u64,
}

impl CallSummary {
    pub const MOST: u32 = 10_000;
}

/// What was recorded since some time.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub entries: Vec<Entry>,
    /// Whether that is all of it; else the oldest are missing.
    pub complete: bool,
}

/// Most rows of a table that are read at once.
#[derive(Debug, Clone, Copy)]
struct Rows {
    lines: usize,
    deliveries: usize,
    attempts: usize,
}

/// Of a page of a timeline.
const PAGE: Rows = Rows {
    lines: 2_000,
    deliveries: 2_000,
    attempts: 2_000,
};

/// Of what somebody has missed.
const MISSED: Rows = Rows {
    lines: 500,
    deliveries: 500,
    attempts: 500,
};

/// Events read back to somebody who was away.
const MISSED_EVENTS: u16 = 1_000;
/// Entries from which on no older events are read back.
const MISSED_ENTRIES: usize = 10_000;
/// Events whose rows are read at once.
const AT_ONCE: usize = 20;
/// Between what an entry says of its time and its commit.
const COMMIT: SignedDuration = SignedDuration::from_secs(2);
/// Between an event's arrival and its decision, but for notices that wait long.
const DECIDING: SignedDuration = SignedDuration::from_mins(3);
/// Decisions looked at for those that were made late.
const LATE_LOOK: u32 = 10_000;

const FIRST_OF_CALL: &str = "SELECT agent_id, received_at FROM event INDEXED BY event_by_call \
    WHERE organization_id = ?1 AND call_id = ?2 AND call_id <> '' ORDER BY id LIMIT 1";

const EVENTS_OF_CALL: &str = "SELECT id, source_id, kind, platform_type, call_id, agent_id, \
    tool, received_at FROM event INDEXED BY event_by_call \
    WHERE organization_id = ?1 AND call_id = ?2 AND call_id <> '' AND id > ?3 \
    ORDER BY id LIMIT ?4";

const COUNT_EVENTS: &str = "SELECT count(*) AS events, count(decision.event_id) AS decisions, \
    coalesce(sum(decision.outcome = 'verdict'), 0) AS verdicts, \
    coalesce(sum(decision.outcome = 'verdict' \
    AND decision.reason NOT IN ('no_binding', 'all_passed')), 0) AS failures, \
    max(ended_at) AS ended_at \
    FROM (SELECT id, iif(kind IN ('call.completed', 'call.failed'), received_at, NULL) \
    AS ended_at FROM event INDEXED BY event_by_call \
    WHERE organization_id = ?1 AND call_id = ?2 AND call_id <> '' ORDER BY id LIMIT ?3) AS of_call \
    LEFT JOIN decision ON decision.organization_id = ?1 AND decision.event_id = of_call.id";

const COUNT_DELIVERIES: &str = "SELECT count(*) AS deliveries, \
    coalesce(sum(state = 'owed'), 0) AS owed, \
    coalesce(sum(state = 'delivered'), 0) AS delivered, \
    coalesce(sum(state IN ('exhausted', 'refused')), 0) AS failed \
    FROM (SELECT state FROM delivery INDEXED BY delivery_by_call \
    WHERE organization_id = ?1 AND call_id = ?2 AND call_id <> '' ORDER BY id LIMIT ?3)";

const EVENTS_SINCE: &str = "SELECT id, source_id, kind, platform_type, call_id, agent_id, \
    tool, received_at FROM event WHERE organization_id = ?1 AND id >= ?2 \
    ORDER BY id DESC LIMIT ?3";

/// Events from before whose decision was made since.
const DECIDED_SINCE: &str = "SELECT id, source_id, event.kind, platform_type, call_id, \
    agent_id, tool, received_at \
    FROM (SELECT event_id, decided_at FROM decision WHERE organization_id = ?1 \
    AND event_id >= ?2 AND event_id < ?3 ORDER BY event_id DESC LIMIT ?4) AS recent \
    CROSS JOIN event ON event.organization_id = ?1 AND event.id = recent.event_id \
    WHERE recent.decided_at >= ?5 LIMIT ?6";

const ABOUT: &str = "SELECT id, source_id, kind, platform_type, call_id, agent_id, tool, \
    received_at FROM event WHERE organization_id = ?1 AND id = ?2";

#[derive(FromRow)]
struct EventCounts {
    events: i64,
    decisions: i64,
    verdicts: i64,
    failures: i64,
    ended_at: Option<i64>,
}

#[derive(FromRow)]
struct DeliveryCounts {
    deliveries: i64,
    owed: i64,
    delivered: i64,
    failed: i64,
}

impl Store {
    /// What was recorded of a call: the entries of up to so many of its events, and the
    /// counts of all of it.
    pub async fn call(
        &self,
        organization: OrganizationId,
        call: &str,
        page: PageRequest,
    ) -> Result<CallTimeline, StoreError> {
        let first: Option<(String, i64)> = sqlx::query_as(FIRST_OF_CALL)
            .bind(organization.uuid())
            .bind(call)
            .fetch_optional(self.journal_readers().await?)
            .await?;
        let (agent_id, started_at) = first.ok_or_else(|| StoreError::NotFound {
            what: "call",
            id: call.to_owned(),
        })?;
        let mut events: Vec<EventRow> = sqlx::query_as(EVENTS_OF_CALL)
            .bind(organization.uuid())
            .bind(call)
            .bind(page.after.unwrap_or_default())
            .bind(page.fetch())
            .fetch_all(self.journal_readers().await?)
            .await?;
        let more = events.len() > usize::from(page.limit);
        events.truncate(page.limit.into());
        let (entries, covered) = self.entries(organization, &events, PAGE).await?;
        let more = more || covered < events.len();
        let last = covered.checked_sub(1).and_then(|at| events.get(at));
        let (summary, ended_at) = self.summary(organization, call).await?;
        Ok(CallTimeline {
            agent_id,
            started_at: row::timestamp(started_at, "event.received_at")?,
            ended_at,
            summary,
            entries,
            next: last.filter(|_| more).map(|last| last.id),
        })
    }

    async fn summary(
        &self,
        organization: OrganizationId,
        call: &str,
    ) -> Result<(CallSummary, Option<Timestamp>), StoreError> {
        let events: EventCounts = sqlx::query_as(COUNT_EVENTS)
            .bind(organization.uuid())
            .bind(call)
            .bind(CallSummary::MOST)
            .fetch_one(self.journal_readers().await?)
            .await?;
        let deliveries: DeliveryCounts = sqlx::query_as(COUNT_DELIVERIES)
            .bind(organization.uuid())
            .bind(call)
            .bind(CallSummary::MOST)
            .fetch_one(self.journal_readers().await?)
            .await?;
        let summary = CallSummary {
            events: events.events.unsigned_abs(),
            decisions: events.decisions.unsigned_abs(),
            verdicts: events.verdicts.unsigned_abs(),
            failures: events.failures.unsigned_abs(),
            deliveries: deliveries.deliveries.unsigned_abs(),
            owed: deliveries.owed.unsigned_abs(),
            delivered: deliveries.delivered.unsigned_abs(),
            failed: deliveries.failed.unsigned_abs(),
        };
        let ended_at = events.ended_at;
        let ended_at = ended_at.map(|at| row::timestamp(at, "event.received_at"));
        Ok((summary, ended_at.transpose()?))
    }

    /// What an organization's event is about; none if there is no such event.
    pub async fn about(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Option<Arc<About>>, StoreError> {
        let found: Option<EventRow> = sqlx::query_as(ABOUT)
            .bind(organization.uuid())
            .bind(event.uuid())
            .fetch_optional(self.journal_readers().await?)
            .await?;
        found.as_ref().map(EventRow::about).transpose()
    }

    /// What was recorded since an event arrived, and a little of what was before. The
    /// newest of it, if it is much: see `complete`. Of deliveries, those of these events.
    pub async fn recorded_since(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Recorded, StoreError> {
        let since = arrival(event).saturating_sub(COMMIT);
        let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
        let (mut events, mut complete) = self.events_since(organization, since).await?;
        events.extend(self.decided_since(organization, since).await?);
        events.sort_by_key(|event| event.id);
        let mut entries = Vec::new();
        for some in events.rchunks(AT_ONCE) {
            if entries.len() >= MISSED_ENTRIES {
                complete = false;
                break;
            }
            let mut rest = some;
            while !rest.is_empty() {
                let (found, covered) = self.entries(organization, rest, MISSED).await?;
                entries.extend(found);
                rest = rest.get(covered..).unwrap_or_default();
            }
        }
        entries.sort_by_key(Entry::order);
        Ok(Recorded { entries, complete })
    }

    /// The newest first, and whether these are all.
    async fn events_since(
        &self,
        organization: OrganizationId,
        since: Timestamp,
    ) -> Result<(Vec<EventRow>, bool), StoreError> {
        let most = PageRequest {
            limit: MISSED_EVENTS,
            after: None,
        };
        let mut events: Vec<EventRow> = sqlx::query_as(EVENTS_SINCE)
            .bind(organization.uuid())
            .bind(row::first_id(since))
            .bind(most.fetch())
            .fetch_all(self.journal_readers().await?)
            .await?;
        let all = events.len() <= usize::from(MISSED_EVENTS);
        events.truncate(MISSED_EVENTS.into());
        Ok((events, all))
    }

    /// Events that arrived before, and were decided since.
    async fn decided_since(
        &self,
        organization: OrganizationId,
        since: Timestamp,
    ) -> Result<Vec<EventRow>, StoreError> {
        let from = since.saturating_sub(DECIDING);
        let from = from.unwrap_or(Timestamp::UNIX_EPOCH);
        let events = sqlx::query_as(DECIDED_SINCE)
            .bind(organization.uuid())
            .bind(row::first_id(from))
            .bind(row::first_id(since))
            .bind(LATE_LOOK)
            .bind(since.as_millisecond())
            .bind(MISSED_EVENTS)
            .fetch_all(self.journal_readers().await?)
            .await?;
        Ok(events)
    }

    /// The entries of events that are given in the order of their ids, by time; and how
    /// many of these events they are all of. That is at least one, though its own entries
    /// may be more than are read.
    async fn entries(
        &self,
        organization: OrganizationId,
        events: &[EventRow],
        rows: Rows,
    ) -> Result<(Vec<Entry>, usize), StoreError> {
        let Some(first) = events.first() else {
            return Ok((Vec::new(), 0));
        };
        let ids = hex(events.iter().map(|event| event.id))?;
        let mut cut = Cut::none_of(first.id);
        let mut lines = self.lines(&ids, rows.lines).await?;
        cut.limit(&mut lines, rows.lines, |line| line.event_id);
        let mut deliveries = self.deliveries_of_all(organization, &ids, &rows).await?;
        cut.limit(&mut deliveries, rows.deliveries, |it| it.event_id);
        let owners: HashMap<Uuid, Uuid> =
            deliveries.iter().map(|it| (it.id, it.event_id)).collect();
        let of = |attempt: &AttemptRow| owners.get(&attempt.delivery_id).copied();
        let mut attempts = self.attempts_of_all(&deliveries, rows.attempts).await?;
        cut.limit(&mut attempts, rows.attempts, |it| {
            of(it).unwrap_or_default()
        });
        let decisions: Vec<DecisionRow> = sqlx::query_as(DECISIONS)
            .bind(organization.uuid())
            .bind(&ids)
            .fetch_all(self.journal_readers().await?)
            .await?;

        let covered = events.iter().take_while(|it| cut.covers(it.id)).count();
        let mut page = Page::new(events.get(..covered).unwrap_or_default())?;
        page.decisions(decisions)?;
        page.lines(lines)?;
        page.deliveries(deliveries, attempts)?;
        if cut.within_first() {
            page.left_out(first.id);
        }
        Ok((page.entries(), covered))
    }

    async fn lines(&self, events: &str, most: usize) -> Result<Vec<LineRow>, StoreError> {
        let lines = sqlx::query_as(LINES)
            .bind(events)
            .bind(one_more(most))
            .bind(one_more(Entry::LONGEST_TEXT))
            .fetch_all(self.journal_readers().await?)
            .await?;
        Ok(lines)
    }

    async fn deliveries_of_all(
        &self,
        organization: OrganizationId,
        events: &str,
        rows: &Rows,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let deliveries = sqlx::query_as(DELIVERIES)
            .bind(organization.uuid())
            .bind(events)
            .bind(one_more(rows.deliveries))
            .fetch_all(self.journal_readers().await?)
            .await?;
        Ok(deliveries)
    }

    async fn attempts_of_all(
        &self,
        deliveries: &[DeliveryRow],
        most: usize,
    ) -> Result<Vec<AttemptRow>, StoreError> {
        let attempts = sqlx::query_as(ATTEMPTS)
            .bind(hex(deliveries.iter().map(|it| it.id))?)
            .bind(one_more(most))
            .bind(one_more(Entry::LONGEST_TEXT))
            .fetch_all(self.journal_readers().await?)
            .await?;
        Ok(attempts)
    }
}

/// When an event arrived, as its id says.
fn arrival(event: EventId) -> Timestamp {
    let milliseconds = i64::try_from(event.uuid().as_u128() >> 80);
    let at = milliseconds.ok().map(Timestamp::from_millisecond);
    at.and_then(Result::ok).unwrap_or(Timestamp::MAX)
}

fn hex(ids: impl Iterator<Item = Uuid>) -> Result<String, StoreError> {
    let ids: Vec<String> = ids.map(|id| id.simple().to_string()).collect();
    row::written(&ids)
}

/// To know whether there are more.
fn one_more(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests;
