//! The fingerprint of a request: by it a platform's repetition is known again.
//!
//! Of the delivery's name where the platform gives one in a header, else of the whole
//! body. To be made only once the request has proved its origin, as whoever could make
//! up the name of a delivery would be told what that one was answered.

use ::http::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

use super::Inbound;
use crate::domain::id::SourceId;
use crate::domain::repeat::{Basis, Fingerprint, RepeatWindow};

/// How the headers end in which platforms name a delivery (`X-Blackbox-Delivery-ID`).
const DELIVERY_ID: &str = "-delivery-id";
/// The same in Standard Webhooks.
const WEBHOOK_ID: &str = "webhook-id";

/// The fingerprint of a request to a source, or of the part at a place of it; none where
/// the source wants each body to be a request of its own, and nothing names this one.
pub fn of(
    source: SourceId,
    window: RepeatWindow,
    inbound: &Inbound,
    place: usize,
) -> Option<Fingerprint> {
    let place = match place {
        0 => Vec::new(),
        place => place.to_be_bytes().to_vec(),
    };
    match delivery_id(&inbound.headers) {
        Some((name, value)) => {
            let parts = [name.as_str().as_bytes(), b":", value, &place];
            Some(digest(source, Basis::Identified, &parts))
        }
        None if window.is_off() => None,
        None => Some(digest(source, Basis::SameBody, &[&inbound.body, &place])),
    }
}

/// The header that names the delivery. Of several the first by name: proxies may send
/// headers in another order the next time.
fn delivery_id(headers: &HeaderMap) -> Option<(&HeaderName, &[u8])> {
    headers
        .iter()
        .filter(|(name, value)| {
            let name = name.as_str();
            (name.ends_with(DELIVERY_ID) || name == WEBHOOK_ID) && !value.is_empty()
        })
        .map(|(name, value)| (name, value.as_bytes()))
        .min_by(|(one, a), (other, b)| (one.as_str(), a).cmp(&(other.as_str(), b)))
}

fn digest(source: SourceId, basis: Basis, parts: &[&[u8]]) -> Fingerprint {
    let tag = match basis {
        Basis::Identified => b'i',
        Basis::SameBody => b'b',
    };
    let mut hash = Sha256::new();
    hash.update(source.uuid().as_bytes());
    hash.update([tag]);
    for part in parts {
        hash.update(part);
    }
    let mut digest = [0; Fingerprint::BYTES];
    digest.copy_from_slice(&hash.finalize()[..Fingerprint::BYTES]);
    Fingerprint { basis, digest }
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;
    use bytes::Bytes;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn source(n: u128) -> SourceId {
        Uuid::from_u128(n).into()
    }

    fn inbound(headers: &[(&str, &str)], body: &[u8]) -> Inbound {
        let headers = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        Inbound {
            headers: map,
            body: Bytes::copy_from_slice(body),
            peer: [127, 0, 0, 1].into(),
        }
    }

    fn taken(headers: &[(&str, &str)], body: &[u8]) -> Fingerprint {
        of(
            source(1),
            RepeatWindow::default(),
            &inbound(headers, body),
            0,
        )
        .unwrap()
    }

    #[test]
    fn a_delivery_is_known_by_its_name_whatever_its_body() {
        for name in [
            "X-Blackbox-Delivery-ID",
            "x-delivery-id",
            "Acme-Delivery-Id",
            "webhook-id",
        ] {
            let first = taken(&[(name, "1")], b"one");
            assert_eq!(first.basis, Basis::Identified, "{name}");
            assert_eq!(taken(&[(name, "1")], b"another"), first, "{name}");
            assert_ne!(taken(&[(name, "2")], b"one"), first, "{name}");
        }
    }

    #[test]
    fn other_headers_and_an_empty_name_leave_it_to_the_body() {
        let plain = taken(&[], b"one");
        assert_eq!(plain.basis, Basis::SameBody);
        for header in [
            ("x-request-id", "1"),
            ("x-webhook-id", "1"),
            ("delivery-id", "1"),
            ("x-delivery-identity", "1"),
            ("x-delivery-id", ""),
        ] {
            assert_eq!(taken(&[header], b"one"), plain, "{header:?}");
        }
    }

    #[test]
    fn the_order_of_headers_does_not_matter() {
        let (a, b) = (("x-a-delivery-id", "1"), ("x-b-delivery-id", "2"));
        assert_eq!(taken(&[a, b], b""), taken(&[b, a], b""));
        let (one, other) = (("x-delivery-id", "1"), ("x-delivery-id", "2"));
        assert_eq!(taken(&[one, other], b""), taken(&[other, one], b""));
    }

    #[test]
    fn a_source_without_a_window_knows_only_named_deliveries() {
        let off = RepeatWindow::from_ms(0).unwrap();
        assert_eq!(of(source(1), off, &inbound(&[], b"one"), 0), None);
        let named = of(source(1), off, &inbound(&[("webhook-id", "1")], b"one"), 0);
        assert_eq!(named, Some(taken(&[("webhook-id", "1")], b"one")));
    }

    #[test]
    fn parts_of_one_request_are_told_apart() {
        let of = |place| {
            of(
                source(1),
                RepeatWindow::default(),
                &inbound(&[], b"one"),
                place,
            )
        };
        assert_eq!(of(0), Some(taken(&[], b"one")));
        assert_ne!(of(0), of(1));
        assert_ne!(of(1), of(2));
    }

    proptest! {
        #[test]
        fn bodies_are_the_same_request_exactly_if_they_are_equal_and_for_one_source(
            one in proptest::collection::vec(any::<u8>(), 0..200),
            other in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let window = RepeatWindow::default();
            let first = of(source(1), window, &inbound(&[], &one), 0);
            prop_assert_eq!(first == of(source(1), window, &inbound(&[], &other), 0), one == other);
            prop_assert_ne!(first, of(source(2), window, &inbound(&[], &one), 0));
        }

        #[test]
        fn a_name_is_never_taken_for_a_body(name in "[a-z0-9]{1,40}") {
            let named = taken(&[("webhook-id", &name)], b"");
            prop_assert_ne!(named.digest, taken(&[], name.as_bytes()).digest);
            let line = format!("webhook-id:{name}");
            prop_assert_ne!(named.digest, taken(&[], line.as_bytes()).digest);
        }
    }
}
