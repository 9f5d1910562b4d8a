//! A delivery that somebody wants made once more.

use jiff::Timestamp;
use sqlx::FromRow;

use super::missing;
use crate::domain::delivery::State;
use crate::domain::id::{DeliveryId, OrganizationId};
use crate::store::setup::{Action, Author, Line};
use crate::store::{Durability, Store, StoreError};

/// Whether a delivery can be sent again.
#[derive(Debug, FromRow)]
struct Retryable {
    state: String,
    forwarded: bool,
    endpoint_exists: bool,
}

pub(super) const READ_RETRYABLE: &str = "SELECT state, forwarded, \
    EXISTS (SELECT 1 FROM endpoint WHERE id = delivery.endpoint_id) AS endpoint_exists \
    FROM delivery WHERE organization_id = ?1 AND id = ?2";

/// Attempts that were made do not count for the schedule any more; their numbers go on.
/// One that is owed keeps its lease and its schedule: it only becomes due.
pub(super) const OWE_ONE: &str = "UPDATE delivery SET due_at = ?3, ended_at = NULL, \
    forgiven = iif(state = 'owed', forgiven, attempts), \
    leased_until = iif(state = 'owed', leased_until, 0), state = 'owed' \
    WHERE organization_id = ?1 AND id = ?2";

impl Retryable {
    fn check(&self, id: DeliveryId, again: bool) -> Result<(), StoreError> {
        let refused = |why| {
            let id = id.to_string();
            Err(StoreError::NotRetryable { id, why })
        };
        let state = State::named(&self.state)
            .ok_or_else(|| StoreError::corrupt("delivery.state", &self.state))?;
        if self.forwarded {
            return refused("was a question to its endpoint, and the call has gone on");
        }
        if !self.endpoint_exists {
            return refused("cannot be sent: its endpoint was deleted");
        }
        if state == State::Delivered && !again {
            return refused("was delivered; to send it once more say {\"again\": true}");
        }
        Ok(())
    }
}

impl Store {
    /// Makes a delivery owed once more, as if nothing had been tried; one that is owed
    /// becomes due. One that was delivered is only sent again if that is meant.
    pub async fn retry_delivery(
        &self,
        organization: OrganizationId,
        id: DeliveryId,
        again: bool,
        due: Timestamp,
        author: Author,
    ) -> Result<(), StoreError> {
        self.writer
            .change(Durability::PowerLoss, move |connection| {
                Box::pin(async move {
                    let found: Option<Retryable> = sqlx::query_as(READ_RETRYABLE)
                        .bind(organization.uuid())
                        .bind(id.uuid())
                        .fetch_optional(&mut *connection)
                        .await?;
                    found.ok_or_else(|| missing(id))?.check(id, again)?;
                    sqlx::query(OWE_ONE)
                        .bind(organization.uuid())
                        .bind(id.uuid())
                        .bind(due.as_millisecond())
                        .execute(&mut *connection)
                        .await?;
                    let line = Line {
                        action: Action::Retry,
                        what: "delivery",
                        subject: id.to_string(),
                        before: None,
                        after: None,
                    };
                    line.write(connection, author).await
                })
            })
            .await
    }
}
