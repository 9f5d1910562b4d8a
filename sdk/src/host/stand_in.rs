//! The host of unit tests: one per thread, set up and looked into through
//! [`testing::Host`](crate::testing::Host).

mod http;

use std::{cell::RefCell, collections::BTreeMap};

pub(crate) use self::http::{Peers, http_send};
use crate::{
    http::Request,
    kv::{Code, Error},
    log::Level,
    testing::LogLine,
};

/// What the host of this thread knows and has seen.
#[derive(Debug)]
pub(crate) struct StandIn {
    pub(crate) event_id: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) received_at_ms: u64,
    pub(crate) remaining_ms: u64,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) store: Store,
    /// Who answers requests; with nobody, none is granted.
    pub(crate) peers: Option<Peers>,
    pub(crate) requests: Vec<Request>,
}

/// The key-value store of unit tests.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// What time to live is counted against.
    pub(crate) now_ms: u64,
    /// Every operation is refused with this code.
    pub(crate) refusal: Option<Code>,
    /// So many swaps are lost, as if somebody else were faster.
    pub(crate) swaps_to_lose: u32,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    expires_at_ms: Option<u64>,
}

impl Default for StandIn {
    fn default() -> Self {
        Self {
            event_id: "evt_test".to_owned(),
            payload: b"{}".to_vec(),
            received_at_ms: 0,
            remaining_ms: 10_000,
            settings: BTreeMap::new(),
            log: Vec::new(),
            store: Store::default(),
            peers: None,
            requests: Vec::new(),
        }
    }
}

thread_local! {
    static HOST: RefCell<StandIn> = RefCell::default();
}

pub(crate) fn with<T>(look: impl FnOnce(&mut StandIn) -> T) -> T {
    HOST.with_borrow_mut(look)
}

pub(crate) fn event_id() -> String {
    with(|host| host.event_id.clone())
}

pub(crate) fn payload() -> Vec<u8> {
    with(|host| host.payload.clone())
}

pub(crate) fn received_at_ms() -> u64 {
    with(|host| host.received_at_ms)
}

pub(crate) fn remaining_ms() -> u64 {
    with(|host| host.remaining_ms)
}

pub(crate) fn log_write(level: Level, message: &str) {
    let message = message.to_owned();
    with(|host| host.log.push(LogLine { level, message }));
}

pub(crate) fn config_get(key: &str) -> Option<String> {
    with(|host| host.settings.get(key).cloned())
}

pub(crate) fn kv_get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    with(|host| host.store.get(key))
}

pub(crate) fn kv_set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
    with(|host| host.store.set(key, value, ttl_ms))
}

pub(crate) fn kv_delete(key: &str) -> Result<bool, Error> {
    with(|host| host.store.delete(key))
}

pub(crate) fn kv_increment(key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
    with(|host| host.store.increment(key, delta, ttl_ms))
}

pub(crate) fn kv_compare_and_swap(
    key: &str,
    expected: Option<&[u8]>,
    new: Option<&[u8]>,
    ttl_ms: Option<u64>,
) -> Result<bool, Error> {
    with(|host| host.store.compare_and_swap(key, expected, new, ttl_ms))
}

impl Store {
    fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.check(key)?;
        Ok(self.live(key).map(|entry| entry.value.clone()))
    }

    fn set(&mut self, key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), Error> {
        self.check(key)?;
        self.put(key, value, ttl_ms);
        Ok(())
    }

    fn delete(&mut self, key: &str) -> Result<bool, Error> {
        self.check(key)?;
        let existed = self.live(key).is_some();
        self.entries.remove(key);
        Ok(existed)
    }

    fn increment(&mut self, key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
        self.check(key)?;
        let not_an_integer =
            || Error::new(Code::NotAnInteger, format!("`{key}` cannot be counted"));
        let Some(entry) = self.live(key) else {
            self.put(key, delta.to_string().as_bytes(), ttl_ms);
            return Ok(delta);
        };
        let count: i64 = std::str::from_utf8(&entry.value)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(not_an_integer)?;
        let sum = count.checked_add(delta).ok_or_else(not_an_integer)?;
        entry.value = sum.to_string().into_bytes();
        Ok(sum)
    }

    fn compare_and_swap(
        &mut self,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
        ttl_ms: Option<u64>,
    ) -> Result<bool, Error> {
        self.check(key)?;
        if self.swaps_to_lose > 0 {
            self.swaps_to_lose -= 1;
            return Ok(false);
        }
        if self.live(key).map(|entry| entry.value.as_slice()) != expected {
            return Ok(false);
        }
        match new {
            Some(value) => self.put(key, value, ttl_ms),
            None => drop(self.entries.remove(key)),
        }
        Ok(true)
    }

    /// Stores a value without asking whether it is allowed.
    pub(crate) fn put(&mut self, key: &str, value: &[u8], ttl_ms: Option<u64>) {
        let expires_at_ms = ttl_ms.map(|ttl| self.now_ms.saturating_add(ttl));
        self.entries.insert(
            key.to_owned(),
            Entry {
                value: value.to_vec(),
                expires_at_ms,
            },
        );
    }

    /// The keys that have not expired.
    pub(crate) fn keys(&self) -> Vec<String> {
        let live = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_live(self.now_ms));
        live.map(|(key, _)| key.clone()).collect()
    }

    fn live(&mut self, key: &str) -> Option<&mut Entry> {
        let now_ms = self.now_ms;
        self.entries
            .get_mut(key)
            .filter(|entry| entry.is_live(now_ms))
    }

    fn check(&self, key: &str) -> Result<(), Error> {
        if let Some(code) = &self.refusal {
            return Err(Error::new(code.clone(), "refused by the test"));
        }
        if key.is_empty() {
            return Err(Error::new(Code::InvalidKey, "the key is empty"));
        }
        Ok(())
    }
}

impl Entry {
    fn is_live(&self, now_ms: u64) -> bool {
        self.expires_at_ms.is_none_or(|expiry| expiry > now_ms)
    }
}
