use bytes::Bytes;

use super::*;
use crate::domain::proof::{AddressRanges, PlatformProof};
use crate::ingest::{self, Dialect};

fn secret(text: &str) -> Secret {
    Secret::try_from(text.to_owned()).unwrap()
}

fn proof(form: &str, secrets: &[&str]) -> Proof {
    let proof: Proof<String> = serde_json::from_str(form).unwrap();
    let secrets: Vec<_> = secrets.iter().map(|it| secret(it)).collect();
    match crate::domain::proof::HoldsSecrets::map(&proof, |it| Ok::<_, ()>(secret(it))).unwrap() {
        Proof::Hmac(hmac) => Proof::Hmac(HmacHeader { secrets, ..hmac }),
        Proof::Header(header) => Proof::Header(SharedHeader {
            values: secrets,
            ..header
        }),
        Proof::Platform(platform) => Proof::Platform(PlatformProof {
            secrets,
            ..platform
        }),
        other @ Proof::Address(_) => other,
    }
}

const HMAC: &str = r#"{"type":"hmac","header":"x-sig","secrets":[]}"#;
const PLATFORM: &str = r#"{"type":"platform","secrets":[]}"#;

fn inbound(headers: &[(&str, &str)], body: &str) -> Inbound {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    Inbound {
        headers: map,
        body: Bytes::copy_from_slice(body.as_bytes()),
        peer: [127, 0, 0, 1].into(),
    }
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn of(dialect: &str) -> &'static dyn Dialect {
    ingest::dialect(dialect).unwrap()
}

fn checked(proofs: &[Proof], inbound: &Inbound) -> Result<(), Unproven> {
    check(ingest::DASHA, proofs, inbound, now())
}

// RFC 4231, test case 2.
const KEY: &str = "Jefe";
const BODY: &str = "what do ya want for nothing?";
const SIGNATURE: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

#[test]
fn a_signature_of_the_raw_body_proves_with_and_without_prefix() {
    let proofs = [proof(HMAC, &["new", KEY])];
    for value in [
        SIGNATURE.to_owned(),
        format!("sha256={SIGNATURE}"),
        SIGNATURE.to_uppercase(),
    ] {
        let request = inbound(&[("X-Sig", &value)], BODY);
        assert_eq!(checked(&proofs, &request), Ok(()), "{value}");
    }
    let malformed = || Unproven::MalformedSignature("x-sig".into());
    let wrong = || Unproven::WrongSignature("x-sig".into());
    let prefix_twice = format!("sha256=sha256={SIGNATURE}");
    let cases = [
        (vec![], BODY, Unproven::MissingHeader("x-sig".into())),
        (vec![("x-sig", SIGNATURE)], "another body", wrong()),
        (vec![("x-sig", &SIGNATURE[..62])], BODY, wrong()),
        (vec![("x-sig", &SIGNATURE[..63])], BODY, malformed()),
        (vec![("x-sig", "")], BODY, malformed()),
        (vec![("x-sig", "sha256=")], BODY, malformed()),
        (vec![("x-sig", &prefix_twice)], BODY, malformed()),
        (
            vec![("x-sig", SIGNATURE), ("x-sig", SIGNATURE)],
            BODY,
            Unproven::RepeatedHeader("x-sig".into()),
        ),
    ];
    for (headers, body, wanted) in cases {
        let checked = checked(&proofs, &inbound(&headers, body));
        assert_eq!(checked, Err(wanted), "{headers:?}");
    }
}

#[test]
fn a_header_proves_with_any_of_its_values_and_all_proofs_must_hold() {
    let header = r#"{"type":"header","name":"authorization","values":[]}"#;
    let proofs = [
        proof(header, &["Bearer old", "Bearer new"]),
        proof(HMAC, &[KEY]),
    ];
    let signed = ("x-sig", SIGNATURE);
    for (token, proven) in [
        ("Bearer old", true),
        ("Bearer new", true),
        ("Bearer", false),
        ("bearer new", false),
    ] {
        let request = inbound(&[("Authorization", token), signed], BODY);
        assert_eq!(checked(&proofs, &request).is_ok(), proven, "{token}");
    }
    let unsigned = inbound(&[("Authorization", "Bearer old")], BODY);
    assert!(checked(&proofs, &unsigned).is_err());
    assert!(checked(&[], &inbound(&[], BODY)).is_ok());
}

