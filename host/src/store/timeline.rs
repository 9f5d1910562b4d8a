//! What was recorded, in the order in which it happened: of one call, or of late.
//!
//! Events are read first, by an index, then what belongs to them with one statement per
//! table. Each statement reads a bounded number of rows: where there are more, the page
//! ends before the event whose rows are not all there. `call::told` makes the same
//! entries of what it has just stored.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::delivery::first_id;
use super::page::PageRequest;
use super::row;
use super::{Store, StoreError};
use crate::domain::delivery::State;
use crate::domain::event::Kind;
use crate::domain::id::{BindingId, EventId, OrganizationId};
use crate::domain::log::Level;
use crate::domain::plugin::Name;
use crate::domain::timeline::{
    About, Asked, Decided, Entry, Failed, Owed, Said, Tried, What, shortened,
};

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

const DECISIONS: &str = "SELECT event_id, outcome, reason, answer->>'decision' AS verdict, \
    reply_status, elapsed_us, invocations, decided_at FROM decision \
    WHERE organization_id = ?1 AND event_id IN (SELECT unhex(value) FROM json_each(?2))";

/// The next three go through what is wanted in its order, which the joins keep to, and
/// stop when they have enough.
const LINES: &str = "SELECT event_id, number, binding_id, level, \
    substr(message, 1, ?3) AS message \
    FROM json_each(?1) AS wanted CROSS JOIN log_line ON event_id = unhex(wanted.value) LIMIT ?2";

const DELIVERIES: &str = "SELECT event_id, delivery.id, endpoint_id, state, forwarded, attempts, \
    due_at, ended_at, status, error, created_at \
    FROM json_each(?2) AS wanted CROSS JOIN delivery INDEXED BY delivery_by_event \
    ON event_id = unhex(wanted.value) AND organization_id = ?1 LIMIT ?3";

const ATTEMPTS: &str = "SELECT delivery_id, number, started_at, elapsed_us, status, error, \
    substr(detail, 1, ?3) AS detail \
    FROM json_each(?1) AS wanted CROSS JOIN attempt ON delivery_id = unhex(wanted.value) LIMIT ?2";

#[derive(Debug, FromRow)]
struct EventRow {
    id: Uuid,
    source_id: Uuid,
    kind: String,
    platform_type: String,
    call_id: String,
    agent_id: String,
    tool: Option<String>,
    received_at: i64,
}

#[derive(FromRow)]
struct DecisionRow {
    event_id: Uuid,
    outcome: String,
    reason: Option<String>,
    verdict: Option<String>,
    reply_status: Option<u16>,
    elapsed_us: i64,
    invocations: String,
    decided_at: i64,
}

#[derive(Debug, FromRow)]
struct LineRow {
    event_id: Uuid,
    number: u32,
    binding_id: Uuid,
    level: String,
    message: String,
}

#[derive(Debug, FromRow)]
struct DeliveryRow {
    event_id: Uuid,
    id: Uuid,
    endpoint_id: Uuid,
    state: String,
    forwarded: bool,
    attempts: u32,
    due_at: i64,
    ended_at: Option<i64>,
    status: Option<u16>,
    error: Option<String>,
    created_at: i64,
}

#[derive(Debug, FromRow)]
struct AttemptRow {
    delivery_id: Uuid,
    number: u32,
    started_at: i64,
    elapsed_us: i64,
    status: Option<u16>,
    error: Option<String>,
    detail: Option<String>,
}

/// What is read of a stored invocation.
#[derive(Deserialize)]
struct InvocationColumn {
    binding: BindingId,
    plugin: Name,
    version: u32,
    outcome: String,
    error: Option<FailureColumn>,
    elapsed_us: u64,
}

#[derive(Deserialize)]
struct FailureColumn {
    code: String,
    message: String,
}

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
            .bind(first_id(since))
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
            .bind(first_id(from))
            .bind(first_id(since))
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
        let mut cut = Cut {
            first: first.id,
            at: None,
        };
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
        page.entries.sort_by_key(Entry::order);
        Ok((page.entries, covered))
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

/// Where what was read ends.
struct Cut {
    first: Uuid,
    /// The first event of which not all is there.
    at: Option<Uuid>,
}

impl Cut {
    /// Takes away what is more than was to be read.
    fn limit<R>(&mut self, rows: &mut Vec<R>, most: usize, event: impl Fn(&R) -> Uuid) {
        if let Some(incomplete) = rows.get(most).map(event) {
            self.at = Some(self.at.map_or(incomplete, |at| at.min(incomplete)));
        }
        rows.truncate(most);
    }

    fn within_first(&self) -> bool {
        self.at == Some(self.first)
    }

    /// Whether all of an event is there, or it is the one that has too much for any page.
    fn covers(&self, event: Uuid) -> bool {
        self.at.is_none_or(|at| event < at) || event == self.first
    }
}

impl EventRow {
    fn about(&self) -> Result<Arc<About>, StoreError> {
        Ok(Arc::new(About {
            event: self.id.into(),
            source: row::source(self.source_id),
            kind: Kind::parse(&self.kind).map_err(|e| StoreError::corrupt("event.kind", e))?,
            call_id: self.call_id.clone(),
            agent_id: self.agent_id.clone(),
            tool: self.tool.clone(),
        }))
    }
}

/// Entries that are being put together. What belongs to no event of it is left out.
struct Page {
    abouts: HashMap<Uuid, Arc<About>>,
    /// Who was asked, to name who said a line.
    plugins: HashMap<(Uuid, BindingId), Name>,
    decided_at: HashMap<Uuid, Timestamp>,
    entries: Vec<Entry>,
}

