//! The call an event is about, and what was said in it.

use serde::Deserialize;

use crate::{Json, Result};

/// The call an event is about, in words that no platform owns.
///
/// What only one platform has is in its payload: see
/// [`context::payload`](crate::context::payload).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The dialect that read the event, for example `dasha`.
    pub platform: String,
    /// The customer's organization as the platform names it; may be empty.
    pub org_id: String,
    /// The agent (assistant) that handles the call; may be empty.
    pub agent_id: String,
    /// The platform's id of the call; may be empty where it has none yet.
    pub call_id: String,
    /// The call's state in the platform's own word, for example `Queued`.
    pub status: String,
    /// The other party: an E.164 number or a `sip:` URI.
    pub endpoint: Option<String>,
    /// Data the customer attached to this call: a JSON object.
    pub call_data: Json,
    /// Data the customer attached to the agent: a JSON object.
    pub agent_data: Json,
    /// SIP details, where the call came in by SIP.
    pub sip: Option<Sip>,
}

/// What the SIP signalling said about an inbound call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sip {
    /// User part of the From header, often the caller's number.
    pub from_user: Option<String>,
    /// Domain part of the From header.
    pub from_domain: Option<String>,
    /// User part of the To header: the line that was called.
    pub to_user: Option<String>,
    /// Domain part of the To header.
    pub to_domain: Option<String>,
    /// Diversion headers, first to last: who forwarded the call to here.
    pub diversion: Vec<String>,
}

/// One thing said in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Utterance {
    /// Who spoke, in the platform's word: usually `user` or `assistant`.
    pub speaker: String,
    /// The speaker's name, where known.
    pub name: Option<String>,
    /// What was said.
    pub text: String,
    /// When it began, ISO 8601, as the platform wrote it.
    pub start_time: Option<String>,
    /// When it ended, ISO 8601, as the platform wrote it.
    pub end_time: Option<String>,
}

impl Call {
    /// The data attached to this call, read into a type.
    pub fn call_data_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.call_data
            .parse()
            .map_err(|error| error.context("the call's data"))
    }

    /// The data attached to the agent, read into a type.
    pub fn agent_data_as<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.agent_data
            .parse()
            .map_err(|error| error.context("the agent's data"))
    }

    /// True when the call came in. Platforms send SIP details with inbound
    /// calls only, and nothing else tells the direction when a call starts.
    pub fn is_inbound(&self) -> bool {
        self.sip.is_some()
    }

    /// Who called: of an inbound call the SIP From user or else the endpoint,
    /// of an outbound one nobody, since the agent did.
    pub fn caller(&self) -> Option<&str> {
        let sip = self.sip.as_ref()?;
        filled(sip.from_user.as_deref()).or_else(|| filled(self.endpoint.as_deref()))
    }

    /// Who was called: of an inbound call the line (the SIP To user), of an
    /// outbound one the endpoint.
    pub fn callee(&self) -> Option<&str> {
        match &self.sip {
            Some(sip) => filled(sip.to_user.as_deref()),
            None => filled(self.endpoint.as_deref()),
        }
    }

    /// The person the agent talks to: the caller of an inbound call, the callee
    /// of an outbound one.
    pub fn other_party(&self) -> Option<&str> {
        if self.is_inbound() {
            self.caller()
        } else {
            self.callee()
        }
    }
}

/// Text that says something: platforms send empty fields as well as none.
fn filled(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing;

    #[test]
    fn the_caller_of_an_inbound_call_is_the_sip_from_user() {
        let call = testing::call()
            .inbound("+14155551234", "agent-line")
            .build();
        assert_eq!(call.caller(), Some("+14155551234"));
        assert_eq!(call.callee(), Some("agent-line"));
        assert_eq!(call.other_party(), Some("+14155551234"));
    }

    #[test]
    fn an_inbound_call_without_a_from_user_falls_back_to_its_endpoint() {
        let call = testing::call()
            .inbound("", "agent-line")
            .endpoint("+4930123")
            .build();
        assert_eq!(call.caller(), Some("+4930123"));
    }

    #[test]
    fn of_an_outbound_call_the_other_party_is_the_callee() {
        let call = testing::call().outbound("+14155551234").build();
        assert_eq!(call.caller(), None);
        assert_eq!(call.other_party(), Some("+14155551234"));
    }

    #[test]
    fn data_that_does_not_fit_says_whose_data_and_where() {
        let call = testing::call().call_data(json!({"tier": 7})).build();
        let error = call
            .call_data_as::<std::collections::BTreeMap<String, String>>()
            .unwrap_err();
        assert!(format!("{error:#}").starts_with("the call's data: tier: invalid type"));
    }
}
