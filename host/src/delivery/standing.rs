//! How an endpoint stands: what its attempts come to over time, and who is told.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Shared;
use crate::domain::delivery::{Heard, Judgement, judge};
use crate::domain::endpoint::{Disabled, Endpoint, Standing};
use crate::domain::event::Kind;
use crate::domain::id::{DeliveryId, EndpointId, EventId};
use crate::domain::plugin::Name;
use crate::store::{Alert, StoreError};

/// After so many failures one after the other it is said that an endpoint fails.
const ANNOUNCED_AFTER: u32 = 5;

/// What a lane remembers of its endpoint.
#[derive(Debug, Default)]
pub(super) struct Record {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    failing_since: Option<Timestamp>,
    failures: u32,
    announced: bool,
}

/// What is to be written down, and said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    standing: Standing,
    say: Option<Say>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Say {
    Failing,
    Recovered,
    Disabled,
}

impl Known {
    fn heard(&mut self, endpoint: &Endpoint, heard: Heard, now: Timestamp) -> Option<Change> {
        if heard.is_success() {
            return self.succeeded();
        }
        self.failures += 1;
        let first = self.failing_since.is_none();
        let since = *self.failing_since.get_or_insert(now);
        let disabled = |why| Change {
            standing: Standing::Disabled { why, since: now },
            say: Some(Say::Disabled),
        };
        if judge(heard) == Judgement::Gone {
            return Some(disabled(Disabled::Gone));
        }
        let after = endpoint.settings.disable_after_seconds;
        let failing = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        if after > 0 && failing >= Duration::from_secs(after.into()) {
            return Some(disabled(Disabled::Failing));
        }
        let announce = self.failures >= ANNOUNCED_AFTER && !self.announced;
        self.announced |= announce;
        (first || announce).then_some(Change {
            standing: Standing::Enabled {
                failing_since: Some(since),
            },
            say: announce.then_some(Say::Failing),
        })
    }

    fn succeeded(&mut self) -> Option<Change> {
        let before = std::mem::take(self);
        before.failing_since.map(|_| Change {
            standing: Standing::Enabled {
                failing_since: None,
            },
            say: before.announced.then_some(Say::Recovered),
        })
    }
}

impl Record {
    /// What the store knows of it, from before this process.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let failing_since = match endpoint.standing {
            Standing::Enabled { failing_since } => failing_since,
            Standing::Disabled { .. } => None,
        };
        Self {
            known: Mutex::new(Known {
                failing_since,
                ..Known::default()
            }),
        }
    }

    /// An endpoint that is enabled again begins anew.
    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
    }

    /// Takes note of an attempt; what changes with it is written down and said.
    pub(super) async fn heard(
        &self,
        shared: &Shared,
        endpoint: &Endpoint,
        heard: Heard,
    ) -> Result<(), StoreError> {
        let now = Timestamp::now();
        let (change, since) = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let since = known.failing_since;
            (known.heard(endpoint, heard, now), since)
        };
        let Some(Change { standing, say }) = change else {
            return Ok(());
        };
        let alert = match say {
            None => None,
            Some(say) => Some(alert(shared, endpoint, say, standing, since, now).await?),
        };
        let addressees: Vec<_> = alert.iter().flat_map(addressees).collect();
        let said = alert.as_ref().map(|alert| alert.event.clone());
        let written = shared
            .store
            .set_standing(endpoint.id, standing, alert, now)
            .await?;
        if written {
            log(endpoint.id, standing, say);
            shared.switch.doorbell().ring(addressees);
            if let Some(event) = &said {
                shared.switch.tell_event(event);
            }
        }
        Ok(())
    }
}

fn addressees(alert: &Alert) -> impl Iterator<Item = crate::call::Addressee> {
    let organization = alert.event.organization;
    alert.owed.iter().map(move |it| (organization, it.endpoint))
}

