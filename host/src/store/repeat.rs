//! What a repeated request asks for: the event that was its first, and what came of it.
//!
//! Neighbours: [`super::journal`] writes fingerprints, reservations and decisions;
//! `call` remembers what is recent, and comes here for the rest.

use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::event::StoredDecision;
use super::row;
use super::{Store, StoreError};
use crate::domain::event::Kind;
use crate::domain::id::{EventId, OrganizationId, SourceId};
use crate::domain::repeat::{Fingerprint, RepeatWindow};

/// What came of an event.
#[derive(Debug, Clone)]
pub enum Earlier {
    /// It is a notice, so it has been acknowledged.
    Notice,
    /// It was answered.
    Answered(StoredDecision),
    /// Its plugin was to be asked, and nothing more is known.
    Open(OpenQuestion),
}

/// A question that was reserved and has no decision.
#[derive(Debug, Clone)]
pub struct OpenQuestion {
    pub organization: OrganizationId,
    pub event: EventId,
    pub source: SourceId,
    pub kind: Kind,
    pub received_at: Timestamp,
    pub fingerprint: Option<Fingerprint>,
}

/// An event that a repetition may be about.
#[derive(Debug, Clone, Copy)]
pub struct Recent {
    pub event: EventId,
    pub fingerprint: Fingerprint,
    /// When it was answered, or accepted.
    pub at: Timestamp,
}

const QUESTION: &str = "SELECT organization_id, id, source_id, kind, received_at, \
    fingerprint, identified FROM event WHERE organization_id = ?1 AND id = ?2";

const OPEN_QUESTIONS: &str = "SELECT event.organization_id, event.id, source_id, kind, \
    received_at, fingerprint, identified FROM pending_question \
    CROSS JOIN event ON event.organization_id = pending_question.organization_id \
    AND event.id = pending_question.event_id";

/// The newest, because what may be asked again has several.
const IDENTIFIED: &str = "SELECT id FROM event INDEXED BY event_by_delivery_id \
    WHERE fingerprint = ?1 AND identified = 1 AND organization_id = ?2 AND id >= ?3 \
    ORDER BY id DESC LIMIT 1";

/// Each organization's newest events; ids sort by age. The joins keep the planner to
/// their order.
const RECENT: &str = "SELECT event.id, event.fingerprint, event.identified, \
    coalesce(decision.decided_at, event.received_at) AS at \
    FROM organization CROSS JOIN event \
    ON event.organization_id = organization.id AND event.id >= ?1 \
    LEFT JOIN decision ON decision.organization_id = event.organization_id \
    AND decision.event_id = event.id \
    WHERE event.fingerprint IS NOT NULL ORDER BY organization.id, event.id";

/// Between an event's arrival and its answer, at most.
pub(super) const LONGEST_ANSWER: SignedDuration = SignedDuration::from_mins(3);

#[derive(FromRow)]
struct QuestionRow {
    organization_id: Uuid,
    id: Uuid,
    source_id: Uuid,
    kind: String,
    received_at: i64,
    fingerprint: Option<Vec<u8>>,
    identified: bool,
}

#[derive(FromRow)]
struct RecentRow {
    id: Uuid,
    fingerprint: Vec<u8>,
    identified: bool,
    at: i64,
}

