//! Secrets at rest: sealed with a key that the database does not hold.
//!
//! A sealed text is `v1.<key id>.<base64 of nonce and ciphertext>`. The cipher is
//! XChaCha20-Poly1305; the [`Place`] is its associated data, so a value opens in the
//! row that it was sealed for and nowhere else. [`file`] is where keys come from,
//! [`values`] which columns are sealed and how they get to another key, [`folder`]
//! what the command line does with both, [`reload`] a server that runs. `secret`, `source` and `endpoint` seal and
//! open with the [`Sealer`] of their store.

mod file;
pub mod folder;
mod reload;
#[cfg(test)]
mod tests;
pub(super) mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use self::file::{KeyError, KeySource};
use self::values::Column;
pub use self::values::{Resealed, Use};
use super::{OpenError, StoreError};

/// By what a sealed value names its key. It says nothing about the key itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Several ids for people.
fn listed<'a>(ids: impl IntoIterator<Item = &'a KeyId>) -> String {
    let ids: Vec<String> = ids.into_iter().map(KeyId::to_string).collect();
    ids.join(", ")
}

const KEY_BYTES: usize = 32;

/// A key. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl Key {
    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        // The prefix keeps the id from being the hash of the key for any other purpose.
        let digest = Sha256::new_with_prefix(b"hookswitch key id\0")
            .chain_update(*bytes)
            .finalize();
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest);
        Self {
            id: KeyId([a, b, c, d]),
            bytes,
        }
    }

    fn random() -> Self {
        Self::new(Zeroizing::new(rand::random()))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }

    /// The text form, for the key file.
    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.bytes))
    }
}

impl FromStr for Key {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| ())?);
        let bytes = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| ())?;
        Ok(Self::new(Zeroizing::new(bytes)))
    }
}

/// A new key in the text form of key files, for those who keep keys elsewhere.
pub fn new_key() -> Zeroizing<String> {
    Key::random().text()
}

/// The key that seals, and those that still open. Their ids differ.
#[derive(Clone, PartialEq, Eq)]
pub struct Keyring {
    current: Key,
    older: Vec<Key>,
}

/// A text that is no list of keys. It does not say what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    #[error("there is no key; make one with: hookswitch key generate")]
    None,
    #[error(
        "the entry {0} is no key: expected {KEY_BYTES} bytes in base64, as hookswitch key generate prints them"
    )]
    NoKey(usize),
    #[error("the key {0} is there twice: remove one of them")]
    Twice(KeyId),
    #[error(
        "there are more than {} keys: remove some with hookswitch key retire",
        Keyring::MOST
    )]
    TooMany,
}

impl FromStr for Keyring {
    type Err = InvalidKeys;

    /// Keys are separated by whitespace or commas, so that they fit one line of an
    /// environment as well as lines of a file.
    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        let entries = text.split(|c: char| c.is_whitespace() || c == ',');
        let mut keys: Vec<Key> = Vec::new();
        for (at, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            let key: Key = entry.parse().map_err(|()| InvalidKeys::NoKey(at + 1))?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(InvalidKeys::Twice(key.id));
            }
            if at == Self::MOST {
                return Err(InvalidKeys::TooMany);
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(InvalidKeys::None);
        }
        let current = keys.remove(0);
        Ok(Self {
            current,
            older: keys,
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(keys {})", listed(&self.ids()))
    }
}

impl Keyring {
    const MOST: usize = 100;

    /// With one new key.
    fn random() -> Self {
        Self {
            current: Key::random(),
            older: Vec::new(),
        }
    }

    /// With a new key before those that are there.
    fn rotated(&self) -> Self {
        Self {
            current: Key::random(),
            older: self.keys().cloned().collect(),
        }
    }

    /// With those older keys alone that are to stay.
    fn retaining(&self, stays: impl Fn(KeyId) -> bool) -> Self {
        let older = self.older.iter().filter(|key| stays(key.id)).cloned();
        Self {
            current: self.current.clone(),
            older: older.collect(),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }

    /// The current key's first.
    fn ids(&self) -> Vec<KeyId> {
        self.keys().map(|key| key.id).collect()
    }

    fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys().find(|key| key.id == id)
    }

    /// Of the keys that are needed, those that are not here.
    fn lacks(&self, needed: &BTreeSet<KeyId>) -> Vec<KeyId> {
        let lacking = needed.iter().filter(|id| self.key(**id).is_none());
        lacking.copied().collect()
    }

