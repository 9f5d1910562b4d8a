//! Proofs of origin in requests: what a source checks, and what an endpoint's requests
//! carry. Their forms are the domain's; here is what only a new one has to keep to.

use http::HeaderValue;

use crate::domain::proof::{
    AddressRanges, Credential, HmacHeader, HoldsSecrets, Proof, SharedHeader, ShownProof,
};
use crate::domain::secret::Secret;
use crate::http::problem::Problem;
use crate::ingest::Dialect;

const MAX_PROOFS: usize = 8;
/// Secrets of one proof, any of which will do.
const MAX_SECRETS: usize = 8;
/// Of a credential: the one that holds, and the next.
const MAX_CREDENTIAL_SECRETS: usize = 2;

/// Checks what a source of this dialect shall check.
pub(super) fn of_source(proofs: Vec<Proof>, dialect: &dyn Dialect) -> Result<Vec<Proof>, Problem> {
    few(proofs.len())?;
    for (at, proof) in proofs.iter().enumerate() {
        let at = format!("proof[{at}]");
        match proof {
            Proof::Header(header) => check_header(header, MAX_SECRETS, &at)?,
            Proof::Hmac(hmac) => check_hmac(hmac, MAX_SECRETS, &at)?,
            Proof::Address(AddressRanges { ranges }) => {
                count(ranges.len(), AddressRanges::MOST, format!("{at}.ranges"))?;
            }
            Proof::Platform(platform) => {
                count(platform.secrets.len(), MAX_SECRETS, format!("{at}.secrets"))?;
                for (secret_at, secret) in platform.secrets.iter().enumerate() {
                    let field = format!("{at}.secrets[{secret_at}]");
                    let key = dialect.scheme().key(secret);
                    key.map_err(|error| Problem::invalid_field(field, error.to_string()))?;
                }
            }
        }
    }
    Ok(proofs)
}

/// Checks what an endpoint's requests shall carry.
pub(super) fn of_endpoint(credentials: Vec<Credential>) -> Result<Vec<Credential>, Problem> {
    few(credentials.len())?;
    for (at, credential) in credentials.iter().enumerate() {
        let at = format!("proof[{at}]");
        match credential {
            Credential::Header(header) => check_header(header, MAX_CREDENTIAL_SECRETS, &at)?,
            Credential::Hmac(hmac) => check_hmac(hmac, MAX_CREDENTIAL_SECRETS, &at)?,
        }
    }
    Ok(credentials)
}

/// Proofs as they may be shown.
pub(super) fn shown<P: HoldsSecrets>(proofs: &[P]) -> Vec<ShownProof> {
    proofs.iter().map(HoldsSecrets::shown).collect()
}

fn few(proofs: usize) -> Result<(), Problem> {
    if proofs > MAX_PROOFS {
        let problem = format!("at most {MAX_PROOFS} proofs");
        return Err(Problem::invalid_field("proof", problem));
    }
    Ok(())
}

fn check_header(header: &SharedHeader, most: usize, at: &str) -> Result<(), Problem> {
    count(header.values.len(), most, format!("{at}.values"))?;
    for (value_at, value) in header.values.iter().enumerate() {
        header_value(value, format!("{at}.values[{value_at}]"))?;
    }
    Ok(())
}

fn check_hmac(hmac: &HmacHeader, most: usize, at: &str) -> Result<(), Problem> {
    count(hmac.secrets.len(), most, format!("{at}.secrets"))
}

fn count(items: usize, most: usize, field: String) -> Result<(), Problem> {
    if (1..=most).contains(&items) {
        return Ok(());
    }
    Err(Problem::invalid_field(
        field,
        format!("must have 1 to {most} items"),
    ))
}

/// A value that no request can carry would refuse them all.
fn header_value(value: &Secret, field: String) -> Result<(), Problem> {
    let text = value.expose();
    if HeaderValue::from_bytes(text.as_bytes()).is_ok() && text.trim() == text {
        return Ok(());
    }
    Err(Problem::invalid_field(
        field,
        "must be what a header can carry: no line breaks or control characters, no spaces at either end",
    ))
}
