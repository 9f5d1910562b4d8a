//! Proof of origin: whether a request comes from the platform.
//!
//! Every comparison takes the same time whatever is wrong, every secret is tried,
//! and the reply to a failed proof says nothing; the reason goes to the operator's
//! log only.
//!
//! Requests that come from within, to try a source out, are given the proofs it wants.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use super::Inbound;
use crate::domain::secret::Secret;
use crate::domain::source::Proof;

/// Why a request was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("the header {0} is missing")]
    MissingHeader(String),
    #[error("the header {0} is there more than once")]
    RepeatedHeader(String),
    #[error("the header {0} has a wrong value")]
    WrongValue(String),
    #[error("the signature in {0} is not {len} hexadecimal digits", len = 2 * SIGNATURE_BYTES)]
    MalformedSignature(String),
    #[error("the signature in {0} does not fit the body")]
    WrongSignature(String),
}

const SIGNATURE_BYTES: usize = 32;

/// Checks all proofs a source asks for.
pub fn check(proofs: &[Proof], inbound: &Inbound) -> Result<(), Unproven> {
    proofs.iter().try_for_each(|proof| match proof {
        Proof::Header { name, values } => {
            let given = only_value(inbound, name)?;
            let equal = any(values, |value| value.expose().as_bytes().ct_eq(given));
            if equal {
                Ok(())
            } else {
                Err(Unproven::WrongValue(name.clone()))
            }
        }
        Proof::Hmac { header, secrets } => {
            let given = signature(only_value(inbound, header)?)
                .ok_or_else(|| Unproven::MalformedSignature(header.clone()))?;
            let equal = any(secrets, |secret| signs(secret, &inbound.body, &given));
            if equal {
                Ok(())
            } else {
                Err(Unproven::WrongSignature(header.clone()))
            }
        }
    })
}

/// Tries every secret, also after one fitted.
fn any(secrets: &[Secret], fits: impl Fn(&Secret) -> Choice) -> bool {
    secrets
        .iter()
        .fold(Choice::from(0), |found, secret| found | fits(secret))
        .into()
}

fn only_value<'a>(inbound: &'a Inbound, name: &str) -> Result<&'a [u8], Unproven> {
    let mut values = inbound.headers.get_all(name).iter();
    let value = values
        .next()
        .ok_or_else(|| Unproven::MissingHeader(name.to_owned()))?;
    if values.next().is_some() {
        return Err(Unproven::RepeatedHeader(name.to_owned()));
    }
    Ok(value.as_bytes())
}

fn signature(given: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
    let digits = given.strip_prefix(b"sha256=").unwrap_or(given);
    let mut bytes = [0; SIGNATURE_BYTES];
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

fn signs(secret: &Secret, body: &[u8], given: &[u8; SIGNATURE_BYTES]) -> Choice {
    // If there were no signature, nothing would fit.
    signature_of(secret, body).map_or(Choice::from(0), |own| own.ct_eq(given))
}

/// HMAC takes keys of every length, so there always is one.
fn signature_of(secret: &Secret, body: &[u8]) -> Option<[u8; SIGNATURE_BYTES]> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    Some(mac.chain_update(body).finalize().into_bytes().into())
}

/// Gives a request what it lacks of the proofs that a source asks for. What it brings
/// stays, right or wrong.
pub fn complete(proofs: &[Proof], headers: &mut HeaderMap, body: &[u8]) {
    for proof in proofs {
        let (name, value) = match proof {
            Proof::Header { name, values } => {
                (name, values.first().map(|value| value.expose().to_owned()))
            }
            Proof::Hmac { header, secrets } => {
                let signature = secrets.first().and_then(|it| signature_of(it, body));
                let signature = signature.map(|it| format!("sha256={}", hex::encode(it)));
                (header, signature)
            }
        };
        // Names and values were checked when they were written.
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let (Some(name), Some(mut value)) = (name, value) {
            value.set_sensitive(true);
            headers.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::try_from(text.to_owned()).unwrap()
    }

    fn inbound(headers: &[(&str, &str)], body: &'static str) -> Inbound {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_bytes(name.as_bytes()).unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        Inbound {
            headers,
            body: Bytes::from_static(body.as_bytes()),
            peer: [127, 0, 0, 1].into(),
        }
    }

    // RFC 4231, test case 2.
    const KEY: &str = "Jefe";
    const BODY: &str = "what do ya want for nothing?";
    const SIGNATURE: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn a_signature_of_the_raw_body_proves_with_and_without_prefix() {
        let proofs = [Proof::Hmac {
            header: "x-sig".into(),
            secrets: vec![secret("new"), secret(KEY)],
        }];
        for value in [
            SIGNATURE.to_owned(),
            format!("sha256={SIGNATURE}"),
            SIGNATURE.to_uppercase(),
        ] {
            assert_eq!(
                check(&proofs, &inbound(&[("X-Sig", &value)], BODY)),
                Ok(()),
                "{value}"
            );
        }
        let cases = [
            (vec![], BODY, Unproven::MissingHeader("x-sig".into())),
            (
                vec![("x-sig", SIGNATURE)],
                "another body",
                Unproven::WrongSignature("x-sig".into()),
            ),
            (
                vec![("x-sig", &SIGNATURE[..62])],
                BODY,
                Unproven::MalformedSignature("x-sig".into()),
            ),
            (
                vec![("x-sig", "")],
                BODY,
                Unproven::MalformedSignature("x-sig".into()),
            ),
            (
                vec![("x-sig", SIGNATURE), ("x-sig", SIGNATURE)],
                BODY,
                Unproven::RepeatedHeader("x-sig".into()),
            ),
        ];
        for (headers, body, wanted) in cases {
            assert_eq!(
                check(&proofs, &inbound(&headers, body)),
                Err(wanted),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn a_header_proves_with_any_of_its_values_and_all_proofs_must_hold() {
        let proofs = [
            Proof::Header {
                name: "authorization".into(),
                values: vec![secret("Bearer old"), secret("Bearer new")],
            },
            Proof::Hmac {
                header: "x-sig".into(),
                secrets: vec![secret(KEY)],
            },
        ];
        let signed = ("x-sig", SIGNATURE);
        for (token, proven) in [
            ("Bearer old", true),
            ("Bearer new", true),
            ("Bearer", false),
            ("bearer new", false),
        ] {
            let request = inbound(&[("Authorization", token), signed], BODY);
            assert_eq!(check(&proofs, &request).is_ok(), proven, "{token}");
        }
        assert!(check(&proofs, &inbound(&[("Authorization", "Bearer old")], BODY)).is_err());
        assert!(check(&[], &inbound(&[], BODY)).is_ok());
    }

    #[test]
    fn a_request_is_given_the_proofs_it_lacks_and_no_others() {
        let proofs = [
            Proof::Header {
                name: "authorization".into(),
                values: vec![secret("Bearer new"), secret("Bearer old")],
            },
            Proof::Hmac {
                header: "x-sig".into(),
                secrets: vec![secret(KEY), secret("old")],
            },
        ];
        let mut request = inbound(&[], BODY);
        complete(&proofs, &mut request.headers, &request.body);
        assert_eq!(check(&proofs, &request), Ok(()));

        let mut request = inbound(&[("authorization", "Bearer older")], BODY);
        complete(&proofs, &mut request.headers, &request.body);
        let wrong = Unproven::WrongValue("authorization".into());
        assert_eq!(check(&proofs, &request), Err(wrong));
    }
}
