//! The event at hand: its id, its payload, its time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;

use crate::{Result, host};

/// The host's id of this event, unique for ever: `evt_…`.
pub fn event_id() -> String {
    host::event_id()
}

/// The request body exactly as the platform sent it, byte for byte.
///
/// Ask for it only when a field is wanted that the handler is not given
/// anyway: transcripts can be large, and each call copies the payload.
pub fn payload() -> Vec<u8> {
    host::payload()
}

/// The request body, read as JSON.
pub fn payload_json<T: DeserializeOwned>() -> Result<T> {
    let payload = payload();
    let mut reader = serde_json::Deserializer::from_slice(&payload);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| crate::Error::new(error).context("the payload"))
}

/// When the host received the event.
///
/// Rules about time ("are we open?") belong on this instant rather than on a
/// clock: it stays the same when the event is handled again.
pub fn received_at() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(received_at_ms())
}

/// When the host received the event, in milliseconds since 1970-01-01 UTC.
pub fn received_at_ms() -> u64 {
    host::received_at_ms()
}

/// The time left to answer in. At zero the host stops the plugin and answers
/// with the failure verdict.
pub fn remaining() -> Duration {
    Duration::from_millis(host::remaining_ms())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::Host;

    #[test]
    fn the_event_at_hand_is_what_the_host_says() {
        let _host = Host::new()
            .event_id("evt_7")
            .payload(json!({"type": "Start"}))
            .received_at("1970-01-02T00:00:00Z")
            .remaining(Duration::from_secs(3));
        assert_eq!(event_id(), "evt_7");
        assert_eq!(payload_json::<Value>().unwrap(), json!({"type": "Start"}));
        assert_eq!(received_at(), UNIX_EPOCH + Duration::from_hours(24));
        assert_eq!(remaining(), Duration::from_secs(3));
    }

    #[test]
    fn a_payload_of_another_shape_says_where() {
        let _host = Host::new().payload(json!({"callId": 7}));
        let error = payload_json::<std::collections::BTreeMap<String, String>>().unwrap_err();
        assert!(format!("{error:#}").starts_with("the payload: callId: invalid type"));
    }
}
