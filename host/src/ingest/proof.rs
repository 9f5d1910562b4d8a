//! Proof of origin: whether a request comes from the platform.
//!
//! Every comparison takes the same time whatever is wrong, every secret is tried, every
//! proof is looked at, and the reply to a failed proof says nothing; the reason goes to
//! the operator's log only.
//!
//! Requests that come from within, to try a source out, are given the proofs it wants.

use std::borrow::Cow;
use std::net::IpAddr;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use subtle::{Choice, ConstantTimeEq as _};

use super::scheme::{Claim, Signed, time};
use super::{Dialect, Inbound};
use crate::domain::proof::{HmacForm, HmacHeader, Proof, SharedHeader, Tolerance};
use crate::domain::secret::Secret;

/// Why a request was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("the header {0} is missing")]
    MissingHeader(String),
    #[error("the header {0} is there more than once")]
    RepeatedHeader(String),
    #[error("the header {0} has a wrong value")]
    WrongValue(String),
    #[error("the signature in {0} is not written as it should be")]
    MalformedSignature(String),
    #[error("the signature in {0} does not fit the body")]
    WrongSignature(String),
    #[error("the time in {0} cannot be read")]
    MalformedTime(String),
    #[error("it was signed {ago} s ago, at most {tolerance} s are allowed")]
    Stale { ago: i64, tolerance: u32 },
    #[error("it was signed {ahead} s from now, at most {tolerance} s are allowed")]
    Ahead { ahead: i64, tolerance: u32 },
    #[error("it comes from {0}, which is in none of the networks of the source")]
    WrongAddress(IpAddr),
}

/// Checks all proofs that a source of this dialect asks for.
pub fn check(
    dialect: &dyn Dialect,
    proofs: &[Proof],
    inbound: &Inbound,
    now: Timestamp,
) -> Result<(), Unproven> {
    let check = |proof: &Proof| match proof {
        Proof::Header(header) => check_header(header, inbound),
        Proof::Hmac(hmac) => {
            let claim = hmac_claim(hmac, inbound)?;
            let tolerance = hmac
                .form
                .timestamp
                .as_ref()
                .map(|(_, tolerance)| *tolerance);
            let key = |secret| Some(plain(secret));
            check_claim(
                &claim,
                hmac.header.as_str(),
                &hmac.secrets,
                key,
                tolerance,
                now,
            )
        }
        Proof::Address(ranges) => check_address(&ranges.ranges, inbound.peer),
        Proof::Platform(platform) => {
            let scheme = dialect.scheme();
            let claim = scheme.claim(&inbound.headers, &inbound.body)?;
            let (secrets, tolerance) = (&platform.secrets, Some(platform.tolerance_seconds));
            let key = |secret| scheme.key(secret).ok();
            check_claim(&claim, scheme.header(), secrets, key, tolerance, now)
        }
    };
    // All of them, so that the time taken does not tell which one failed.
    let checked: Vec<_> = proofs.iter().map(check).collect();
    checked.into_iter().collect()
}

fn check_header(header: &SharedHeader, inbound: &Inbound) -> Result<(), Unproven> {
    let name = header.name.as_str();
    let given = only_value(&inbound.headers, name)?;
    if any(&header.values, |value| plain(value).ct_eq(given)) {
        Ok(())
    } else {
        Err(Unproven::WrongValue(name.to_owned()))
    }
}

fn check_address(ranges: &[IpNet], peer: IpAddr) -> Result<(), Unproven> {
    // An IPv4 client of an IPv6 socket.
    let peer = peer.to_canonical();
    if ranges.iter().any(|range| range.contains(&peer)) {
        Ok(())
    } else {
        Err(Unproven::WrongAddress(peer))
    }
}

fn check_claim<'s>(
    claim: &Claim<'_>,
    header: &str,
    secrets: &'s [Secret],
    key: impl Fn(&'s Secret) -> Option<Cow<'s, [u8]>>,
    tolerance: Option<Tolerance>,
    now: Timestamp,
) -> Result<(), Unproven> {
    match claim {
        Claim::Secret(given) => {
            let all = |secret: &Secret| {
                let equal = |it: &&[u8]| plain(secret).ct_eq(it);
                let all = given
                    .iter()
                    .map(equal)
                    .fold(Choice::from(1), |all, it| all & it);
                all & Choice::from(u8::from(!given.is_empty()))
            };
            if any(secrets, all) {
                Ok(())
            } else {
                Err(Unproven::WrongValue(header.to_owned()))
            }
        }
        Claim::Signed(signed) => {
            let fits = |secret| key(secret).map_or(Choice::from(0), |key| signed.fits(&key));
            if !any(secrets, fits) {
                return Err(Unproven::WrongSignature(header.to_owned()));
            }
            match (signed.at, tolerance) {
                (Some(at), Some(tolerance)) => check_time(at, tolerance, now),
                _ => Ok(()),
            }
        }
    }
}

impl Signed<'_> {
    /// Whether any of the signatures was made with this key.
    fn fits(&self, key: &[u8]) -> Choice {
        let message: Vec<&[u8]> = self.message.iter().map(AsRef::as_ref).collect();
        let own = self.algorithm.hmac(key, &message);
        self.signatures
            .iter()
            .fold(Choice::from(0), |found, it| found | own.ct_eq(it))
    }
}