fn log(endpoint: EndpointId, standing: Standing, say: Option<Say>) {
    match (say, standing) {
        (Some(Say::Failing), _) => tracing::warn!(%endpoint, "an endpoint keeps failing"),
        (Some(Say::Recovered), _) => tracing::info!(%endpoint, "an endpoint takes events again"),
        (Some(Say::Disabled), Standing::Disabled { why, .. }) => {
            tracing::warn!(%endpoint, why = why.as_str(), "an endpoint was disabled");
        }
        _ => {}
    }
}

/// What an alert about an endpoint says.
#[derive(Serialize)]
struct About<'a> {
    endpoint: EndpointId,
    name: &'a Name,
    url: &'a str,
    failing_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

async fn alert(
    shared: &Shared,
    endpoint: &Endpoint,
    say: Say,
    standing: Standing,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Alert, StoreError> {
    let kind = match say {
        Say::Failing => Kind::ENDPOINT_FAILING,
        Say::Recovered => Kind::ENDPOINT_RECOVERED,
        Say::Disabled => Kind::ENDPOINT_DISABLED,
    };
    let about = About {
        endpoint: endpoint.id,
        name: &endpoint.name,
        url: endpoint.settings.url.as_str(),
        failing_since: since,
        reason: match standing {
            Standing::Disabled { why, .. } => Some(why.as_str()),
            Standing::Enabled { .. } => None,
        },
    };
    let organization = endpoint.organization;
    shared.switch.alert(organization, kind, &about, now).await
}

/// What an alert about a delivery says.
#[derive(Serialize)]
struct Exhausted<'a> {
    delivery: DeliveryId,
    event: EventId,
    kind: &'a Kind,
    endpoint: EndpointId,
    name: &'a Name,
    attempts: u32,
}

/// The event that a delivery was given up. Nothing is said about our own events: that
/// would go on for ever.
pub(super) async fn exhausted(
    shared: &Shared,
    endpoint: &Endpoint,
    claimed: &crate::store::delivery::Claimed,
) -> Result<Option<Alert>, StoreError> {
    if claimed.kind.is_our_own() {
        return Ok(None);
    }
    let about = Exhausted {
        delivery: claimed.id,
        event: claimed.event,
        kind: &claimed.kind,
        endpoint: endpoint.id,
        name: &endpoint.name,
        attempts: claimed.made + 1,
    };
    let (organization, kind) = (endpoint.organization, Kind::DELIVERY_EXHAUSTED);
    let alert = shared
        .switch
        .alert(organization, kind, &about, Timestamp::now());
    alert.await.map(Some)
}

pub(super) fn ring(shared: &Shared, alert: Option<&Alert>) {
    let addressees = alert.into_iter().flat_map(addressees);
    shared.switch.doorbell().ring(addressees);
}

#[cfg(test)]
#[allow(
    clippy::unnecessary_wraps,
    reason = "the rows of a table have one type"
)]
mod tests {
    use crate::domain::revision::Revision;
    use uuid::Uuid;

    use super::*;
    use crate::domain::delivery::SendFailure;
    use crate::domain::endpoint::{Signing, SigningSecret};

