//! Turns a finished call into a lean record for a CRM, drops test calls, and
//! sends each record to the systems its outcome concerns.
//!
//! It takes `call.completed`, `call.failed` and `call.deadline`; every other
//! kind of event goes on unchanged.
//!
//! # Settings
//!
//! | setting | what it is | default |
//! |---|---|---|
//! | `endpoints` | outcome → names of endpoints | `{}` |
//! | `default_endpoints` | for outcomes `endpoints` does not name | `["crm"]` |
//! | `outcome_field` | the label of the post-call analysis that says the outcome | `"callOutcome"` |
//! | `copy_call_data` | fields of the call's data that go into the record | `[]` |
//! | `test_calls` | how a test call is known, any of: `call_data_flag` (a field of the call's data that is true), `agent_ids`, `call_types` | `{"call_data_flag": "test"}` |
//!
//! ```json
//! {
//!   "endpoints": {"appointment_booked": ["crm", "calendar"], "failed": ["crm", "ops"], "wrong_number": []},
//!   "copy_call_data": ["campaignId"],
//!   "test_calls": {"call_data_flag": "test", "agent_ids": ["agent_staging"], "call_types": ["WebChat"]}
//! }
//! ```
//!
//! The outcome is what the analysis says, or else `completed`, `failed` or
//! `deadline`, as the event is. An outcome with no endpoints goes to nobody.
//! `test_calls` replaces the whole default: `{}` knows no test calls.
//!
//! # The record
//!
//! ```json
//! {
//!   "event_id": "evt_…", "kind": "call.completed", "call_id": "call_abc123def456",
//!   "agent_id": "agent_xyz789", "phone": "+14155551234", "call_type": "OutboundAudio",
//!   "outcome": "appointment_booked", "sentiment": "positive", "satisfaction": 8.5,
//!   "duration_seconds": 312, "finish_reason": "user_hangup",
//!   "extracted": {"customerName": "John Doe"},
//!   "transcript": {"utterances": 2, "by_customer": 1, "by_agent": 1, "customer_words": 6},
//!   "transfers": 0,
//!   "links": {"inspector": "https://…", "recording": "https://…"},
//!   "created_at": "2025-10-20T15:30:00.000Z", "finished_at": "2025-10-20T15:35:00.000Z"
//! }
//! ```
//!
//! Fields for which there is nothing are left out. What was said stays out of
//! the CRM: the record counts it. An event may be handled twice (after a crash);
//! `event_id` is then the same, for the CRM to know it again.
//!
//! # In here
//!
//! `record.rs` makes the record, `settings.rs` reads the settings and knows test
//! calls. The payload is read as the Dasha dialect has it, and leniently: what
//! another platform does not send is left out.

mod record;
mod settings;

use hookswitch_sdk::{
    Delivery, Event, EventDecision, EventHandler, Result, log, serde_json::Value,
};

use self::settings::Settings;

struct CrmSync;

hookswitch_sdk::export!(CrmSync: event);

impl EventHandler for CrmSync {
    fn on_event(event: &Event) -> Result<EventDecision> {
        let Some(fallback_outcome) = plain_outcome(&event.kind) else {
            return Ok(EventDecision::Unchanged);
        };
        let settings = Settings::read()?;
        let body: Value = event.body_as()?;
        if settings.test_calls.include(&event.call, &body)? {
            log::info!("call {} is a test", event.call.call_id);
            return Ok(EventDecision::Drop);
        }
        let outcome = record::outcome(&body, &settings.outcome_field).unwrap_or(fallback_outcome);
        let record = record::make(event, &body, outcome, &settings.copy_call_data)?;
        let endpoints = settings.endpoints_of(outcome);
        if endpoints.is_empty() {
            log::info!("outcome `{outcome}` concerns nobody");
            return Ok(EventDecision::Drop);
        }
        let deliveries: Result<Vec<_>> = endpoints
            .iter()
            .map(|name| Delivery::to(name).with_body(&record))
            .collect();
        Ok(EventDecision::deliver(deliveries?))
    }
}

