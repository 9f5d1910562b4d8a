//! Proof of origin: a line of JSON that says which proofs a source asks for and
//! which headers came, and after it the body.
//!
//! No fuzzer guesses a signature, so this target also makes requests that prove
//! themselves, sees them believed, and sees them refused once any byte is another.

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hookswitch::call::CallError;
use hookswitch::domain::proof::{HmacForm, HmacHeader, Proof, ProofHeader, SharedHeader};
use hookswitch::domain::secret::Secret;
use hookswitch::ingest::proof::{self, Unproven};
use hookswitch::ingest::{DASHA, Inbound};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::Sha256;

#[derive(Deserialize)]
struct Scene {
    proofs: Vec<Asked>,
    headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    Header {
        name: String,
        values: Vec<Secret>,
    },
    Hmac {
        header: String,
        secrets: Vec<Secret>,
    },
}

/// Checks whether the scene's request is believed exactly when it should be, and
/// makes requests of its own for the same proofs.
pub fn check(data: &[u8]) {
    as_signature(data);
    let (line, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &b""[..]),
    };
    let Ok(scene) = serde_json::from_slice::<Scene>(line) else {
        return;
    };
    let proofs: Vec<Proof> = scene.proofs.into_iter().filter_map(Asked::proof).collect();
    let mut headers = HeaderMap::new();
    for (name, value) in &scene.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    let given = inbound(headers, body);
    believed(&proofs, &given);
    if let Some(proven) = proving(&proofs, body) {
        assert_eq!(checked(&proofs, &proven), Ok(()));
        spoiled(&proofs, &proven, data.len());
    }
}

impl Asked {
    /// As the API takes it: a header's name in lower case.
    fn proof(self) -> Option<Proof> {
        let name = |text: String| ProofHeader::try_from(text).ok();
        Some(match self {
            Self::Header { name: text, values } => Proof::Header(SharedHeader {
                name: name(text)?,
                values,
            }),
            Self::Hmac { header, secrets } => Proof::Hmac(HmacHeader {
                header: name(header)?,
                secrets,
                form: HmacForm::default(),
            }),
        })
    }
}

/// Any bytes that HTTP lets through, as a signature of themselves.
fn as_signature(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let proofs = [Proof::Hmac(HmacHeader {
        header: "x-sig".to_owned().try_into().expect("it is a name"),
        secrets: Secret::try_from("a key".to_owned()).into_iter().collect(),
        form: HmacForm::default(),
    })];
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-sig"), value)]);
    believed(&proofs, &inbound(headers, data));
}

/// The verdict on a request is the one that the definition gives, and a refusal
/// tells the platform nothing and the operator only which header it was.
fn believed(proofs: &[Proof], inbound: &Inbound) {
    let wanted = proofs.iter().all(|proof| holds(proof, inbound));
    match checked(proofs, inbound) {
        Ok(()) => assert!(wanted, "a request was believed"),
        Err(unproven) => {
            assert!(!wanted, "a request was refused: {unproven}");
            discreet(proofs, &unproven);
            assert_eq!(
                CallError::from(unproven).to_string(),
                "the request does not prove its origin"
            );
        }
    }
}

fn checked(proofs: &[Proof], inbound: &Inbound) -> Result<(), Unproven> {
    proof::check(DASHA, proofs, inbound, Timestamp::UNIX_EPOCH)
}

/// The definition: the header is there once, and has one of the values, or the hex
/// of one of the signatures.
fn holds(proof: &Proof, inbound: &Inbound) -> bool {
    let mut values = inbound.headers.get_all(header(proof)).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    match proof {
        Proof::Header(header) => header
            .values
            .iter()
            .any(|secret| secret.expose().as_bytes() == value.as_bytes()),
        Proof::Hmac(HmacHeader { secrets, .. }) => {
            let given = value.as_bytes();
            let given = given.strip_prefix(b"sha256=").unwrap_or(given);
            secrets.iter().any(|secret| {
                hex::encode(signature(secret, &inbound.body))
                    .as_bytes()
                    .eq_ignore_ascii_case(given)
            })
        }
        Proof::Address(_) | Proof::Platform(_) => unreachable!("not asked for here"),
    }
}

