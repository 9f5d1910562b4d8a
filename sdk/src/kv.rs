//! A small key-value store, the only thing that outlives a call.
//!
//! There is one space for each organization and plugin, shared by all versions
//! and bindings of the plugin. Every operation is atomic and takes effect at
//! once, also when the plugin fails later.
//!
//! ```
//! use std::time::Duration;
//! use hookswitch_sdk::{kv, testing};
//!
//! let _host = testing::Host::new();
//! const DAY: Duration = Duration::from_hours(24);
//!
//! let calls_today = kv::increment("calls/+14155551234", 1, DAY)?;
//! kv::set("last-caller", "+14155551234", None)?;
//! assert_eq!(kv::get_text("last-caller")?.as_deref(), Some("+14155551234"));
//! # assert_eq!(calls_today, 1);
//! # Ok::<(), hookswitch_sdk::Error>(())
//! ```

use std::{fmt, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::host;

/// The value under a key, or none when there is none or it has expired.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::kv_get(key)
}

/// The value under a key as text. Bytes that are not UTF-8 are an error of
/// [`Code::BadValue`].
pub fn get_text(key: &str) -> Result<Option<String>, Error> {
    let text = |bytes| String::from_utf8(bytes).map_err(|error| Error::bad_value(key, &error));
    get(key)?.map(text).transpose()
}

/// The value under a key, read as JSON. A value that does not fit is an error
/// of [`Code::BadValue`].
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    get(key)?.map(|bytes| from_json(key, &bytes)).transpose()
}

/// Stores a value; with a time to live it is gone after that, with `None` it
/// stays.
pub fn set(
    key: &str,
    value: impl AsRef<[u8]>,
    ttl: impl Into<Option<Duration>>,
) -> Result<(), Error> {
    host::kv_set(key, value.as_ref(), ttl_ms(ttl))
}

/// Stores a value as JSON.
pub fn set_json(
    key: &str,
    value: &(impl Serialize + ?Sized),
    ttl: impl Into<Option<Duration>>,
) -> Result<(), Error> {
    set(key, to_json(key, value)?, ttl)
}

/// Removes a key. True when there was one.
pub fn delete(key: &str) -> Result<bool, Error> {
    host::kv_delete(key)
}

/// Adds to the decimal integer under a key (a missing one counts as 0) and
/// gives the sum.
///
/// The time to live is set only when the key comes into being, so that a
/// counter with one is a fixed window.
pub fn increment(key: &str, delta: i64, ttl: impl Into<Option<Duration>>) -> Result<i64, Error> {
    host::kv_increment(key, delta, ttl_ms(ttl))
}

/// Replaces the value only if it still is the expected one. False when somebody
/// else was faster; nothing has changed then.
///
/// `None` expects that there is no value; a new value of `None` removes the
/// key. For a whole read-change-write round see [`update`].
pub fn compare_and_swap(
    key: &str,
    expected: Option<&[u8]>,
    new: Option<&[u8]>,
    ttl: impl Into<Option<Duration>>,
) -> Result<bool, Error> {
    host::kv_compare_and_swap(key, expected, new, ttl_ms(ttl))
}

/// How often [`update`] starts over before it gives up.
pub const UPDATE_ATTEMPTS: u32 = 16;

/// What [`update`] does with the value after its closure has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// Leaves the value as it is, or absent.
    Keep,
    /// Stores this value.
    Store(T),
    /// Removes the key.
    Remove,
}

/// Reads a JSON value, changes it and stores it, without losing what another
/// call stored in between.
///
/// `change` sees the value (or none) and gives the change and an answer for the
/// caller. It may run several times, each time with the newest value, so it
/// must not do anything that cannot be done twice. After [`UPDATE_ATTEMPTS`]
/// lost races the error is of [`Code::Contended`].
///
/// ```
/// # use hookswitch_sdk::{kv::{self, Change}, testing};
/// # let _host = testing::Host::new();
/// // Takes the last free seat, or learns that there is none.
/// let seat = kv::update("seats", None, |seats: Option<Vec<u32>>| {
///     let mut seats = seats.unwrap_or_else(|| vec![1, 2, 3]);
///     let seat = seats.pop();
///     (Change::Store(seats), seat)
/// })?;
/// assert_eq!(seat, Some(3));
/// # Ok::<(), hookswitch_sdk::Error>(())
/// ```
pub fn update<T, R>(
    key: &str,
    ttl: impl Into<Option<Duration>>,
    mut change: impl FnMut(Option<T>) -> (Change<T>, R),
) -> Result<R, Error>
where
    T: Serialize + DeserializeOwned,
{
    let ttl = ttl.into();
    for _ in 0..UPDATE_ATTEMPTS {
        let found = get(key)?;
        let value = found
            .as_deref()
            .map(|bytes| from_json(key, bytes))
            .transpose()?;
        let (new, answer) = match change(value) {
            (Change::Keep, answer) => return Ok(answer),
            (Change::Store(value), answer) => (Some(to_json(key, &value)?), answer),
            (Change::Remove, answer) => (None, answer),
        };
        if compare_and_swap(key, found.as_deref(), new.as_deref(), ttl)? {
            return Ok(answer);
        }
    }
    let message = format!("`{key}`: others were faster {UPDATE_ATTEMPTS} times");
    Err(Error::new(Code::Contended, message))
}

/// Why an operation did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
}

