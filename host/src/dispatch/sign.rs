//! Signatures: Standard Webhooks on every request, and beside it the proofs that a
//! platform's own receivers look for.
//!
//! A platform's header has room for one signature. While two secrets hold, the first
//! signs in the header itself, and the second in a header of the same name with
//! `-next` after it: a receiver that knows the first goes on working, and one that is
//! ready for the second can show it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::Message;
use crate::domain::endpoint::{Endpoint, Signing};
use crate::domain::proof::{Algorithm, Credential};
use crate::domain::secret::Secret;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// An endpoint's keys.
#[derive(Debug)]
pub(super) struct Signer {
    signing: Signing,
    credentials: Vec<Credential>,
}

impl Signer {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            signing: endpoint.signing.clone(),
            credentials: endpoint.proof.clone(),
        }
    }

    /// Adds the signatures of a body. They stand over headers of the same name.
    pub(super) fn sign(
        &self,
        headers: &mut HeaderMap,
        message: &Message,
        body: &Bytes,
        now: Timestamp,
    ) {
        let id = message.delivery.to_string();
        let timestamp = now.as_second().to_string();
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let signatures: Vec<String> = self
            .signing
            .keys(now)
            .map(|secret| Algorithm::Sha256.hmac(secret.key(), &parts))
            .map(|mac| format!("v1,{}", STANDARD.encode(mac)))
            .collect();
        for (name, value) in [
            (ID, id.clone()),
            (TIMESTAMP, timestamp.clone()),
            (SIGNATURE, signatures.join(" ")),
        ] {
            insert(headers, name, &value);
        }
        for credential in &self.credentials {
            prove(headers, credential, &timestamp, body);
        }
    }
}

fn prove(headers: &mut HeaderMap, credential: &Credential, timestamp: &str, body: &[u8]) {
    let (name, values): (_, Vec<String>) = match credential {
        Credential::Header(header) => {
            let values = header.values.iter().map(|value| value.expose().to_owned());
            (&header.name, values.collect())
        }
        Credential::Hmac(hmac) => {
            if let Some((name, _)) = &hmac.form.timestamp
                && let Ok(name) = HeaderName::try_from(name.as_str())
            {
                insert(headers, name, timestamp);
            }
            let signed =
                |secret: &Secret| hmac.form.sign(secret.expose().as_bytes(), timestamp, body);
            (&hmac.header, hmac.secrets.iter().map(signed).collect())
        }
    };
    let name = name.as_str();
    for (value, suffix) in values.iter().zip(["", "-next"]) {
        // Both were checked when they were written.
        if let Ok(name) = HeaderName::try_from(format!("{name}{suffix}")) {
            insert(headers, name, value);
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}
