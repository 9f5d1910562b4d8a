//! Ids: a prefix that says what is named, and a UUID (version 7, so that ids sort
//! by age and new rows go to the end of an index).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of the form {prefix}_ followed by 32 hexadecimal digits")]
pub struct InvalidId {
    prefix: &'static str,
}

fn parse(text: &str, prefix: &'static str) -> Result<Uuid, InvalidId> {
    let invalid = InvalidId { prefix };
    let digits = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|digits| digits.len() == 32)
        .ok_or_else(|| invalid.clone())?;
    Uuid::try_parse(digits).map_err(|_| invalid)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The bare UUID, as the store keeps it.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text, $prefix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$"),
                })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A tenant.
    OrganizationId, "org"
);
id!(
    /// An inbound hook; part of its URL.
    SourceId, "src"
);
id!(
    /// A named plugin.
    PluginId, "plg"
);
id!(
    /// Who is asked, for what.
    BindingId, "bnd"
);
id!(
    /// One thing that arrived.
    EventId, "evt"
);
id!(
    /// One event owed to one endpoint.
    DeliveryId, "dlv"
);
id!(
    /// An outbound destination.
    EndpointId, "ep"
);
id!(
    /// Work on many deliveries.
    JobId, "job"
);
id!(
    /// What lets somebody use the API.
    TokenId, "tok"
);
id!(
    /// A line of the audit log.
    AuditId, "aud"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_shows() {
        let id = EventId::from(Uuid::from_u128(0x0192_3456_789a_7bcd_8ef0_1234_5678_9abc));
        assert_eq!(
            id.to_string(),
            "evt_0192345678 9a7bcd8ef0123456789abc".replace(' ', "")
        );
        assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_or_shape_is_refused() {
        for text in [
            "",
            "evt_",
            "src_01923456789a7bcd8ef0123456789abc",
            "evt_01923456-789a-7bcd-8ef0-123456789abc",
            "evt_01923456789a7bcd8ef0123456789abg",
            "01923456789a7bcd8ef0123456789abc",
        ] {
            assert!(
                text.parse::<EventId>().is_err(),
                "{text:?} was taken for an event's id"
            );
        }
    }
}
