//! One circuit breaker for each binding that has failed of late.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::domain::breaker::{Admission, Breaker, Policy, Stand};
use crate::domain::decision::{Failure, FailureCode};
use crate::domain::id::BindingId;

/// The breakers of this process. A binding that does well has none.
#[derive(Debug, Default)]
pub struct Breakers {
    policy: Policy,
    breakers: Mutex<HashMap<BindingId, Breaker>>,
}

impl Breakers {
    /// Whether a binding's plugin may be called now.
    pub(super) fn admit(&self, binding: BindingId, now: Instant) -> Result<(), Failure> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        match breakers.get_mut(&binding).map(|breaker| breaker.admit(now)) {
            None | Some(Admission::Go) => Ok(()),
            Some(Admission::Probe) => {
                tracing::info!(%binding, "a circuit breaker lets one call try");
                Ok(())
            }
            Some(Admission::Refused) => Err(Failure {
                code: FailureCode::CircuitOpen,
                message: "the plugin failed too often of late and is not called for a while"
                    .to_owned(),
            }),
        }
    }

    /// Takes note of how a call ended.
    pub(super) fn ended(&self, binding: BindingId, now: Instant, failure: Option<&Failure>) {
        let failed = match failure.map(|failure| failure.code) {
            // Not the plugin's doing.
            Some(FailureCode::Overloaded | FailureCode::CircuitOpen) => return,
            Some(_) => true,
            None => false,
        };
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed && !breakers.contains_key(&binding) {
            return;
        }
        let breaker = breakers
            .entry(binding)
            .or_insert_with(|| Breaker::new(self.policy));
        let before = breaker.stand();
        breaker.ended(now, failed);
        match (before, breaker.stand()) {
            (Stand::Closed | Stand::Probing, Stand::Open { .. }) => {
                let code = failure.map(|failure| tracing::field::display(failure.code));
                tracing::warn!(%binding, code, "a plugin fails too often, its circuit breaker opens");
            }
            (Stand::Probing, Stand::Closed) => {
                tracing::info!(%binding, "a circuit breaker closes again");
            }
            _ => {}
        }
        if breaker.is_at_rest() {
            breakers.remove(&binding);
        }
    }

    /// How a binding's breaker stands.
    pub fn stand(&self, binding: BindingId) -> Stand {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.get(&binding).map_or(Stand::Closed, Breaker::stand)
    }
}
