//! How an endpoint does.

use jiff::Timestamp;

use crate::domain::id::EndpointId;
use crate::store::{Store, StoreError, row};

/// How an endpoint does, from its latest attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Attempts looked at: up to [`Store::HEALTH_ATTEMPTS`] of the last 24 hours.
    pub attempts: u32,
    pub successes: u32,
    pub mean_us: Option<u64>,
    pub p95_us: Option<u64>,
    /// Of the latest attempt: its reply's status, none if there was none.
    pub last_status: Option<u16>,
    pub last_attempt_at: Option<Timestamp>,
    /// Deliveries that are owed now.
    pub owed: u64,
}

pub(super) const HEALTH: &str = "SELECT started_at, elapsed_us, status FROM attempt \
    INDEXED BY attempt_by_endpoint WHERE endpoint_id = ?1 AND started_at >= ?2 \
    ORDER BY started_at DESC LIMIT ?3";

pub(super) const COUNT_OWED: &str = "SELECT count(*) FROM (SELECT 1 FROM delivery INDEXED BY delivery_due \
    WHERE endpoint_id = ?1 AND state = 'owed' LIMIT ?2)";

impl Store {
    /// Attempts that an endpoint's health is made of.
    pub const HEALTH_ATTEMPTS: u32 = 1_000;
    /// No more owed deliveries are counted.
    pub const MOST_COUNTED: u32 = 1_000_000;

    pub async fn health(
        &self,
        endpoint: EndpointId,
        since: Timestamp,
    ) -> Result<Health, StoreError> {
        let attempts: Vec<(i64, i64, Option<u16>)> = sqlx::query_as(HEALTH)
            .bind(endpoint.uuid())
            .bind(since.as_millisecond())
            .bind(Self::HEALTH_ATTEMPTS)
            .fetch_all(self.journal_readers().await?)
            .await?;
        let (owed,): (i64,) = sqlx::query_as(COUNT_OWED)
            .bind(endpoint.uuid())
            .bind(Self::MOST_COUNTED)
            .fetch_one(self.journal_readers().await?)
            .await?;
        let last = attempts.first();
        let mut times: Vec<u64> = attempts
            .iter()
            .map(|(_, us, _)| us.unsigned_abs())
            .collect();
        times.sort_unstable();
        let successes = attempts
            .iter()
            .filter(|(_, _, status)| matches!(status, Some(200..=299)));
        let rank = (times.len() * 95).div_ceil(100);
        Ok(Health {
            attempts: times.len() as u32,
            successes: successes.count() as u32,
            mean_us: times.iter().sum::<u64>().checked_div(times.len() as u64),
            p95_us: rank.checked_sub(1).and_then(|at| times.get(at)).copied(),
            last_status: last.and_then(|(_, _, status)| *status),
            last_attempt_at: last
                .map(|(at, ..)| row::timestamp(*at, "attempt.started_at"))
                .transpose()?,
            owed: owed.unsigned_abs(),
        })
    }
}