/// The kinds of [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The key is empty, too long, or not allowed.
    InvalidKey,
    /// The value is larger than the host takes.
    ValueTooLarge,
    /// The space is full.
    QuotaExceeded,
    /// The value to increment is no decimal integer, or the sum is too large.
    NotAnInteger,
    /// The binding does not grant the store.
    Denied,
    /// The store cannot be reached now.
    Unavailable,
    /// The SDK's own: the value is not text, or not the JSON that was expected.
    BadValue,
    /// The SDK's own: [`update`] lost too many races.
    Contended,
    /// A code of a newer host.
    Other(String),
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn bad_value(key: &str, error: &dyn fmt::Display) -> Self {
        Self::new(Code::BadValue, format!("`{key}`: {error}"))
    }

    /// What kind of error it is.
    pub fn code(&self) -> &Code {
        &self.code
    }
}

impl Code {
    /// Reads the code as the host writes it.
    #[cfg_attr(
        not(target_arch = "wasm32"),
        allow(dead_code, reason = "the stand-in makes codes")
    )]
    pub(crate) fn from_host(code: String) -> Self {
        match code.as_str() {
            "invalid-key" => Self::InvalidKey,
            "value-too-large" => Self::ValueTooLarge,
            "quota-exceeded" => Self::QuotaExceeded,
            "not-an-integer" => Self::NotAnInteger,
            "denied" => Self::Denied,
            "unavailable" => Self::Unavailable,
            _ => Self::Other(code),
        }
    }

    /// The code as the host writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidKey => "invalid-key",
            Self::ValueTooLarge => "value-too-large",
            Self::QuotaExceeded => "quota-exceeded",
            Self::NotAnInteger => "not-an-integer",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::BadValue => "bad-value",
            Self::Contended => "contended",
            Self::Other(code) => code,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "key-value store, {}: {}",
            self.code.as_str(),
            self.message
        )
    }
}

impl std::error::Error for Error {}

fn ttl_ms(ttl: impl Into<Option<Duration>>) -> Option<u64> {
    ttl.into()
        .map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}

fn to_json(key: &str, value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::bad_value(key, &error))
}

fn from_json<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::bad_value(key, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn values_come_back_in_the_form_they_went_in() {
        let _host = Host::new();
        set("bytes", [0, 159], None).unwrap();
        set("text", "grüß", None).unwrap();
        set_json("json", &["a"], None).unwrap();
        assert_eq!(get("bytes").unwrap(), Some(vec![0, 159]));
        assert_eq!(get_text("text").unwrap().as_deref(), Some("grüß"));
        assert_eq!(
            get_json::<Vec<String>>("json").unwrap(),
            Some(vec!["a".to_owned()])
        );
        assert_eq!(get("nothing").unwrap(), None);
    }

    #[test]
    fn a_value_of_another_form_is_a_bad_value() {
        let _host = Host::new().kv("key", [0, 159]);
        assert_eq!(get_text("key").unwrap_err().code(), &Code::BadValue);
        assert_eq!(get_json::<u8>("key").unwrap_err().code(), &Code::BadValue);
    }

    #[test]
    fn a_value_is_gone_when_its_time_to_live_is_over() {
        let host = Host::new();
        set("key", "value", MINUTE).unwrap();
        host.advance(Duration::from_millis(59_999));
        assert!(get("key").unwrap().is_some());
        host.advance(Duration::from_millis(1));
        assert!(get("key").unwrap().is_none());
        assert!(!delete("key").unwrap());
    }

    #[test]
    fn a_counter_keeps_the_window_it_was_born_with() {
        let host = Host::new();
        assert_eq!(increment("n", 1, MINUTE).unwrap(), 1);
        host.advance(MINUTE / 2);
        assert_eq!(increment("n", 2, MINUTE).unwrap(), 3);
        host.advance(MINUTE / 2);
        assert_eq!(increment("n", 1, MINUTE).unwrap(), 1);
    }

    #[test]
    fn text_is_not_counted() {
        let _host = Host::new().kv("n", "many");
        assert_eq!(
            increment("n", 1, None).unwrap_err().code(),
            &Code::NotAnInteger
        );
    }

    #[test]
    fn a_swap_wants_the_expected_value() {
        let _host = Host::new();
        assert!(!compare_and_swap("key", Some(b"a"), Some(b"b"), None).unwrap());
        assert!(compare_and_swap("key", None, Some(b"a"), None).unwrap());
        assert!(!compare_and_swap("key", None, Some(b"b"), None).unwrap());
        assert!(compare_and_swap("key", Some(b"a"), None, None).unwrap());
        assert_eq!(get("key").unwrap(), None);
    }

    fn add_one(count: Option<u32>) -> (Change<u32>, u32) {
        let count = count.unwrap_or(0) + 1;
        (Change::Store(count), count)
    }

    #[test]
    fn an_update_starts_over_when_somebody_was_faster() {
        let _host = Host::new().lose_swaps(UPDATE_ATTEMPTS - 1);
        assert_eq!(update("n", None, add_one).unwrap(), 1);
    }

    #[test]
    fn an_update_gives_up_in_the_end() {
        let _host = Host::new().lose_swaps(UPDATE_ATTEMPTS);
        assert_eq!(
            update("n", None, add_one).unwrap_err().code(),
            &Code::Contended
        );
    }

    #[test]
    fn an_update_can_keep_and_remove() {
        let _host = Host::new().kv("n", "7");
        let keep = |count: Option<u32>| (Change::Keep, count);
        assert_eq!(update("n", None, keep).unwrap(), Some(7));
        assert_eq!(get_json("n").unwrap(), Some(7));
        update("n", None, |_: Option<u32>| (Change::Remove, ())).unwrap();
        assert_eq!(get("n").unwrap(), None);
    }

    #[test]
    fn a_store_that_is_not_granted_says_so() {
        let _host = Host::new().kv_fails(Code::Denied);
        let error = get("key").unwrap_err();
        assert_eq!(error.code(), &Code::Denied);
        assert!(error.to_string().starts_with("key-value store, denied: "));
    }
}
