//! A host and calls for unit tests: a plugin's logic runs natively, without
//! Wasm, under plain `cargo test`.
//!
//! ```
//! use hookswitch_sdk::{StartDecision, config, testing};
//! # use hookswitch_sdk::{Call, Json, Result, StartHandler};
//! # struct Gate;
//! # impl StartHandler for Gate {
//! #     fn on_start(call: &Call, _: &Json) -> Result<StartDecision> {
//! #         let blocked: Vec<String> = config::json("blocked")?.unwrap_or_default();
//! #         let known = call.caller().is_some_and(|caller| blocked.iter().any(|one| one == caller));
//! #         Ok(if known { StartDecision::reject("blocked") } else { StartDecision::accept() })
//! #     }
//! # }
//!
//! // #[test]
//! fn a_blocked_caller_is_rejected() {
//!     let _host = testing::Host::new()
//!         .config("blocked", ["+14155550100"])
//!         .received_at("2025-10-20T15:30:00Z");
//!     let call = testing::call().inbound("+14155550100", "agent-line").build();
//!
//!     let decision = Gate::on_start(&call, &testing::agent_config()).unwrap();
//!
//!     assert_eq!(decision, StartDecision::reject("blocked"));
//! }
//! # a_blocked_caller_is_rejected();
//! ```
//!
//! The host belongs to its thread, so tests do not disturb each other, and is
//! gone when the [`Host`] is dropped.

use std::{marker::PhantomData, time::Duration};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Call, Event, Json, Utterance,
    call::Sip,
    host::stand_in::{Peers, StandIn, with},
    http,
    kv::Code,
    log::Level,
};

/// The host of this thread's test, until it is dropped.
///
/// A fresh one has no settings, an empty key-value store, the payload `{}`,
/// received the event at 1970-01-01T00:00:00Z, leaves ten seconds and grants no
/// HTTP requests.
#[derive(Debug)]
#[must_use = "the host is gone as soon as this is dropped: `let host = …`"]
pub struct Host {
    /// The stand-in lives in this thread; a handle in another would see none.
    _thread: PhantomData<*const ()>,
}

/// A line the plugin has logged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The line.
    pub message: String,
}

impl Host {
    /// A fresh host for this thread.
    pub fn new() -> Self {
        with(|host| *host = StandIn::default());
        Self {
            _thread: PhantomData,
        }
    }

    /// Gives the binding a setting: text, or any value as JSON.
    pub fn config(self, key: &str, value: impl Serialize) -> Self {
        let text = match value_of(value) {
            Value::String(text) => text,
            value => value.to_string(),
        };
        with(|host| host.settings.insert(key.to_owned(), text));
        self
    }

    /// Gives the binding these settings: a JSON object as operators write it.
    ///
    /// # Panics
    /// When it is no object.
    pub fn settings(self, settings: impl Serialize) -> Self {
        let Value::Object(settings) = value_of(settings) else {
            panic!("settings are a JSON object");
        };
        settings
            .into_iter()
            .fold(self, |host, (key, value)| host.config(&key, value))
    }

    /// The event's id.
    pub fn event_id(self, id: &str) -> Self {
        with(|host| id.clone_into(&mut host.event_id));
        self
    }

    /// The request body, as JSON.
    pub fn payload(self, payload: impl Serialize) -> Self {
        with(|host| host.payload = value_of(payload).to_string().into_bytes());
        self
    }

    /// When the event was received, for example `2025-10-20T15:30:00Z`. The
    /// key-value store's clock is set to the same instant.
    ///
    /// # Panics
    /// When that is no instant after 1970.
    pub fn received_at(self, instant: &str) -> Self {
        let ms = instant
            .parse::<jiff::Timestamp>()
            .ok()
            .and_then(|instant| u64::try_from(instant.as_millisecond()).ok())
            .unwrap_or_else(|| panic!("`{instant}` is no instant like 2025-10-20T15:30:00Z"));
        with(|host| {
            host.received_at_ms = ms;
            host.store.now_ms = ms;
        });
        self
    }

    /// The time left to answer in.
    pub fn remaining(self, remaining: Duration) -> Self {
        with(|host| host.remaining_ms = milliseconds(remaining));
        self
    }

    /// Puts a value into the key-value store, to stay.
    pub fn kv(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        with(|host| host.store.put(key, value.as_ref(), None));
        self
    }

    /// Makes the key-value store refuse everything with this code.
    pub fn kv_fails(self, code: Code) -> Self {
        with(|host| host.store.refusal = Some(code));
        self
    }

    /// Makes the next compare-and-swaps find that somebody else was faster.
    pub fn lose_swaps(self, count: u32) -> Self {
        with(|host| host.store.swaps_to_lose = count);
        self
    }

