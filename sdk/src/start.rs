//! Deciding whether a call starts.

use serde::Serialize;

use crate::{Call, Json, Result};

/// Decides whether a call starts, and with which agent configuration.
///
/// ```
/// use hookswitch_sdk::{Call, Json, Result, StartDecision, StartHandler};
///
/// struct OnlyInbound;
///
/// impl StartHandler for OnlyInbound {
///     fn on_start(call: &Call, _agent_config: &Json) -> Result<StartDecision> {
///         if call.is_inbound() {
///             Ok(StartDecision::accept())
///         } else {
///             Ok(StartDecision::reject("This line only takes calls."))
///         }
///     }
/// }
/// hookswitch_sdk::export!(OnlyInbound: start);
/// ```
pub trait StartHandler {
    /// `agent_config` is the configuration the call would start with: a JSON
    /// object in the platform's own form.
    ///
    /// An error is the plugin's own failure: the host answers with the failure
    /// verdict, and the error's text goes to the log, never to the platform.
    fn on_start(call: &Call, agent_config: &Json) -> Result<StartDecision>;
}

/// What becomes of a call that is about to start.
#[derive(Clone, Debug, PartialEq)]
pub enum StartDecision {
    /// The call starts.
    Accept(Acceptance),
    /// The call does not start, for this reason (at least one character).
    Reject(String),
    /// The endpoint of that name answers instead.
    Forward(String),
    /// No opinion: the next binding is asked.
    Pass,
}

/// How a call is let through.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Acceptance {
    /// Replaces the agent's whole configuration.
    pub agent_config: Option<Json>,
    /// Added to the call's context: a JSON object.
    pub additional_data: Option<Json>,
}

impl StartDecision {
    /// Lets the call start as it is.
    pub fn accept() -> Self {
        Self::Accept(Acceptance::default())
    }

    /// Refuses the call. The platform wants a reason of at least one character.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// Lets the endpoint of that name answer.
    pub fn forward(endpoint: impl Into<String>) -> Self {
        Self::Forward(endpoint.into())
    }

    /// Replaces the agent's **whole** configuration, which must therefore be
    /// complete: it is not merged into the original.
    ///
    /// Changes an acceptance only; a call that is not accepted has no agent.
    /// Fails when the value has no JSON form.
    pub fn with_agent_config(mut self, config: impl Serialize) -> Result<Self> {
        if let Self::Accept(acceptance) = &mut self {
            acceptance.agent_config = Some(Json::of(&config)?);
        }
        Ok(self)
    }

    /// Adds to the call's context: `data` becomes a JSON object.
    ///
    /// Changes an acceptance only. Fails when the value has no JSON form.
    pub fn with_additional_data(mut self, data: impl Serialize) -> Result<Self> {
        if let Self::Accept(acceptance) = &mut self {
            acceptance.additional_data = Some(Json::of(&data)?);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_acceptance_carries_configuration_and_data() {
        let decision = StartDecision::accept()
            .with_agent_config(json!({"primaryLanguage": "de-DE"}))
            .and_then(|decision| decision.with_additional_data(json!({"vip": true})))
            .unwrap();
        let StartDecision::Accept(acceptance) = decision else {
            panic!("not accepted")
        };
        assert_eq!(
            acceptance.agent_config,
            Some(Json::trusted(r#"{"primaryLanguage":"de-DE"}"#))
        );
        assert_eq!(
            acceptance.additional_data,
            Some(Json::trusted(r#"{"vip":true}"#))
        );
    }

    #[test]
    fn a_rejection_takes_no_configuration() {
        let decision = StartDecision::reject("closed")
            .with_agent_config(json!({}))
            .unwrap();
        assert_eq!(decision, StartDecision::reject("closed"));
    }
}
