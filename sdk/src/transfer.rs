//! Deciding where a call is transferred.

use serde::Serialize;

use crate::{Call, Json, Result, Utterance};

/// Decides where a call is transferred.
///
/// ```
/// use hookswitch_sdk::{Call, Result, TransferDecision, TransferHandler, Utterance};
///
/// struct ToSales;
///
/// impl TransferHandler for ToSales {
///     fn on_transfer(
///         _call: &Call,
///         reason: Option<&str>,
///         _transcription: &[Utterance],
///     ) -> Result<TransferDecision> {
///         match reason {
///             Some("sales") => Ok(TransferDecision::cold("+14155550100")),
///             _ => Ok(TransferDecision::Pass),
///         }
///     }
/// }
/// hookswitch_sdk::export!(ToSales: transfer);
/// ```
pub trait TransferHandler {
    /// `reason` is why the agent transfers, `transcription` what was said so
    /// far, first to last.
    ///
    /// An error is the plugin's own failure: the host answers with the failure
    /// verdict, and the error's text goes to the log, never to the platform.
    fn on_transfer(
        call: &Call,
        reason: Option<&str>,
        transcription: &[Utterance],
    ) -> Result<TransferDecision>;
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq)]
pub enum TransferDecision {
    /// Hands the call over and leaves.
    Cold(Target),
    /// Speaks to the other side first.
    Warm(Target),
    /// The endpoint of that name answers instead.
    Forward(String),
    /// No opinion: the next binding is asked.
    Pass,
}

/// The other end of a transfer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Target {
    /// An E.164 number (`+14155550100`) or a `sip:` URI.
    pub destination: String,
    /// A JSON object merged into the reply, for what only one platform has.
    pub options: Option<Json>,
}

impl TransferDecision {
    /// Hands the call over to an E.164 number or a `sip:` URI, and leaves.
    pub fn cold(destination: impl Into<String>) -> Self {
        Self::Cold(Target {
            destination: destination.into(),
            options: None,
        })
    }

    /// Speaks to an E.164 number or a `sip:` URI first.
    pub fn warm(destination: impl Into<String>) -> Self {
        Self::Warm(Target {
            destination: destination.into(),
            options: None,
        })
    }

    /// Lets the endpoint of that name answer.
    pub fn forward(endpoint: impl Into<String>) -> Self {
        Self::Forward(endpoint.into())
    }

    /// Merges a JSON object into the reply, for what only one platform has.
    ///
    /// Changes a cold or warm transfer only. Fails when the value has no JSON
    /// form.
    pub fn with_options(mut self, options: impl Serialize) -> Result<Self> {
        if let Self::Cold(target) | Self::Warm(target) = &mut self {
            target.options = Some(Json::of(&options)?);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_carries_its_options() {
        let decision = TransferDecision::warm("sip:desk@example.com")
            .with_options(json!({"description": "VIP"}))
            .unwrap();
        let TransferDecision::Warm(target) = decision else {
            panic!("not warm")
        };
        assert_eq!(target.destination, "sip:desk@example.com");
        assert_eq!(
            target.options,
            Some(Json::trusted(r#"{"description":"VIP"}"#))
        );
    }

    #[test]
    fn passing_takes_no_options() {
        let decision = TransferDecision::Pass.with_options(json!({})).unwrap();
        assert_eq!(decision, TransferDecision::Pass);
    }
}