impl Page {
    fn new(events: &[EventRow]) -> Result<Self, StoreError> {
        let mut page = Self {
            abouts: HashMap::new(),
            plugins: HashMap::new(),
            decided_at: HashMap::new(),
            entries: Vec::new(),
        };
        for event in events {
            page.abouts.insert(event.id, event.about()?);
            let platform_type = event.platform_type.clone();
            let at = row::timestamp(event.received_at, "event.received_at")?;
            page.push(event.id, at, What::Event { platform_type });
        }
        Ok(page)
    }

    fn push(&mut self, event: Uuid, at: Timestamp, what: What) {
        if let Some(about) = self.abouts.get(&event).cloned() {
            self.entries.push(Entry { at, about, what });
        }
    }

    fn decisions(&mut self, rows: Vec<DecisionRow>) -> Result<(), StoreError> {
        for decision in rows {
            let event = decision.event_id;
            let at = row::timestamp(decision.decided_at, "decision.decided_at")?;
            let decided = decision.read()?;
            for asked in &decided.invocations {
                let plugin = asked.plugin.clone();
                self.plugins.insert((event, asked.binding), plugin);
            }
            self.decided_at.insert(event, at);
            self.push(event, at, What::Decision(decided));
        }
        Ok(())
    }

    /// Lines are kept with the decision, whose time is theirs.
    fn lines(&mut self, rows: Vec<LineRow>) -> Result<(), StoreError> {
        for line in rows {
            let Some(&at) = self.decided_at.get(&line.event_id) else {
                continue;
            };
            let binding = line.binding_id.into();
            let level: Result<Level, _> = serde_json::from_value(line.level.into());
            let said = Said {
                number: line.number,
                binding,
                plugin: self.plugins.get(&(line.event_id, binding)).cloned(),
                level: level.map_err(|e| StoreError::corrupt("log_line.level", e))?,
                message: shortened(&line.message),
            };
            self.push(line.event_id, at, What::Log(said));
        }
        Ok(())
    }

    fn deliveries(
        &mut self,
        rows: Vec<DeliveryRow>,
        attempts: Vec<AttemptRow>,
    ) -> Result<(), StoreError> {
        let mut known = HashMap::new();
        for delivery in rows {
            let owed = delivery.read()?;
            if !delivery.forwarded {
                let at = row::timestamp(delivery.created_at, "delivery.created_at")?;
                self.push(delivery.event_id, at, What::Delivery(owed.clone()));
            }
            known.insert(delivery.id, (delivery, owed));
        }
        for attempt in attempts {
            if let Some((delivery, owed)) = known.get(&attempt.delivery_id) {
                let at = row::timestamp(attempt.started_at, "attempt.started_at")?;
                let tried = attempt.read(owed);
                let what = if delivery.forwarded {
                    What::Forward(tried)
                } else {
                    What::Attempt(tried)
                };
                self.push(delivery.event_id, at, what);
            }
        }
        Ok(())
    }

    /// Says at the end that an event has more than is read.
    fn left_out(&mut self, event: Uuid) {
        let last = self.entries.iter().map(|entry| entry.at).max();
        let at = last.unwrap_or(Timestamp::UNIX_EPOCH);
        self.push(event, at, What::LeftOut { lines: None });
    }
}

impl DecisionRow {
    fn read(self) -> Result<Decided, StoreError> {
        let asked: Vec<InvocationColumn> = row::parsed(&self.invocations, "decision.invocations")?;
        Ok(Decided {
            outcome: self.outcome.into(),
            reason: self.reason.map(Into::into),
            decision: self.verdict.unwrap_or_default().into(),
            reply_status: self.reply_status,
            elapsed_us: self.elapsed_us.unsigned_abs(),
            invocations: asked.into_iter().map(InvocationColumn::read).collect(),
        })
    }
}

impl InvocationColumn {
    fn read(self) -> Asked {
        Asked {
            binding: self.binding,
            plugin: self.plugin,
            version: self.version,
            outcome: self.outcome.into(),
            error: self.error.map(|error| Failed {
                code: error.code.into(),
                message: shortened(&error.message),
            }),
            elapsed_us: self.elapsed_us,
        }
    }
}

impl DeliveryRow {
    fn read(&self) -> Result<Owed, StoreError> {
        let state = State::named(&self.state)
            .ok_or_else(|| StoreError::corrupt("delivery.state", &self.state))?;
        let due_at = (state == State::Owed).then_some(self.due_at);
        let time = |at: Option<i64>, what| at.map(|at| row::timestamp(at, what)).transpose();
        Ok(Owed {
            delivery: self.id.into(),
            endpoint: self.endpoint_id.into(),
            state,
            attempts: self.attempts,
            due_at: time(due_at, "delivery.due_at")?,
            ended_at: time(self.ended_at, "delivery.ended_at")?,
            status: self.status,
            error: self.error.clone().map(Into::into),
        })
    }
}

impl AttemptRow {
    /// What came of the earlier ones is not kept.
    fn read(self, of: &Owed) -> Tried {
        Tried {
            delivery: of.delivery,
            endpoint: of.endpoint,
            number: self.number,
            status: self.status,
            error: self.error.map(Into::into),
            detail: self.detail.as_deref().map(shortened),
            elapsed_us: self.elapsed_us.unsigned_abs(),
            state: (self.number == of.attempts).then_some(of.state),
        }
    }
}

#[cfg(test)]
mod tests;