fn discreet(proofs: &[Proof], unproven: &Unproven) {
    let texts = |name: &str| {
        [
            format!("the header {name} is missing"),
            format!("the header {name} is there more than once"),
            format!("the header {name} has a wrong value"),
            format!("the signature in {name} is not written as it should be"),
            format!("the signature in {name} does not fit the body"),
        ]
    };
    let said = unproven.to_string();
    assert!(
        proofs
            .iter()
            .any(|proof| texts(header(proof)).contains(&said)),
        "{said:?}"
    );
}

fn header(proof: &Proof) -> &str {
    match proof {
        Proof::Header(header) => header.name.as_str(),
        Proof::Hmac(hmac) => hmac.header.as_str(),
        Proof::Address(_) | Proof::Platform(_) => unreachable!("not asked for here"),
    }
}

/// A request that proves all that is asked, if one can: each header once, and only
/// values that HTTP can carry.
fn proving(proofs: &[Proof], body: &[u8]) -> Option<Inbound> {
    let mut headers = HeaderMap::new();
    for (number, proof) in proofs.iter().enumerate() {
        let value = match proof {
            Proof::Header(header) => header.values.last()?.expose().to_owned(),
            Proof::Address(_) | Proof::Platform(_) => return None,
            Proof::Hmac(hmac) => {
                let digits = hex::encode(signature(hmac.secrets.last()?, body));
                match (number + body.len()) % 3 {
                    0 => digits,
                    1 => format!("sha256={digits}"),
                    _ => digits.to_uppercase(),
                }
            }
        };
        let name: HeaderName = header(proof).parse().ok()?;
        if headers.insert(name, value.try_into().ok()?).is_some() {
            return None;
        }
    }
    Some(inbound(headers, body))
}

/// Refused, once anything of it is another: a bit of the body or of a value, a header
/// that is missing or there twice.
fn spoiled(proofs: &[Proof], proven: &Inbound, place: usize) {
    let hmac = proofs.iter().any(|proof| matches!(proof, Proof::Hmac(_)));
    if hmac {
        let mut body = proven.body.to_vec();
        match body.len() {
            0 => body.push(0),
            len => body[place % len] ^= 1 << (place % 8),
        }
        refused(proofs, &inbound(proven.headers.clone(), &body));
        refused(
            proofs,
            &inbound(proven.headers.clone(), &[&proven.body[..], b"\n"].concat()),
        );
    }
    for proof in proofs {
        let name: HeaderName = header(proof).parse().expect("it was a header's name");
        let value = proven.headers.get(&name).expect("it was given").clone();
        if let Some(wrong) = another(proof, &value, place) {
            let mut headers = proven.headers.clone();
            headers.insert(name.clone(), wrong);
            refused(proofs, &inbound(headers, &proven.body));
        }
        let mut headers = proven.headers.clone();
        headers.append(name.clone(), value);
        refused(proofs, &inbound(headers, &proven.body));
        let mut headers = proven.headers.clone();
        headers.remove(&name);
        refused(proofs, &inbound(headers, &proven.body));
    }
}

/// The value with one bit changed, where that is still a value and no other secret.
fn another(proof: &Proof, value: &HeaderValue, place: usize) -> Option<HeaderValue> {
    let mut bytes = value.as_bytes().to_vec();
    let at = place % bytes.len();
    bytes[at] ^= 1;
    let wrong = HeaderValue::from_bytes(&bytes).ok()?;
    match proof {
        // Neighbours of a digit are never the same digit in the other case.
        Proof::Hmac(_) | Proof::Address(_) | Proof::Platform(_) => Some(wrong),
        Proof::Header(header) => header
            .values
            .iter()
            .all(|secret| secret.expose().as_bytes() != bytes)
            .then_some(wrong),
    }
}

fn refused(proofs: &[Proof], inbound: &Inbound) {
    let unproven = checked(proofs, inbound);
    let unproven = unproven.expect_err("a request that was tampered with is refused");
    discreet(proofs, &unproven);
}

fn signature(secret: &Secret, body: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    let mac = mac.expect("HMAC takes keys of every length");
    mac.chain_update(body).finalize().into_bytes().into()
}

fn inbound(headers: HeaderMap, body: &[u8]) -> Inbound {
    Inbound {
        headers,
        body: Bytes::copy_from_slice(body),
        peer: [127, 0, 0, 1].into(),
    }
}
