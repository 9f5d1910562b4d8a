//! For tests: a store with an endpoint, and events that owe it something.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;

use super::delivery::{Claim, Claimed};
use super::journal::{AttemptRecord, DecisionRecord, EventRecord, Next, OwedDelivery, Settlement};
use super::{Creation, Durability, KeySource, NewEndpoint, OpenStore, Store, TokenHash};
use crate::domain::decision::{Answer, Decision, EventAnswer, Outcome, Why};
use crate::domain::delivery::State;
use crate::domain::endpoint::{Signing, SigningSecret};
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EndpointId, EventId, OrganizationId, SourceId};

pub(crate) struct Fixture {
    _folder: TempDir,
    open: OpenStore,
    pub(crate) organization: OrganizationId,
    pub(crate) endpoint: EndpointId,
    /// Before everything that happens.
    pub(crate) begin: Timestamp,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open =
            OpenStore::open(folder.path(), Durability::Process, &KeySource::DataFolder).await;
        let organization = OrganizationId::from(Uuid::now_v7());
        let begin = Timestamp::now();
        let mut fixture = Self {
            _folder: folder,
            open: open.unwrap(),
            organization,
            endpoint: EndpointId::from(Uuid::nil()),
            begin,
        };
        let token = TokenHash::of("token");
        let added = fixture
            .store()
            .add_operator(token, "test", None, organization, begin);
        added.await.unwrap();
        fixture.endpoint = fixture.another_endpoint("crm").await;
        fixture
    }

    pub(crate) fn store(&self) -> &Store {
        &self.open.store
    }

    pub(crate) async fn another_endpoint(&self, name: &str) -> EndpointId {
        let new = NewEndpoint {
            id: EndpointId::from(Uuid::now_v7()),
            organization: self.organization,
            name: name.parse().unwrap(),
            settings: serde_json::from_str(r#"{"url":"https://crm.example/"}"#).unwrap(),
            proof: Vec::new(),
            signing: Signing {
                current: SigningSecret::new([7; 32]),
                previous: None,
            },
            enabled: true,
            created_at: Timestamp::now(),
        };
        let id = new.id;
        let creation = Creation::of_host(self.organization, new.created_at);
        self.store().create_endpoint(new, creation).await.unwrap();
        id
    }

    pub(crate) fn event(&self, call: &str) -> EventRecord {
        EventRecord {
            organization: self.organization,
            id: EventId::from(Uuid::now_v7()),
            source: Some(SourceId::from(Uuid::from_u128(1))),
            kind: Kind::FAILED,
            platform_type: "Failed".to_owned(),
            call_id: call.to_owned(),
            agent_id: String::new(),
            tool: None,
            fingerprint: None,
            received_at: Timestamp::now(),
            payload: "{}".into(),
        }
    }

    /// An event with that answer, which owes the endpoint as much as is said.
    pub(crate) async fn handled(
        &self,
        call: &str,
        answer: EventAnswer,
        owed: &[OwedDelivery],
    ) -> EventId {
        let event = self.event(call);
        let decision = self.decision(&event, answer);
        let accepted = self.store().accept_handled(&event, &decision, owed);
        accepted.await.unwrap();
        event.id
    }

    pub(crate) fn decision(&self, event: &EventRecord, answer: EventAnswer) -> DecisionRecord {
        DecisionRecord {
            organization: self.organization,
            event: event.id,
            decision: Decision {
                kind: event.kind.clone(),
                outcome: Outcome::Verdict(Why::NoBinding),
                answer: Answer::Event(answer),
                invocations: Vec::new(),
                elapsed: Duration::ZERO,
                decided_at: Timestamp::now(),
            },
            reply: None,
            log: Vec::new(),
        }
    }

    pub(crate) fn owe(&self) -> OwedDelivery {
        OwedDelivery {
            id: DeliveryId::from(Uuid::now_v7()),
            endpoint: self.endpoint,
            body: None,
            due: self.begin,
        }
    }

    /// An event that owes the endpoint one delivery.
    pub(crate) async fn owed(&self, call: &str) -> DeliveryId {
        let owed = self.owe();
        let id = owed.id;
        self.handled(call, EventAnswer::Unchanged {}, &[owed]).await;
        id
    }

    /// So many seconds after the beginning.
    pub(crate) fn at(&self, seconds: i64) -> Timestamp {
        self.begin + SignedDuration::from_secs(seconds)
    }

    /// Claims at that second, for ten seconds.
    pub(crate) async fn claim(&self, second: i64, in_order: bool) -> Vec<Claimed> {
        let claim = Claim {
            organization: self.organization,
            endpoint: self.endpoint,
            in_order,
            now: self.at(second),
            leased_until: self.at(second + 10),
            limit: 100,
        };
        self.store().claim_deliveries(claim).await.unwrap()
    }

    /// Says what came of an attempt that `made` others went before.
    pub(crate) async fn settle(&self, delivery: DeliveryId, made: u32, now: Next) {
        let settlement = Settlement {
            organization: self.organization,
            delivery,
            endpoint: self.endpoint,
            made,
            attempt: AttemptRecord {
                started_at: Timestamp::now(),
                elapsed: Duration::from_millis(u64::from(made) + 1),
                status: Some(500),
                error: None,
                detail: None,
                response: None,
            },
            now,
        };
        self.store().settle(&settlement, None).await.unwrap();
    }

    /// Owed, attempted once, and given up.
    pub(crate) async fn failed(&self, call: &str) -> DeliveryId {
        let id = self.owed(call).await;
        self.end(id, 0, State::Exhausted).await;
        id
    }

    pub(crate) async fn end(&self, id: DeliveryId, made: u32, state: State) {
        let at = Timestamp::now();
        self.settle(id, made, Next::End { state, at }).await;
    }

    pub(crate) async fn state(&self, id: DeliveryId) -> State {
        let (delivery, ..) = self.store().delivery(self.organization, id).await.unwrap();
        delivery.state
    }
}
