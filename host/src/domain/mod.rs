//! The words of Hookswitch as types: what arrives, what is decided, by whom.
//!
//! The domain knows no dialect, no SQL, no HTTP framework and no Wasm engine. It
//! does no I/O and reads no clock: whoever calls it passes the time. Every other
//! module uses it, and it uses none of them.
//!
//! Reading order: [`event`] (what arrived), [`decision`] (what is answered),
//! [`binding`] (who is asked, in which order), [`source`], [`proof`] and [`plugin`] (what
//! an operator and a customer set up), [`endpoint`] and [`delivery`] (who is told, and
//! how often it is tried), [`job`] (what is tried again), [`repeat`] (when two requests
//! are one), [`rate`] (how many may come), [`limits`] and [`grant`] (what a plugin may
//! use and reach), [`kv`] and [`log`] (what a plugin keeps and says), [`timeline`] (what
//! was recorded of a call), [`organization`] and [`access`] (whose all of it is, and who
//! may do what), [`revision`] and [`id`] (how it is known and named).

pub mod access;
pub mod binding;
pub mod breaker;
pub mod decision;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod grant;
pub mod id;
pub mod inspection;
pub mod job;
pub mod kv;
pub mod limits;
pub mod log;
pub mod organization;
pub mod permission;
pub mod plugin;
pub mod proof;
pub mod rate;
pub mod repeat;
pub mod revision;
mod schema;
pub mod secret;
pub mod seed;
pub mod source;
pub mod timeline;

/// One JSON document as text, its syntax already checked.
///
/// Most JSON here only passes through, so it is kept as it was written: nothing
/// is parsed twice, and numbers and key order survive.
pub type Json = Box<serde_json::value::RawValue>;

/// The JSON document `{}`.
pub fn empty_object() -> Json {
    const EMPTY: &str = "{}";
    serde_json::value::RawValue::from_string(EMPTY.to_owned())
        .unwrap_or_else(|_| serde_json::value::RawValue::NULL.to_owned())
}

/// Whether a document is an object, told by its first character.
pub fn is_object(json: &serde_json::value::RawValue) -> bool {
    json.get().starts_with('{')
}