    const OK: Heard = Heard::Reply {
        status: 200,
        retry_after: None,
    };
    const GONE: Heard = Heard::Reply {
        status: 410,
        retry_after: None,
    };
    const NOT_FOUND: Heard = Heard::Reply {
        status: 404,
        retry_after: None,
    };
    const DEAD: Heard = Heard::Nothing(SendFailure::ConnectionRefused);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn endpoint(disable_after: u32) -> Endpoint {
        let settings =
            format!(r#"{{"url":"https://example.com/","disable_after_seconds":{disable_after}}}"#);
        Endpoint {
            id: Uuid::from_u128(1).into(),
            organization: Uuid::from_u128(2).into(),
            name: "crm".parse().unwrap(),
            settings: serde_json::from_str(&settings).unwrap(),
            proof: Vec::new(),
            signing: Signing {
                current: SigningSecret::new([1; 32]),
                previous: None,
            },
            standing: Standing::Enabled {
                failing_since: None,
            },
            revision: Revision::FIRST,
            created_at: at(0),
            updated_at: at(0),
        }
    }

    fn failing(since: i64, say: Option<Say>) -> Change {
        let failing_since = Some(at(since));
        let standing = Standing::Enabled { failing_since };
        Change { standing, say }
    }

    fn fine(say: Option<Say>) -> Change {
        let standing = Standing::Enabled {
            failing_since: None,
        };
        Change { standing, say }
    }

    fn disabled(why: Disabled, since: i64) -> Change {
        let since = at(since);
        let standing = Standing::Disabled { why, since };
        let say = Some(Say::Disabled);
        Change { standing, say }
    }

    /// What an endpoint's attempts come to, one after the other: when, what was heard,
    /// and what changes.
    fn check(disable_after: u32, attempts: &[(i64, Heard, Option<Change>)]) {
        let (endpoint, mut known) = (endpoint(disable_after), Known::default());
        for (number, (second, heard, expected)) in attempts.iter().enumerate() {
            let change = known.heard(&endpoint, *heard, at(*second));
            assert_eq!(change, *expected, "attempt {number}: {heard:?}");
        }
    }

    #[test]
    fn the_first_failure_is_written_down_and_the_fifth_in_a_row_is_said() {
        let attempts = [
            (1, OK, None),
            (2, DEAD, Some(failing(2, None))),
            (3, DEAD, None),
            (4, NOT_FOUND, None),
            (5, DEAD, None),
            (6, DEAD, Some(failing(2, Some(Say::Failing)))),
            (7, DEAD, None),
            (8, OK, Some(fine(Some(Say::Recovered)))),
            (9, OK, None),
        ];
        check(60, &attempts);
    }

    #[test]
    fn a_recovery_that_nobody_was_told_to_wait_for_is_not_said() {
        let attempts = [
            (1, DEAD, Some(failing(1, None))),
            (2, OK, Some(fine(None))),
            (3, DEAD, Some(failing(3, None))),
        ];
        check(60, &attempts);
    }

    #[test]
    fn who_fails_for_as_long_as_it_may_is_disabled() {
        let attempts = [
            (100, DEAD, Some(failing(100, None))),
            (159, DEAD, None),
            (160, DEAD, Some(disabled(Disabled::Failing, 160))),
        ];
        check(60, &attempts);
    }

    #[test]
    fn a_success_between_begins_the_time_anew() {
        let attempts = [
            (100, DEAD, Some(failing(100, None))),
            (150, OK, Some(fine(None))),
            (155, DEAD, Some(failing(155, None))),
            (214, DEAD, None),
            (215, DEAD, Some(disabled(Disabled::Failing, 215))),
        ];
        check(60, &attempts);
    }

    #[test]
    fn one_that_is_never_to_be_disabled_is_not() {
        let attempts = [
            (100, DEAD, Some(failing(100, None))),
            (100_000_000, DEAD, None),
        ];
        check(0, &attempts);
    }

    #[test]
    fn a_clock_that_goes_back_disables_nobody() {
        let attempts = [(1_000, DEAD, Some(failing(1_000, None))), (1, DEAD, None)];
        check(60, &attempts);
    }

    #[test]
    fn who_is_gone_is_disabled_at_once() {
        check(0, &[(1, GONE, Some(disabled(Disabled::Gone, 1)))]);
    }

    #[test]
    fn what_the_store_knows_counts_after_a_restart() {
        let mut endpoint = endpoint(60);
        endpoint.standing = Standing::Enabled {
            failing_since: Some(at(100)),
        };
        let record = Record::of(&endpoint);
        let mut known = record.known.lock().unwrap();
        let change = known.heard(&endpoint, DEAD, at(160));
        assert_eq!(change, Some(disabled(Disabled::Failing, 160)));
    }
}