/// The outcome of an event whose call nobody has analysed; none of events this
/// plugin leaves alone.
fn plain_outcome(kind: &str) -> Option<&'static str> {
    match kind {
        "call.completed" => Some("completed"),
        "call.failed" => Some("failed"),
        "call.deadline" => Some("deadline"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hookswitch_sdk::{Json, json, testing};

    use super::*;

    fn completed() -> Value {
        json!({
            "callType": "OutboundAudio",
            "durationSeconds": 312,
            "result": {"postCallAnalysis": {"callOutcome": "appointment_booked", "sentiment": "positive"}},
            "transcription": [{"speaker": "user", "text": "I'd like to schedule an appointment."}],
        })
    }

    fn handle(settings: Value, kind: &str, body: Value) -> EventDecision {
        let _host = testing::Host::new().settings(settings);
        let call = testing::call().outbound("+14155551234").build();
        CrmSync::on_event(&testing::event(kind, call, body)).unwrap()
    }

    fn endpoints(decision: EventDecision) -> Vec<String> {
        match decision {
            EventDecision::Deliver(deliveries) => deliveries
                .into_iter()
                .map(|delivery| delivery.endpoint)
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    fn record(decision: EventDecision) -> Value {
        let EventDecision::Deliver(deliveries) = decision else {
            panic!("{decision:?}")
        };
        let body = deliveries
            .into_iter()
            .next()
            .and_then(|delivery| delivery.body);
        body.as_ref().map(Json::value).unwrap().unwrap()
    }

    #[test]
    fn other_kinds_go_on_unchanged() {
        assert_eq!(
            handle(json!({}), "call.start", json!({})),
            EventDecision::Unchanged
        );
        assert_eq!(
            handle(json!({}), "contact.created", json!({})),
            EventDecision::Unchanged
        );
    }

    #[test]
    fn an_outcome_goes_to_its_endpoints_and_the_rest_to_the_default() {
        let settings = json!({"endpoints": {"appointment_booked": ["crm", "calendar"]}});
        let booked = handle(settings.clone(), "call.completed", completed());
        assert_eq!(endpoints(booked), ["crm", "calendar"]);
        let failed = handle(settings, "call.failed", json!({}));
        assert_eq!(endpoints(failed), ["crm"]);
    }

    #[test]
    fn an_outcome_without_endpoints_goes_to_nobody() {
        let settings = json!({"endpoints": {"deadline": []}});
        assert_eq!(
            handle(settings, "call.deadline", json!({})),
            EventDecision::Drop
        );
    }

    #[test]
    fn without_an_analysis_the_kind_is_the_outcome() {
        for (kind, outcome) in [
            ("call.completed", "completed"),
            ("call.failed", "failed"),
            ("call.deadline", "deadline"),
        ] {
            assert_eq!(
                record(handle(json!({}), kind, json!({})))["outcome"],
                outcome
            );
        }
    }

    #[test]
    fn the_outcome_may_be_under_another_label() {
        let body = json!({"result": {"postCallAnalysis": {"verdict": "sold"}}});
        let settings = json!({"outcome_field": "verdict"});
        assert_eq!(
            record(handle(settings, "call.completed", body))["outcome"],
            "sold"
        );
    }

    #[test]
    fn test_calls_are_dropped() {
        let settings = json!({"test_calls": {"agent_ids": ["agent_xyz789"]}});
        assert_eq!(
            handle(settings, "call.completed", completed()),
            EventDecision::Drop
        );
        let settings = json!({"test_calls": {"call_types": ["outboundaudio"]}});
        assert_eq!(
            handle(settings, "call.completed", completed()),
            EventDecision::Drop
        );
    }

    #[test]
    fn bad_settings_are_named() {
        let refused = |settings: Value| {
            let _host = testing::Host::new().settings(settings);
            let event = testing::event("call.failed", testing::call().build(), json!({}));
            CrmSync::on_event(&event).unwrap_err().to_string()
        };
        let error = refused(json!({"endpoints": {"sold": "crm"}}));
        assert!(
            error.starts_with("setting `endpoints` does not fit: sold: invalid type"),
            "{error}"
        );
        let error = refused(json!({"test_calls": {"agents": []}}));
        assert!(
            error.starts_with("setting `test_calls` does not fit: agents: unknown"),
            "{error}"
        );
        let error = refused(json!({"default_endpoints": ["crm", ""]}));
        assert_eq!(
            error,
            "setting `default_endpoints` must not have an empty name"
        );
    }
}