    /// The lines of a key file.
    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity((self.older.len() + 1) * 45));
        for key in self.keys() {
            text.push_str(&key.text());
            text.push('\n');
        }
        text
    }

    fn seal(&self, place: Place<'_>, plain: &str) -> Result<String, StoreError> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload {
            msg: plain.as_bytes(),
            aad: &place.bytes(),
        };
        let cipher = self.current.cipher();
        // Only a text of many gigabytes is refused.
        let ciphertext = cipher.encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|e| place.corrupt(e))?;
        let body = STANDARD.encode([&nonce, ciphertext.as_slice()].concat());
        Ok(format!("{}{body}", prefix(self.current.id)))
    }

    fn open(&self, place: Place<'_>, text: &str) -> Result<Zeroizing<String>, StoreError> {
        let Form::Sealed { key, body } = Form::of(text) else {
            return Err(place.corrupt("it is not sealed"));
        };
        let Some(known) = self.key(key) else {
            return Err(place.corrupt(format!("it is sealed by the key {key}, which is not here")));
        };
        let refused = || place.corrupt("it was changed, or sealed for another row");
        let body = STANDARD.decode(body).map_err(|_| refused())?;
        let (nonce, msg) = body.split_first_chunk().ok_or_else(refused)?;
        let nonce = XNonce::from(*nonce);
        let aad = &place.bytes();
        let plain = known.cipher().decrypt(&nonce, Payload { msg, aad });
        let mut plain = Zeroizing::new(plain.map_err(|_| refused())?);
        let plain = String::from_utf8(std::mem::take(&mut *plain)).map_err(|_| refused())?;
        Ok(Zeroizing::new(plain))
    }
}

const NONCE_BYTES: usize = 24;
const VERSION: &str = "v1.";
/// What the migration put before values that were there before there were keys.
const CLEAR: &str = "clear.";
/// Of `v1.<key id>.`, by which the database counts.
const PREFIX_LEN: usize = 12;

fn prefix(key: KeyId) -> String {
    format!("{VERSION}{key}.")
}

/// How a stored text is kept.
#[derive(Debug, PartialEq, Eq)]
enum Form<'a> {
    Sealed { key: KeyId, body: &'a str },
    Clear(&'a str),
    Unknown,
}

impl<'a> Form<'a> {
    fn of(text: &'a str) -> Self {
        if let Some(plain) = text.strip_prefix(CLEAR) {
            return Self::Clear(plain);
        }
        let parts = text.strip_prefix(VERSION).and_then(|t| t.split_once('.'));
        let Some((id, body)) = parts else {
            return Self::Unknown;
        };
        let mut key = [0; 4];
        match hex::decode_to_slice(id, &mut key) {
            Ok(()) => Self::Sealed {
                key: KeyId(key),
                body,
            },
            Err(_) => Self::Unknown,
        }
    }
}

/// Where a value stands, and the only place where it opens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    column: &'static Column,
    organization: Uuid,
    row: &'a [u8],
}

impl<'a> Place<'a> {
    /// `row` is the row's key within its organization: an id's bytes, or a name.
    pub(super) fn new(column: &'static Column, organization: Uuid, row: &'a [u8]) -> Self {
        Self {
            column,
            organization,
            row,
        }
    }

    /// No two places have the same bytes: of the parts that vary in length one ends
    /// with a zero, which no column's name holds, and the other comes last.
    fn bytes(self) -> Vec<u8> {
        let organization = self.organization.as_bytes();
        let name = self.column.name.as_bytes();
        [b"hookswitch v1\0", name, b"\0", organization, self.row].concat()
    }

    pub(super) fn corrupt(self, problem: impl fmt::Display) -> StoreError {
        StoreError::corrupt(self.column.name, problem)
    }
}

/// Seals and opens with the keys that hold now. Cheap to clone; all clones change to
/// other keys together.
#[derive(Debug, Clone)]
pub(super) struct Sealer {
    keys: Arc<RwLock<Arc<Keyring>>>,
}

impl Sealer {
    fn new(keys: Keyring) -> Self {
        Self {
            keys: Arc::new(RwLock::new(Arc::new(keys))),
        }
    }

    /// Makes the first key if there is none and none is needed, sees to it that all keys
    /// are there that are, and seals everything with the current one. To be called
    /// before anybody else uses the database.
    pub(super) async fn start(
        connection: &mut SqliteConnection,
        source: &KeySource,
        folder: &Path,
    ) -> Result<Self, OpenError> {
        let there = source.load(folder)?;
        let needed = values::needed(&values::uses(connection).await?);
        let keys = match (there, source.file(folder)) {
            (Some(keys), _) => keys,
            (None, Some(file)) if needed.is_empty() => {
                let keys = Keyring::random();
                file.create(&keys)?;
                tracing::info!(file = %file.path.display(), key = %keys.current.id, "a key for secrets was made: keep a copy of it apart from those of the database");
                keys
            }
            (None, file) => {
                let path = file.map(|file| file.path).unwrap_or_default();
                let needed = needed.into_iter().collect();
                return Err(KeyError::Lost { needed, path }.into());
            }
        };
        source.check(folder, &keys, &needed)?;
        let resealed = values::reseal(connection, &keys).await?;
        resealed.tell(keys.current.id);
        if let Err(error) = values::clear_free_space(connection).await {
            tracing::warn!(%error, "secrets from before they were sealed may still stand in free space of the database's file; the next start tries again to clear it");
        }
        Ok(Self::new(keys))
    }

    pub(super) fn seal(&self, place: Place<'_>, plain: &str) -> Result<String, StoreError> {
        self.keys().seal(place, plain)
    }

    pub(super) fn open(
        &self,
        place: Place<'_>,
        text: &str,
    ) -> Result<Zeroizing<String>, StoreError> {
        self.keys().open(place, text)
    }

    fn change(&self, keys: Keyring) {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(keys);
    }

    fn keys(&self) -> Arc<Keyring> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }
}
