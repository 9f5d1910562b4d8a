//! The story: what happens to a webhook between its arrival and its reply.
//!
//! A question: prove → parse → ask the bound plugins, the most specific first, and an
//! endpoint if one says so (`forward.rs`), or fall back to a verdict (`decide.rs`) →
//! record, with what is owed to whom (`owed.rs`) → reply. A notice:
//! prove → parse → store → acknowledge; later [`Switch::handle`] (in `handle.rs`) asks
//! its event handler and records what is owed. A notice that no handler is bound for is
//! stored with what is owed at once. A request may bring several questions (`parts.rs`);
//! each goes this way by itself. One that repeats an earlier one gets that one's reply
//! instead (`earlier.rs`).
//!
//! This is the one module that joins `ingest`, `runtime`, `dispatch` and `store`, which
//! do not know each other. `http` brings requests, [`crate::notices`] brings stored
//! notices back, and [`crate::delivery`] sends what is owed, when [`Doorbell`] rings. What
//! is only tried out (`trial.rs`) is none of the story.

mod attempt;
mod breakers;
mod clock;
mod decide;
mod detached;
mod doorbell;
mod earlier;
mod endpoints;
mod forward;
mod handle;
mod outbound;
mod owed;
mod parts;
mod rate;
mod repeats;
mod route;
mod space;
mod told;
mod trial;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use self::attempt::KEPT_REPLY;
pub use self::breakers::Breakers;
pub use self::clock::Clock;
use self::decide::Case;
use self::detached::Detached;
pub use self::doorbell::{Addressee, Doorbell};
use self::earlier::Turn;
pub use self::endpoints::{Directories, Directory};
use self::outbound::Outbound;
use self::parts::{Part, Parts};
pub use self::rate::{Limited, TooFast};
use self::repeats::{Place, Repeats};
pub use self::route::RouteError;
use self::route::{Origin, Route, Routes};
pub use self::trial::{HeadersError, Trial, TrialReply};
use crate::dispatch::Dispatcher;
use crate::domain::decision::Decision;
use crate::domain::event::{CallEvent, Matter};
use crate::domain::id::{BindingId, EventId, SourceId};
use crate::domain::log::LogLine;
use crate::domain::plugin::Handler;
use crate::domain::repeat::Fingerprint;
use crate::egress::Egress;
use crate::ingest::{Inbound, Reply, proof};
use crate::json::ReadError;
use crate::live::Live;
use crate::runtime::Runtime;
use crate::store::journal::{DecisionRecord, EventRecord, ForwardRecord, OwedDelivery, SentReply};
use crate::store::{Store, StoreError};

