//! Reading columns back into the domain. What cannot be read was not written by
//! us, and is reported as corrupt with the column's name.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::StoreError;
use super::seal::{Place, Sealer};
use crate::domain::Json;
use crate::domain::id::SourceId;
use crate::domain::repeat::{Basis, Fingerprint};

pub(super) fn timestamp(milliseconds: i64, what: &'static str) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|e| StoreError::corrupt(what, e))
}

/// The least id that a row made then can have: ids begin with their milliseconds.
pub(super) fn first_id(at: Timestamp) -> Uuid {
    let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(u128::from(milliseconds) << 80)
}

/// The nil id stands for what Hookswitch says itself.
pub(super) fn source(id: Uuid) -> Option<SourceId> {
    (!id.is_nil()).then(|| id.into())
}

pub(super) fn parsed<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::corrupt(what, e))
}

pub(super) fn json(text: String, what: &'static str) -> Result<Json, StoreError> {
    RawValue::from_string(text).map_err(|e| StoreError::corrupt(what, e))
}

/// Of the columns `fingerprint` and `identified` of an event.
pub(super) fn fingerprint(digest: &[u8], identified: bool) -> Result<Fingerprint, StoreError> {
    let basis = if identified {
        Basis::Identified
    } else {
        Basis::SameBody
    };
    let digest = digest
        .try_into()
        .map_err(|e| StoreError::corrupt("event.fingerprint", e))?;
    Ok(Fingerprint { basis, digest })
}

/// Written and sealed.
pub(super) fn sealed(
    value: &impl serde::Serialize,
    place: Place<'_>,
    sealer: &Sealer,
) -> Result<String, StoreError> {
    let text = Zeroizing::new(written(value)?);
    sealer.seal(place, &text)
}

/// Opened and parsed. What cannot be parsed is not shown, as serde's message would.
pub(super) fn opened<T: DeserializeOwned>(
    text: &str,
    place: Place<'_>,
    sealer: &Sealer,
) -> Result<T, StoreError> {
    let text = sealer.open(place, text)?;
    serde_json::from_str(&text).map_err(|_| place.corrupt("it has another form"))
}

pub(super) fn written(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::corrupt("a new row", e))
}
