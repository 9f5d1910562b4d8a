//! A trial: one request to wherever a customer is setting a webhook up. No event comes
//! of it, nothing of it is stored, and it is not tried again.
//!
//! What it was answered is for whoever asked to read (`http`); the request leaves by
//! `dispatch`, like every other.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Switch;
use super::forward::MOST_REPLY;
use crate::dispatch::Single;
use crate::domain::endpoint::Settings;
use crate::domain::grant::http::{AddedHeader, HeaderTemplate};
use crate::domain::id::OrganizationId;
use crate::domain::plugin::Name;
use crate::domain::secret::Secret;
use crate::store::StoreError;

/// How it went.
#[derive(Debug)]
pub struct Trial {
    pub elapsed: Duration,
    /// What was heard, or in words why nothing was.
    pub heard: Result<TrialReply, String>,
}

/// A reply.
#[derive(Debug)]
pub struct TrialReply {
    pub status: StatusCode,
    /// The body, or its beginning.
    pub body: Bytes,
    /// Whether the body is whole: not cut off, and arrived in time.
    pub complete: bool,
}

/// Headers that cannot be filled in.
#[derive(Debug, thiserror::Error)]
pub enum HeadersError {
    #[error("there is no secret {secret}: set it first (PUT /api/v1/secrets/{secret})")]
    NoSecret { header: String, secret: Name },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Switch {
    /// A trial's headers with the organization's secrets in their places.
    pub async fn trial_headers(
        &self,
        organization: OrganizationId,
        templates: &BTreeMap<AddedHeader, HeaderTemplate>,
    ) -> Result<HeaderMap, HeadersError> {
        let secrets = if templates.values().any(|it| it.names().next().is_some()) {
            self.store.secret_values(organization).await?
        } else {
            HashMap::new()
        };
        let mut headers = HeaderMap::new();
        for (header, template) in templates {
            if let Some(secret) = template.names().find(|name| !secrets.contains_key(*name)) {
                return Err(HeadersError::NoSecret {
                    header: header.as_str().to_owned(),
                    secret: secret.clone(),
                });
            }
            let text = template.render(|name| secrets.get(name).map(Secret::expose));
            // Names, texts and secrets were checked when they were written.
            let name = HeaderName::from_bytes(header.as_str().as_bytes());
            let value = HeaderValue::try_from(text.unwrap_or_default());
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        Ok(headers)
    }

    /// Sends a trial where the settings say, with these headers and this body.
    pub async fn try_out(
        &self,
        settings: &Settings,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Trial {
        let started = Instant::now();
        let heard = match http::Method::from_bytes(settings.method.as_str().as_bytes()) {
            Err(error) => Err(error.to_string()),
            Ok(method) => {
                let single = Single {
                    method,
                    url: settings.url.with_query(&settings.query),
                    headers,
                    body,
                    timeout: Duration::from_millis(settings.timeout_ms.into()),
                };
                let reply = self.dispatcher.single(single, MOST_REPLY).await;
                reply.map_err(|error| error.explain())
            }
        };
        Trial {
            elapsed: started.elapsed(),
            heard: heard.map(|reply| TrialReply {
                status: reply.status,
                body: reply.body,
                complete: reply.complete,
            }),
        }
    }
}
