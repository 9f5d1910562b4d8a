//! Where a call can go: an E.164 number or a `sip:` URI.
//!
//! A typing error in the settings is better found here than by a caller who is
//! transferred into nothing.

use serde::Deserialize;

/// A destination that has been checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Destination(String);

impl Destination {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Destination {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_e164(&text) || is_sip_uri(&text) {
            return Ok(Self(text));
        }
        Err(format!(
            "`{text}` is neither an E.164 number like +14155550100 \
             nor a SIP URI like sip:desk@pbx.example.com"
        ))
    }
}

/// A plus and 7 to 15 digits, of which the first is not zero.
fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else {
        return false;
    };
    (7..=15).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0')
}

/// `sip:`, perhaps a user, a host, perhaps a port and parameters.
fn is_sip_uri(text: &str) -> bool {
    let Some(address) = text.strip_prefix("sip:") else {
        return false;
    };
    let end = address.find([';', '?']).unwrap_or(address.len());
    let (user, host) = match address[..end].split_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, &address[..end]),
    };
    let printable = address.bytes().all(|byte| byte.is_ascii_graphic());
    printable && user.is_none_or(|user| !user.is_empty()) && is_host(host)
}

/// A name or an address, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':').unwrap_or(rest)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    !host.is_empty()
        && host.bytes().all(in_name)
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && !text.ends_with(':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_destination(text: &str) -> bool {
        Destination::try_from(text.to_owned()).is_ok()
    }

    #[test]
    fn numbers_and_sip_uris_are_destinations() {
        for text in [
            "+14155550100",
            "+493012345",
            "sip:desk@pbx.example.com",
            "sip:pbx.example.com",
            "sip:+14155550100@10.0.0.1:5060;transport=tls",
            "sip:desk@[2001:db8::1]:5060",
        ] {
            assert!(is_destination(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_none() {
        for text in [
            "",
            "+",
            "4155550100",
            "+0155550100",
            "+1415555O100",
            "+1 415 555 0100",
            "+1234567890123456",
            "sip:",
            "sip:@host",
            "sip:desk@",
            "sip:desk@host:",
            "sip:desk@host:port",
            "sip:front desk@host",
            "tel:+14155550100",
        ] {
            assert!(!is_destination(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "(sip:)?\\PC*") {
            let _ = is_destination(&text);
        }
    }
}
