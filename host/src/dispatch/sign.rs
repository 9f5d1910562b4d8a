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
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use sha2::Sha256;

use super::Message;
use crate::domain::endpoint::{Endpoint, Signing};
use crate::domain::secret::Secret;
use crate::domain::source::Proof;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// An endpoint's keys.
#[derive(Debug)]
pub(super) struct Signer {
    signing: Signing,
    proof: Vec<Proof>,
}

impl Signer {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self {
            signing: endpoint.signing.clone(),
            proof: endpoint.proof.clone(),
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
            .map(|secret| format!("v1,{}", STANDARD.encode(mac(secret.key(), &parts))))
            .collect();
        for (name, value) in [
            (ID, id.clone()),
            (TIMESTAMP, timestamp.clone()),
            (SIGNATURE, signatures.join(" ")),
        ] {
            insert(headers, name, &value);
        }
        for proof in &self.proof {
            prove(headers, proof, body);
        }
    }
}

fn prove(headers: &mut HeaderMap, proof: &Proof, body: &[u8]) {
    let (name, values): (_, Vec<String>) = match proof {
        Proof::Header { name, values } => {
            let values = values.iter().map(|value| value.expose().to_owned());
            (name, values.collect())
        }
        Proof::Hmac { header, secrets } => {
            let signed = |secret: &Secret| {
                let mac = mac(secret.expose().as_bytes(), &[body]);
                format!("sha256={}", hex::encode(mac))
            };
            (header, secrets.iter().map(signed).collect())
        }
    };
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

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of every length, so this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