#[test]
fn a_time_that_is_signed_must_be_about_now() {
    let form = r#"{"type":"hmac","header":"x-sig","secrets":[],"form":{"algorithm":"sha512",
        "encoding":"base64","signed":"v0:{timestamp}:{body}","timestamp_header":"x-time",
        "tolerance_seconds":60}}"#;
    let proofs = [proof(form, &[KEY])];
    let Proof::Hmac(hmac) = &proofs[0] else {
        panic!("an HMAC");
    };
    let at = |seconds: i64| (now().as_second() + seconds).to_string();
    let signed = |stamp: &str| {
        let signature = hmac.form.sign(KEY.as_bytes(), stamp, BODY.as_bytes());
        inbound(&[("x-sig", &signature), ("x-time", stamp)], BODY)
    };
    for stamp in [at(0), at(-60), at(60), format!("{}000", at(-60))] {
        assert_eq!(checked(&proofs, &signed(&stamp)), Ok(()), "{stamp}");
    }
    let (stale, ahead) = (
        Unproven::Stale {
            ago: 61,
            tolerance: 60,
        },
        Unproven::Ahead {
            ahead: 61,
            tolerance: 60,
        },
    );
    assert_eq!(checked(&proofs, &signed(&at(-61))), Err(stale));
    assert_eq!(checked(&proofs, &signed(&at(61))), Err(ahead));
    let unreadable = Unproven::MalformedTime("x-time".into());
    assert_eq!(checked(&proofs, &signed("now")), Err(unreadable));

    // The same signature under another time, and one over another body.
    let mut moved = signed(&at(0));
    moved
        .headers
        .insert("x-time", HeaderValue::from_str(&at(1)).unwrap());
    let wrong = Err(Unproven::WrongSignature("x-sig".into()));
    assert_eq!(checked(&proofs, &moved), wrong);
    let mut other = signed(&at(0));
    other.body = Bytes::from_static(b"{}");
    assert_eq!(checked(&proofs, &other), wrong);
}

#[test]
fn an_address_proves_by_its_network() {
    let ranges = ["52.6.0.0/16", "2001:db8::/32"].map(|it| it.parse().unwrap());
    let proofs = [Proof::Address(AddressRanges {
        ranges: ranges.to_vec(),
    })];
    for (peer, proven) in [
        ("52.6.255.255", true),
        ("::ffff:52.6.0.1", true),
        ("2001:db8::1", true),
        ("52.7.0.0", false),
        ("127.0.0.1", false),
        ("2001:db9::1", false),
    ] {
        let peer: IpAddr = peer.parse().unwrap();
        let request = Inbound {
            peer,
            ..inbound(&[], BODY)
        };
        assert_eq!(checked(&proofs, &request).is_ok(), proven, "{peer}");
    }
}

#[test]
fn every_platform_proves_itself_in_its_own_way_and_in_no_other() {
    const KEYS: [&str; 2] = [
        "whsec_bmV3IGtleSBvZiAzMiBieXRlcyBvciBtb3JlIQ==",
        "whsec_b2xk",
    ];
    let proofs = [proof(PLATFORM, &KEYS)];
    for dialect in ingest::DIALECTS.iter().copied() {
        let name = dialect.name();
        for key in KEYS {
            let mut request = inbound(&[], BODY);
            let scheme = dialect.scheme();
            scheme.prove(&secret(key), &mut request.headers, BODY.as_bytes(), now());
            assert_eq!(check(dialect, &proofs, &request, now()), Ok(()), "{name}");
            let signs = !matches!(name, "dsai");
            let other = Inbound {
                body: Bytes::from_static(b"{}"),
                ..request.clone()
            };
            let other = check(dialect, &proofs, &other, now());
            assert_eq!(other.is_err(), signs, "{name}: another body");
            let dated = !matches!(name, "dsai" | "dasha");
            for far in [301, -301] {
                let then = now() + SignedDuration::from_secs(far);
                let checked = check(dialect, &proofs, &request, then);
                assert_eq!(checked.is_err(), dated, "{name}: {far} s later");
                let then = now() + SignedDuration::from_secs(far / 301 * 299);
                assert_eq!(check(dialect, &proofs, &request, then), Ok(()), "{name}");
            }
            for (header, _) in request.headers.clone() {
                let mut less = request.clone();
                let header = header.unwrap();
                less.headers.remove(&header);
                assert!(
                    check(dialect, &proofs, &less, now()).is_err(),
                    "{name}: no {header}"
                );
                let mut twice = request.clone();
                let value = twice.headers[&header].clone();
                twice.headers.append(&header, value);
                assert!(
                    check(dialect, &proofs, &twice, now()).is_err(),
                    "{name}: {header} twice"
                );
            }
            for others in ingest::DIALECTS.iter().filter(|it| it.name() != name) {
                let elsewhere = check(*others, &proofs, &request, now());
                assert!(elsewhere.is_err(), "{name} is not {}", others.name());
            }
        }
        let mut request = inbound(&[], BODY);
        let wrong = secret("whsec_d3Jvbmc=");
        dialect
            .scheme()
            .prove(&wrong, &mut request.headers, BODY.as_bytes(), now());
        assert!(
            check(dialect, &proofs, &request, now()).is_err(),
            "{name}: wrong secret"
        );
    }
}

#[test]
fn a_request_is_given_the_proofs_it_lacks_and_no_others() {
    let header = r#"{"type":"header","name":"authorization","values":[]}"#;
    let timed = r#"{"type":"hmac","header":"x-timed","secrets":[],
        "form":{"signed":"{timestamp}.{body}","timestamp_header":"x-time"}}"#;
    let proofs = [
        proof(header, &["Bearer new", "Bearer old"]),
        proof(HMAC, &[KEY, "old"]),
        proof(timed, &[KEY]),
        proof(PLATFORM, &["api-key"]),
    ];
    let retell = of("retell");
    let given = |headers| {
        let mut request = inbound(headers, BODY);
        complete(retell, &proofs, &mut request.headers, &request.body, now());
        check(retell, &proofs, &request, now())
    };
    assert_eq!(given(&[]), Ok(()));
    let wrong = Unproven::WrongValue("authorization".into());
    assert_eq!(given(&[("authorization", "Bearer older")]), Err(wrong));
}