    /// Answers every HTTP request of the plugin, in the place of whoever it is
    /// sent to. A host that the binding does not grant is
    /// [`Code::HttpRequestDenied`](http::Code::HttpRequestDenied).
    ///
    /// ```
    /// use hookswitch_sdk::{http, json, testing};
    ///
    /// let host = testing::Host::new().http(|request| match (request.method(), request.url()) {
    ///     ("GET", "https://crm.example.com/me") => Ok(http::Response::new(200).with_json(&json!({"id": 7}))),
    ///     ("GET", "https://slow.example.com/") => Err(http::Code::HttpResponseTimeout),
    ///     _ => Err(http::Code::HttpRequestDenied),
    /// });
    ///
    /// assert!(http::get("https://crm.example.com/me").unwrap().is_success());
    /// assert!(http::get("https://slow.example.com/").unwrap_err().is_timeout());
    /// assert_eq!(host.requests().len(), 2);
    /// ```
    pub fn http(
        self,
        answer: impl Fn(&http::Request) -> Result<http::Response, http::Code> + 'static,
    ) -> Self {
        with(|host| host.peers = Some(Peers::new(answer)));
        self
    }

    /// Lets time pass for the key-value store's times to live. When the event
    /// was received stays what it is.
    pub fn advance(&self, time: Duration) {
        with(|host| host.store.now_ms += milliseconds(time));
    }

    /// What the plugin has logged, first to last.
    pub fn logged(&self) -> Vec<LogLine> {
        with(|host| host.log.clone())
    }

    /// The HTTP requests that the plugin has made, first to last.
    pub fn requests(&self) -> Vec<http::Request> {
        with(|host| host.requests.clone())
    }

    /// The keys in the key-value store, sorted. Values are read as the plugin
    /// reads them, with [`kv::get`](crate::kv::get).
    pub fn kv_keys(&self) -> Vec<String> {
        with(|host| host.store.keys())
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        with(|host| *host = StandIn::default());
    }
}

/// A call to change as the test needs it: an inbound one from `+14155551234` to
/// `agent-line` in the Dasha dialect, without data, unless told otherwise.
pub fn call() -> CallBuilder {
    let sip = Sip {
        from_user: Some("+14155551234".to_owned()),
        from_domain: Some("sip.provider.com".to_owned()),
        to_user: Some("agent-line".to_owned()),
        to_domain: Some("blackbox.dasha.ai".to_owned()),
        diversion: Vec::new(),
    };
    CallBuilder(Call {
        platform: "dasha".to_owned(),
        org_id: "org_123abc".to_owned(),
        agent_id: "agent_xyz789".to_owned(),
        call_id: "call_abc123def456".to_owned(),
        status: "Queued".to_owned(),
        endpoint: Some("+14155551234".to_owned()),
        call_data: Json::trusted("{}"),
        agent_data: Json::trusted("{}"),
        sip: Some(sip),
    })
}

/// Changes a [`Call`] for a test; made by [`call`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CallBuilder(Call);

impl CallBuilder {
    /// A call that came in by SIP from that number to that line.
    pub fn inbound(mut self, from: &str, line: &str) -> Self {
        let sip = self.0.sip.get_or_insert_default();
        sip.from_user = Some(from.to_owned());
        sip.to_user = Some(line.to_owned());
        self.0.endpoint = Some(from.to_owned());
        self
    }

    /// A call to that number, without SIP details.
    pub fn outbound(mut self, to: &str) -> Self {
        self.0.sip = None;
        self.0.endpoint = Some(to.to_owned());
        self
    }

    /// The other party as the platform names it.
    pub fn endpoint(mut self, endpoint: &str) -> Self {
        self.0.endpoint = Some(endpoint.to_owned());
        self
    }

    /// No endpoint at all, as a web chat has none.
    pub fn without_endpoint(mut self) -> Self {
        self.0.endpoint = None;
        self
    }

    /// The platform's id of the call.
    pub fn call_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.0.call_id);
        self
    }

    /// The agent that handles the call.
    pub fn agent_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.0.agent_id);
        self
    }

    /// The platform's word for the call's state.
    pub fn status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.0.status);
        self
    }

    /// The dialect that read the event.
    pub fn platform(mut self, platform: &str) -> Self {
        platform.clone_into(&mut self.0.platform);
        self
    }

    /// Data the customer attached to the call.
    pub fn call_data(mut self, data: impl Serialize) -> Self {
        self.0.call_data = document(data);
        self
    }

    /// Data the customer attached to the agent.
    pub fn agent_data(mut self, data: impl Serialize) -> Self {
        self.0.agent_data = document(data);
        self
    }

    /// The call.
    pub fn build(self) -> Call {
        self.0
    }
}

/// A small agent configuration in Dasha's form.
pub fn agent_config() -> Json {
    document(json!({
        "primaryLanguage": "en-US",
        "ttsConfig": {"vendor": "elevenlabs", "voiceId": "calm"},
        "llmConfig": {"vendor": "openai", "model": "gpt-4.1-mini"},
    }))
}

/// Something said in a call, by `user` or `assistant`.
pub fn said(speaker: &str, text: &str) -> Utterance {
    Utterance {
        speaker: speaker.to_owned(),
        name: None,
        text: text.to_owned(),
        start_time: None,
        end_time: None,
    }
}

/// An event of that kind about that call, with that payload.
pub fn event(kind: &str, call: Call, body: impl Serialize) -> Event {
    Event {
        id: "evt_test".to_owned(),
        kind: kind.to_owned(),
        call,
        body: document(body),
    }
}

/// Any value as a JSON document.
///
/// # Panics
/// When the value has no JSON form.
pub fn document(value: impl Serialize) -> Json {
    Json::trusted(value_of(value).to_string())
}

fn value_of(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("a value without JSON form: {error}"))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
