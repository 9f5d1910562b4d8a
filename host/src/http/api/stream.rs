//! `/api/v1/events/stream`: what is recorded, as it happens, as server-sent events.
//!
//! `live` says what happens; what the client has missed since its `Last-Event-ID` comes
//! first, out of the store. A stream ends when its token does, when the server stops, or
//! when the client leaves.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Documented};
use aide::{OperationInput, OperationOutput};
use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, stream};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use uuid::Uuid;

use super::entries::EntryBody;
use crate::call::Switch;
use crate::domain::event::Kind;
use crate::domain::id::{EventId, OrganizationId};
use crate::domain::log::Level;
use crate::domain::timeline::Wanted;
use crate::http::Services;
use crate::http::auth::{Caller, Viewer};
use crate::http::openapi;
use crate::http::problem::{Code, Problem};
use crate::http::query::{Query, invalid, parameter};
use crate::http::server::Endless;
use crate::live::{Feed, Heard};

/// A comment is sent after so long a silence, so that both sides know of each other.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often it is looked whether the token still holds.
const RECHECK: Duration = Duration::from_secs(30);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies of the nginx kind keep an answer back until it ends unless told otherwise.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Listen {
    source: Option<String>,
    call: Option<String>,
    kind: Option<String>,
    plugin: Option<String>,
    #[schemars(with = "Option<Level>")]
    level: Option<String>,
}

impl Listen {
    fn wanted(self) -> Result<Wanted, Problem> {
        Ok(Wanted {
            source: parameter("source", self.source.as_deref(), str::parse)?,
            kind: parameter("kind", self.kind.as_deref(), Kind::parse)?,
            plugin: parameter("plugin", self.plugin.as_deref(), str::parse)?,
            level: parameter("level", self.level.as_deref(), level)?,
            call: self.call,
        })
    }
}

fn level(text: &str) -> Result<Level, &'static str> {
    serde_json::from_value(text.into())
        .map_err(|_| "expected one of trace, debug, info, warn, error")
}

/// The newest event that the client has heard of, if it was here before.
#[derive(Debug)]
pub(in crate::http) struct LastEvent(Option<EventId>);

impl FromRequestParts<Services> for LastEvent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Services) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(LAST_EVENT_ID) else {
            return Ok(Self(None));
        };
        let id = value.to_str().ok().and_then(|text| text.parse().ok());
        let must = "must be the id of the last message that came, or not be there";
        let id = id.ok_or_else(|| invalid(LAST_EVENT_ID.as_str(), must))?;
        Ok(Self(Some(id)))
    }
}

impl OperationInput for LastEvent {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let last = "The id of the last message that came: what was recorded since comes first.";
        openapi::header(ctx, operation, LAST_EVENT_ID.as_str(), last, false);
    }
}

/// The answer: messages without an end.
#[derive(Debug)]
pub(in crate::http) struct Messages(Response);

impl IntoResponse for Messages {
    fn into_response(self) -> Response {
        self.0
    }
}

impl OperationOutput for Messages {
    type Inner = String;

    fn inferred_responses(
        ctx: &mut GenContext,
        _: &mut Operation,
    ) -> Vec<(Option<u16>, Documented)> {
        let messages = "Server-sent events. The data of each is an entry of a call's timeline.";
        vec![
            (Some(200), openapi::stream(messages)),
            openapi::problem(ctx, 409, "The organization has as many streams as it may."),
        ]
    }
}

pub(in crate::http) async fn listen(
    State(services): State<Services>,
    caller: Caller<Viewer>,
    Query(listen): Query<Listen>,
    LastEvent(last): LastEvent,
    parts: Parts,
) -> Result<Messages, Problem> {
    let wanted = listen.wanted()?;
    let organization = caller.organization;
    let listening = services.switch.live().listen(organization)?;
    // Who hears nothing has a place to come back to all the same.
    let newest = last.unwrap_or_else(|| EventId::from(Uuid::now_v7()));
    let mut feed = Feed::new(listening, wanted, newest);
    if let Some(last) = last {
        let missed = services.store.recorded_since(organization, last).await?;
        feed.catch_up(missed.entries, missed.complete);
    }
    let told = Told {
        feed,
        recheck: rechecks(),
        switch: Arc::clone(&services.switch),
        holds: move || holds(services.clone(), parts.clone()),
        organization,
    };
    let begin = stream::iter([Ok(Event::default().id(newest.to_string()))]);
    let sse = Sse::new(begin.chain(told.events()));
    let sse = sse.keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let unbuffered = [(BUFFERING, HeaderValue::from_static("no"))];
    let response = (Extension(Endless), unbuffered, sse).into_response();
    Ok(Messages(response))
}

/// Whether the token still lets its bearer listen. Where that cannot be found out now,
/// it did a moment ago.
async fn holds(services: Services, mut parts: Parts) -> bool {
    let checked = Caller::<Viewer>::from_request_parts(&mut parts, &services).await;
    let ended = |problem: Problem| matches!(problem.code(), Code::Unauthorized | Code::Forbidden);
    !checked.is_err_and(ended)
}

fn rechecks() -> Interval {
    let mut recheck = interval_at(Instant::now() + RECHECK, RECHECK);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    recheck
}

/// What one client is told.
struct Told<H> {
    feed: Feed,
    recheck: Interval,
    holds: H,
    switch: Arc<Switch>,
    organization: OrganizationId,
}

impl<H, F> Told<H>
where
    H: Fn() -> F + Send,
    F: Future<Output = bool> + Send,
{
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut told| {
            let heard = next(&mut told.feed, &mut told.recheck, &told.holds).await?;
            let event = told.event(&heard).await;
            Some((Ok(event), told))
        })
    }

    async fn event(&self, heard: &Heard) -> Event {
        let event = Event::default().id(self.feed.newest().to_string());
        let (name, data) = match heard {
            Heard::Gap(missed) => ("gap", json(&GapBody::new(*missed))),
            Heard::Entry(entry) => {
                // Without it, endpoints have no names.
                let endpoints = self.switch.directories().of(self.organization).await;
                let endpoints = endpoints.unwrap_or_default();
                let body = EntryBody::new(entry, &endpoints);
                (body.word(), json(&body))
            }
        };
        event.event(name).data(data)
    }
}

/// What is next; none when the stream is to end.
async fn next<F: Future<Output = bool>>(
    feed: &mut Feed,
    recheck: &mut Interval,
    holds: impl Fn() -> F,
) -> Option<Heard> {
    loop {
        tokio::select! {
            heard = feed.next() => return heard,
            _ = recheck.tick() => {
                feed.caught_up();
                if !holds().await {
                    return None;
                }
            }
        }
    }
}

/// Says that messages are missing: at most so many, or nobody knows how many.
#[derive(Serialize)]
struct GapBody {
    #[serde(rename = "type")]
    word: &'static str,
    missed: Option<u64>,
}

impl GapBody {
    fn new(missed: Option<u64>) -> Self {
        Self {
            word: "gap",
            missed,
        }
    }
}

/// Bodies of texts and numbers always have a JSON form.
fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::live::Live;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_soon_after_its_token() {
        let live = Arc::new(Live::default());
        let listening = live.listen(Uuid::from_u128(1).into()).unwrap();
        let mut feed = Feed::new(listening, Wanted::default(), Uuid::nil().into());
        let asked = AtomicUsize::new(0);
        let holds = || std::future::ready(asked.fetch_add(1, Ordering::Relaxed) < 2);
        let begun = Instant::now();
        assert_eq!(next(&mut feed, &mut rechecks(), holds).await, None);
        assert_eq!(begun.elapsed(), RECHECK * 3);
    }
}