fn check_time(at: Timestamp, tolerance: Tolerance, now: Timestamp) -> Result<(), Unproven> {
    let tolerance = tolerance.seconds();
    let most = SignedDuration::from_secs(tolerance.into());
    let age = now.duration_since(at);
    if age > most {
        return Err(Unproven::Stale {
            ago: age.as_secs(),
            tolerance,
        });
    }
    if age < -most {
        return Err(Unproven::Ahead {
            ahead: -age.as_secs(),
            tolerance,
        });
    }
    Ok(())
}

/// Tries every secret, also after one fitted.
fn any<'s>(secrets: &'s [Secret], fits: impl Fn(&'s Secret) -> Choice) -> bool {
    secrets
        .iter()
        .fold(Choice::from(0), |found, secret| found | fits(secret))
        .into()
}

fn plain(secret: &Secret) -> Cow<'_, [u8]> {
    Cow::Borrowed(secret.expose().as_bytes())
}

/// The value of a header that must be there once.
pub(super) fn only_value<'r>(headers: &'r HeaderMap, name: &str) -> Result<&'r [u8], Unproven> {
    let mut values = headers.get_all(name).iter();
    let value = values
        .next()
        .ok_or_else(|| Unproven::MissingHeader(name.to_owned()))?;
    if values.next().is_some() {
        return Err(Unproven::RepeatedHeader(name.to_owned()));
    }
    Ok(value.as_bytes())
}

/// The same as text.
pub(super) fn only_text<'r>(headers: &'r HeaderMap, name: &str) -> Result<&'r str, Unproven> {
    let malformed = |_| Unproven::MalformedSignature(name.to_owned());
    std::str::from_utf8(only_value(headers, name)?).map_err(malformed)
}

/// What a header with an HMAC claims, with or without the algorithm's name before it.
fn hmac_claim<'r>(hmac: &'r HmacHeader, inbound: &'r Inbound) -> Result<Claim<'r>, Unproven> {
    let form = &hmac.form;
    let signature = signature(hmac.header.as_str(), form, &inbound.headers)?;
    let (stamp, at) = match &form.timestamp {
        None => ("", None),
        Some((header, _)) => {
            let stamp = stamp(header.as_str(), &inbound.headers)?;
            (stamp.0, Some(stamp.1))
        }
    };
    let pieces = form.signed.pieces(stamp.as_bytes(), &inbound.body);
    Ok(Claim::Signed(Signed {
        algorithm: form.algorithm,
        message: pieces.into_iter().map(Cow::Borrowed).collect(),
        signatures: vec![signature],
        at,
    }))
}

/// What a header with an HMAC of the body claims, as most platforms write it.
pub(super) fn usual_claim<'r>(
    header: &str,
    headers: &'r HeaderMap,
    body: &'r [u8],
) -> Result<Claim<'r>, Unproven> {
    let form = HmacForm::default();
    Ok(Claim::Signed(Signed {
        algorithm: form.algorithm,
        message: vec![Cow::Borrowed(body)],
        signatures: vec![signature(header, &form, headers)?],
        at: None,
    }))
}

/// The signature in a header.
pub(super) fn signature(
    header: &str,
    form: &HmacForm,
    headers: &HeaderMap,
) -> Result<Vec<u8>, Unproven> {
    let given = only_value(headers, header)?;
    let bare = given
        .strip_prefix(form.algorithm.name().as_bytes())
        .and_then(|rest| rest.strip_prefix(b"="))
        .unwrap_or(given);
    let signature = form.encoding.read(bare).filter(|it| !it.is_empty());
    signature.ok_or_else(|| Unproven::MalformedSignature(header.to_owned()))
}

/// The time in a header, as it is written there and what it means.
pub(super) fn stamp<'r>(
    header: &str,
    headers: &'r HeaderMap,
) -> Result<(&'r str, Timestamp), Unproven> {
    let stamp = only_text(headers, header)?;
    let time = time(stamp).ok_or_else(|| Unproven::MalformedTime(header.to_owned()))?;
    Ok((stamp, time))
}

/// Gives a request what it lacks of the proofs that a source of this dialect asks for.
/// What it brings stays, right or wrong. Where it comes from cannot be given.
pub fn complete(
    dialect: &dyn Dialect,
    proofs: &[Proof],
    headers: &mut HeaderMap,
    body: &[u8],
    now: Timestamp,
) {
    for proof in proofs {
        match proof {
            Proof::Header(header) => {
                if let Some(value) = header.values.first() {
                    add(headers, header.name.as_str(), value.expose());
                }
            }
            Proof::Hmac(hmac) => {
                let Some(secret) = hmac.secrets.first() else {
                    continue;
                };
                let stamp = now.as_second().to_string();
                if let Some((header, _)) = &hmac.form.timestamp {
                    add(headers, header.as_str(), &stamp);
                }
                let signature = hmac.form.sign(&plain(secret), &stamp, body);
                add(headers, hmac.header.as_str(), &signature);
            }
            Proof::Address(_) => {}
            Proof::Platform(platform) => {
                if let Some(secret) = platform.secrets.first() {
                    dialect.scheme().prove(secret, headers, body, now);
                }
            }
        }
    }
}

/// Adds a header that is not there yet. Names and values were checked when they were
/// written.
pub(super) fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(value)) {
        value.set_sensitive(true);
        headers.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests;