impl Store {
    /// What came of an event; none if there is no such event.
    pub async fn earlier(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Option<Earlier>, StoreError> {
        let row: Option<QuestionRow> = sqlx::query_as(QUESTION)
            .bind(organization.uuid())
            .bind(event.uuid())
            .fetch_optional(self.journal_readers().await?)
            .await?;
        let Some(question) = row.map(QuestionRow::read).transpose()? else {
            return Ok(None);
        };
        if !question.kind.is_question() {
            return Ok(Some(Earlier::Notice));
        }
        let decision = self.decision(organization, event).await?;
        Ok(Some(match decision {
            Some(decision) => Earlier::Answered(decision),
            None => Earlier::Open(question),
        }))
    }

    /// The decision of a question that has one.
    pub async fn decided(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<StoredDecision, StoreError> {
        let decision = self.decision(organization, event).await?;
        decision.ok_or_else(|| StoreError::corrupt("decision", format!("{event} has none")))
    }

    /// The event of a delivery that the platform has named, if it came at that time or
    /// later.
    pub async fn identified(
        &self,
        organization: OrganizationId,
        fingerprint: Fingerprint,
        since: Timestamp,
    ) -> Result<Option<EventId>, StoreError> {
        let found: Option<(Uuid,)> = sqlx::query_as(IDENTIFIED)
            .bind(fingerprint.digest.as_slice())
            .bind(organization.uuid())
            .bind(first_id_of(since))
            // What is not in its table yet is in memory still.
            .fetch_optional(&self.readers)
            .await?;
        Ok(found.map(|(id,)| id.into()))
    }

    /// Every reserved question without a decision.
    pub async fn open_questions(&self) -> Result<Vec<OpenQuestion>, StoreError> {
        let rows: Vec<QuestionRow> = sqlx::query_as(OPEN_QUESTIONS)
            .fetch_all(self.journal_readers().await?)
            .await?;
        rows.into_iter().map(QuestionRow::read).collect()
    }

    /// The longest window any source has.
    pub async fn longest_repeat_window(&self) -> Result<RepeatWindow, StoreError> {
        let (longest,): (Option<u32>,) = sqlx::query_as("SELECT max(repeat_window_ms) FROM source")
            .fetch_one(&self.readers)
            .await?;
        RepeatWindow::from_ms(longest.unwrap_or(0))
            .ok_or_else(|| StoreError::corrupt("source.repeat_window_ms", "too long"))
    }

    /// Shows the events that were answered within a window, and some older ones, each
    /// organization's in the order of their age.
    pub async fn recent(
        &self,
        window: RepeatWindow,
        now: Timestamp,
        mut show: impl FnMut(Recent),
    ) -> Result<(), StoreError> {
        let longest = SignedDuration::from_millis(window.ms().into()) + LONGEST_ANSWER;
        let since = now.saturating_sub(longest).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut rows = sqlx::query_as::<_, RecentRow>(RECENT)
            .bind(first_id_of(since))
            .fetch(self.journal_readers().await?);
        while let Some(row) = rows.try_next().await? {
            show(Recent {
                event: row.id.into(),
                fingerprint: row::fingerprint(&row.fingerprint, row.identified)?,
                at: row::timestamp(row.at, "decision.decided_at")?,
            });
        }
        Ok(())
    }
}

impl QuestionRow {
    fn read(self) -> Result<OpenQuestion, StoreError> {
        let fingerprint = self
            .fingerprint
            .map(|digest| row::fingerprint(&digest, self.identified))
            .transpose()?;
        Ok(OpenQuestion {
            organization: self.organization_id.into(),
            event: self.id.into(),
            source: self.source_id.into(),
            kind: Kind::parse(&self.kind).map_err(|e| StoreError::corrupt("event.kind", e))?,
            received_at: row::timestamp(self.received_at, "event.received_at")?,
            fingerprint,
        })
    }
}

/// Lower than every id (UUIDv7) that was given at that time or later.
fn first_id_of(time: Timestamp) -> Uuid {
    let milliseconds = u128::try_from(time.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(milliseconds << 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::{Answer, Decision, Outcome, ToolAnswer};
    use crate::domain::repeat::Basis;
    use crate::store::journal::{DecisionRecord, EventRecord, SentReply};
    use crate::store::plan::plan;
    use crate::store::{Durability, KeySource, OpenStore};

    #[tokio::test]
    async fn repeats_are_found_without_reading_other_events() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        for (statement, index) in [
            (
                QUESTION,
                "event USING PRIMARY KEY (organization_id=? AND id=?",
            ),
            (
                OPEN_QUESTIONS,
                "event USING PRIMARY KEY (organization_id=? AND id=?",
            ),
            (
                IDENTIFIED,
                "event_by_delivery_id (fingerprint=? AND organization_id=? AND id>?",
            ),
            (
                RECENT,
                "event USING PRIMARY KEY (organization_id=? AND id>?",
            ),
        ] {
            let plan = plan(&open.store, statement).await;
            assert!(plan.contains(index), "{plan}");
            assert!(
                !plan.contains("SCAN event") && !plan.contains("TEMP B-TREE"),
                "{plan}"
            );
        }
    }

    fn question(n: u128, basis: Basis) -> EventRecord {
        let received_at = Timestamp::now();
        EventRecord {
            organization: Uuid::from_u128(1).into(),
            id: Uuid::now_v7().into(),
            source: Some(Uuid::from_u128(2).into()),
            kind: Kind::TOOL,
            platform_type: "ToolWebHookPayload".to_owned(),
            call_id: "call".to_owned(),
            agent_id: "agent".to_owned(),
            tool: Some("book".to_owned()),
            received_at,
            fingerprint: Some(Fingerprint {
                basis,
                digest: n.to_be_bytes(),
            }),
            payload: "{}".into(),
        }
    }

    fn decision(of: &EventRecord, result: &str) -> DecisionRecord {
        let answer = serde_json::value::RawValue::from_string(result.to_owned()).unwrap();
        DecisionRecord {
            organization: of.organization,
            event: of.id,
            decision: Decision {
                kind: of.kind.clone(),
                outcome: Outcome::Answered,
                answer: Answer::Tool(ToolAnswer::Answer {
                    result: answer.clone(),
                }),
                invocations: Vec::new(),
                elapsed: std::time::Duration::from_millis(1),
                decided_at: of.received_at,
            },
            reply: Some(SentReply {
                status: 200,
                body: Some(answer),
            }),
            log: Vec::new(),
        }
    }

    async fn reply(store: &Store, of: &EventRecord) -> Option<String> {
        match store.earlier(of.organization, of.id).await.unwrap() {
            Some(Earlier::Answered(decision)) => {
                Some(decision.reply.unwrap().1.unwrap().get().to_owned())
            }
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_reserved_question_is_open_until_its_first_decision_which_stands() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        let store = &open.store;
        let asked = question(7, Basis::SameBody);
        store.reserve(&asked, &[]).await.unwrap();
        let questions = store.open_questions().await.unwrap();
        assert_eq!(questions.len(), 1);
        assert_eq!(questions[0].event, asked.id);
        assert_eq!(questions[0].fingerprint, asked.fingerprint);
        assert_eq!(reply(store, &asked).await, None);

        for result in ["1", "2"] {
            store.answer(&decision(&asked, result), None).await.unwrap();
            assert!(store.open_questions().await.unwrap().is_empty());
            assert_eq!(reply(store, &asked).await.as_deref(), Some("1"));
        }
    }

    #[tokio::test]
    async fn a_named_delivery_is_its_newest_event_if_it_is_not_too_old() {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder)
            .await
            .unwrap();
        let store = &open.store;
        let before = Timestamp::now();
        let (older, newer) = (
            question(7, Basis::Identified),
            question(7, Basis::Identified),
        );
        let by_body = question(8, Basis::SameBody);
        for event in [&older, &newer, &by_body] {
            let decision = decision(event, "1");
            store.record(event, &decision, &[], None).await.unwrap();
        }
        store.writer.settled().await.unwrap();
        let organization = older.organization;
        let find = async |event: &EventRecord, since| {
            let fingerprint = event.fingerprint.unwrap();
            store.identified(organization, fingerprint, since).await
        };
        assert_eq!(find(&older, before).await.unwrap(), Some(newer.id));
        assert_eq!(find(&by_body, before).await.unwrap(), None);
        let later = before.checked_add(SignedDuration::from_secs(5)).unwrap();
        assert_eq!(find(&older, later).await.unwrap(), None);
    }

    #[test]
    fn an_id_lies_after_the_first_of_its_time_and_before_that_of_the_next() {
        let now = Timestamp::now();
        let id = Uuid::now_v7();
        let later = now.checked_add(SignedDuration::from_secs(1)).unwrap();
        assert!(first_id_of(now) <= id && id < first_id_of(later));
    }
}
