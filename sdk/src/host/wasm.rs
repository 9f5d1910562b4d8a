//! The host as the contract's imports give it.

mod http;

pub(crate) use self::http::http_send;

use crate::{
    bindings::imports::hookswitch::plugin::{config, context, kv, log},
    kv::{Code, Error},
    log::Level,
};

pub(crate) fn event_id() -> String {
    context::event_id()
}

pub(crate) fn payload() -> Vec<u8> {
    context::payload()
}

pub(crate) fn received_at_ms() -> u64 {
    context::received_at()
}

pub(crate) fn remaining_ms() -> u64 {
    context::remaining_ms()
}

pub(crate) fn log_write(level: Level, message: &str) {
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::write(level, message);
}

pub(crate) fn config_get(key: &str) -> Option<String> {
    config::get(key)
}

pub(crate) fn kv_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    kv::get(key).map_err(refusal)
}

pub(crate) fn kv_set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
    kv::set(key, value, ttl_ms).map_err(refusal)
}

pub(crate) fn kv_delete(key: &str) -> Result<bool, Error> {
    kv::delete(key).map_err(refusal)
}

pub(crate) fn kv_increment(key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
    kv::increment(key, delta, ttl_ms).map_err(refusal)
}

pub(crate) fn kv_compare_and_swap(
    key: &str,
    expected: Option<&[u8]>,
    new: Option<&[u8]>,
    ttl_ms: Option<u64>,
) -> Result<bool, Error> {
    kv::compare_and_swap(key, expected, new, ttl_ms).map_err(refusal)
}

fn refusal(error: kv::Error) -> Error {
    Error::new(Code::from_host(error.code), error.message)
}
