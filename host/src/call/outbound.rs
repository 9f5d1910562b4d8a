//! What a binding may reach over HTTP: its grants with their secrets filled in, and
//! one rate for all its calls.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderName, HeaderValue};

use crate::domain::binding::Binding;
use crate::domain::grant::http::HttpGrant;
use crate::domain::id::BindingId;
use crate::domain::plugin::Name;
use crate::domain::secret::Secret;
use crate::egress::Egress;
use crate::runtime::capability::http::{HttpAccess, HttpRule, RequestRate};

/// Makes [`HttpAccess`] for bindings. One for the process.
pub(super) struct Outbound {
    egress: Egress,
    rates: Mutex<HashMap<BindingId, Arc<Rate>>>,
}

struct Rate {
    per_minute: u32,
    limiter: DefaultDirectRateLimiter,
}

impl RequestRate for Rate {
    fn take(&self) -> bool {
        self.limiter.check().is_ok()
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").finish_non_exhaustive()
    }
}

impl Outbound {
    pub(super) fn new(egress: Egress) -> Self {
        Self {
            egress,
            rates: Mutex::default(),
        }
    }

    /// What a binding may reach; none if it grants no host.
    pub(super) fn access(
        &self,
        binding: &Binding,
        per_minute: u32,
        secrets: &HashMap<Name, Secret>,
    ) -> Option<Arc<HttpAccess>> {
        if binding.granted.http.is_empty() {
            return None;
        }
        let rules = binding.granted.http.iter().map(|grant| {
            let headers = headers(grant, secrets);
            if headers.is_none() {
                tracing::warn!(binding = %binding.id, host = %grant.host, "requests to a granted host lack their secret and are refused");
            }
            HttpRule {
                grant: grant.clone(),
                headers,
            }
        });
        Some(Arc::new(HttpAccess {
            binding: binding.id,
            egress: self.egress.clone(),
            rules: rules.collect(),
            rate: self.rate(binding.id, per_minute),
        }))
    }

    /// The binding's one rate, which outlives a change of the set-up; otherwise every
    /// change would give everybody a fresh minute.
    fn rate(&self, binding: BindingId, per_minute: u32) -> Arc<Rate> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= KEPT {
            // Those that nobody holds belong to bindings that were changed or are gone.
            rates.retain(|_, rate| Arc::strong_count(rate) > 1);
        }
        let fresh = || {
            let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
            Arc::new(Rate {
                per_minute,
                limiter: RateLimiter::direct(quota),
            })
        };
        let rate = rates.entry(binding).or_insert_with(fresh);
        if rate.per_minute != per_minute {
            *rate = fresh();
        }
        Arc::clone(rate)
    }
}

/// Rates kept before those that nobody holds are dropped.
const KEPT: usize = 10_000;

/// The headers a grant adds; none if one of its secrets is missing.
fn headers(
    grant: &HttpGrant,
    secrets: &HashMap<Name, Secret>,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let filled = grant.headers.iter().map(|(name, template)| {
        let text = template.render(|name| secrets.get(name).map(Secret::expose))?;
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some((
            HeaderName::from_bytes(name.as_str().as_bytes()).ok()?,
            value,
        ))
    });
    filled.collect()
}