/// A request that gets no answer of a plugin or a verdict, and why.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("the request does not prove its origin")]
    Unproven(#[from] proof::Unproven),
    #[error(transparent)]
    TooFast(#[from] TooFast),
    #[error(transparent)]
    Payload(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no answer could be recorded before the platform's timeout")]
    RecordedLate,
}

/// When a request arrived, by both clocks: for its budget and for its record.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub at: Instant,
    pub time: Timestamp,
}

impl Arrival {
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            time: Timestamp::now(),
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub struct Received {
    pub event: EventId,
    /// The others, if it brought several.
    pub more: Vec<EventId>,
    pub reply: Reply,
    /// How it was decided, of several the first; none for a notice whose handler is yet
    /// to run.
    pub decided: Option<Decided>,
    /// Whether this is the reply to an earlier request, which this one repeats.
    pub repeat: bool,
}

/// A decision with what the plugins said on the way, and what was sent.
#[derive(Debug)]
pub struct Decided {
    pub decision: Decision,
    pub log: Vec<(BindingId, LogLine)>,
    forward: Option<ForwardRecord>,
}

/// Clients for what goes out, by whose requests they send.
#[derive(Debug)]
pub struct WaysOut {
    pub plugins: Egress,
    pub endpoints: Egress,
}

/// Takes events in and decides. One for the process.
#[derive(Debug)]
pub struct Switch {
    store: Store,
    runtime: Arc<Runtime>,
    routes: Routes,
    breakers: Breakers,
    directories: Directories,
    dispatcher: Dispatcher,
    accepted: Notify,
    owed: Doorbell,
    clock: Clock,
    live: Arc<Live>,
    repeats: Repeats,
    /// What goes on although its request is gone.
    unwatched: TaskTracker,
}

impl Switch {
    pub fn new(store: Store, runtime: Arc<Runtime>, ways_out: WaysOut) -> Self {
        let outbound = Outbound::new(ways_out.plugins);
        let routes = Routes::new(store.clone(), Arc::clone(&runtime), outbound);
        Self {
            directories: Directories::new(store.clone()),
            dispatcher: Dispatcher::new(ways_out.endpoints),
            store,
            runtime,
            routes,
            breakers: Breakers::default(),
            accepted: Notify::new(),
            owed: Doorbell::default(),
            clock: Clock::start(),
            live: Arc::default(),
            repeats: Repeats::new(Instant::now().into_std()),
            unwatched: TaskTracker::new(),
        }
    }

    /// Waits for what goes on although its request is gone. To be called when no request
    /// is left.
    pub async fn finish(&self) {
        self.unwatched.close();
        self.unwatched.wait().await;
    }

    /// Tells, before a request is read, if it will be refused for sure: there is no such
    /// source, or it has brought more than it may.
    pub async fn admit(&self, source: SourceId) -> Result<(), CallError> {
        Ok(self.routes.origin(source).await?.limits.look()?)
    }

    /// Takes one request of a platform, and answers before that stops waiting.
    pub async fn receive(
        self: &Arc<Self>,
        source: SourceId,
        inbound: Inbound,
        arrival: Arrival,
    ) -> Result<Received, CallError> {
        let origin = self.routes.origin(source).await?;
        proof::check(origin.dialect, &origin.source.proof, &inbound, arrival.time)?;
        // Only now: strangers use nothing up of what the platform may send.
        origin.limits.take()?;
        let parts = parts::of(&origin, inbound)?;
        let wait = parts.wait(&origin.source.patience);
        let received = async {
            match parts {
                Parts::One(part) => self.once(&origin, part, arrival).await,
                Parts::Several(parts, join) => self.several(&origin, parts, join, arrival).await,
            }
        };
        timeout_at(arrival.at + wait, received)
            .await
            .map_err(|_elapsed| CallError::RecordedLate)?
    }

    /// Deals with a request unless it repeats an earlier one. What has begun goes on if
    /// the platform goes away: its repetition will ask for the outcome.
    async fn once(
        self: &Arc<Self>,
        origin: &Arc<Origin>,
        part: Part,
        arrival: Arrival,
    ) -> Result<Received, CallError> {
        let fingerprint = part.fingerprint(&origin.source);
        let place = match self.turn(origin, &part.event, fingerprint).await? {
            Turn::First(place) => place,
            Turn::Repeat(received) => return Ok(*received),
        };
        let route = self.routes.of(origin, &part.event).await?;
        let record = record_of(origin, &part, arrival.time, fingerprint);
        let event = part.event;
        let switch = Arc::clone(self);
        let work = async move {
            match event.matter {
                Matter::Question(_) => switch.answer(&route, &event, &record, arrival, place).await,
                Matter::Notice(_) => switch.accept(&route, &event, &record, place).await,
            }
        };
        Detached::new(work, &self.unwatched).await
    }

    async fn accept(
        &self,
        route: &Route,
        event: &CallEvent,
        record: &EventRecord,
        mut place: Option<Place>,
    ) -> Result<Received, CallError> {
        let decided = if route.asks_anybody(event) {
            self.store.accept(record).await?;
            self.tell_event(record);
            self.accepted.notify_one();
            None
        } else {
            Some(self.accept_unhandled(record).await?)
        };
        stand_for(place.as_mut(), record.id);
        Ok(Received {
            event: record.id,
            more: Vec::new(),
            reply: route.dialect.acknowledge(event, record.id),
            decided,
            repeat: false,
        })
    }

    async fn answer(
        &self,
        route: &Route,
        event: &Arc<CallEvent>,
        record: &EventRecord,
        arrival: Arrival,
        mut place: Option<Place>,
    ) -> Result<Received, CallError> {
        let handler = record.kind.handler();
        let case = Case {
            event,
            record,
            started: arrival.at,
            deadline: arrival.at + route.source.patience.budget(handler),
        };
        // A tool may change the world, so that it may have run is stored before it runs.
        let reserved = handler == Handler::Tool && route.asks_anybody(event);
        let directory = self.directories.of(record.organization).await?;
        let owed = owed::for_subscribers(&directory, record, &self.clock);
        if reserved {
            self.store.reserve(record, &owed).await?;
            stand_for(place.as_mut(), record.id);
            self.tell_event(record);
            self.ring(record, &owed);
        }
        let (decided, reply) = self.decide(route, &case).await;
        // A question always has a reply; were there none, the platform falls back.
        let reply = reply.unwrap_or(Reply::Unavailable);
        let decision = DecisionRecord {
            organization: record.organization,
            event: record.id,
            decision: decided.decision,
            reply: Some(sent(&reply)),
            log: decided.log,
        };
        let forward = decided.forward;
        // What is not kept cannot be read back: nobody is told, and a repetition is asked
        // again.
        let kept = self.store.keeps_answers()
            || handler == Handler::Tool
            || forward.is_some()
            || !owed.is_empty();
        if reserved {
            let forward = forward.as_ref().map(|forward| (record, forward));
            self.store.answer(&decision, forward).await?;
        } else if kept {
            let forward = forward.as_ref();
            self.store.record(record, &decision, &owed, forward).await?;
            stand_for(place.as_mut(), record.id);
            self.tell_event(record);
            self.ring(record, &owed);
        }
        if kept {
            self.tell_decision(record, &decision, forward.as_ref());
        }
        let decided = Decided {
            decision: decision.decision,
            log: decision.log,
            forward,
        };
        Ok(Received {
            event: record.id,
            more: Vec::new(),
            reply,
            decided: Some(decided),
            repeat: false,
        })
    }

    /// Whom to tell that something came to be owed.
    pub fn doorbell(&self) -> &Doorbell {
        &self.owed
    }

    /// By which attempts are due.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Everybody's endpoints.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    fn ring(&self, event: &EventRecord, owed: &[OwedDelivery]) {
        let addressees = owed.iter().map(|it| (event.organization, it.endpoint));
        self.owed.ring(addressees);
    }

    /// The circuit breakers of bindings, to be looked at.
    pub fn breakers(&self) -> &Breakers {
        &self.breakers
    }
}

fn sent(reply: &Reply) -> SentReply {
    match reply {
        Reply::Body(body) => SentReply {
            status: 200,
            body: Some(body.clone()),
        },
        Reply::Unavailable => SentReply {
            status: 503,
            body: None,
        },
    }
}

/// Repeats are about that event from now on: it is stored.
fn stand_for(place: Option<&mut Place>, event: EventId) {
    if let Some(place) = place {
        place.stand_for(event);
    }
}

fn record_of(
    origin: &Origin,
    part: &Part,
    time: Timestamp,
    fingerprint: Option<Fingerprint>,
) -> EventRecord {
    let event = &part.event;
    EventRecord {
        organization: origin.source.organization,
        id: EventId::from(Uuid::now_v7()),
        source: Some(origin.source.id),
        kind: event.kind(),
        platform_type: event.platform_type.clone(),
        call_id: event.call.call_id.clone(),
        agent_id: event.call.agent_id.clone(),
        tool: event.tool().map(str::to_owned),
        received_at: time,
        fingerprint,
        payload: part.inbound.body.clone(),
    }
}
