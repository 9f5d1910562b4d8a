//! Where keys come from, and the file that holds them.
//!
//! The file has one key a line, in base64; the first one seals. It is replaced as a
//! whole, so that whoever reads it, also after a crash, finds all keys of before or
//! all keys of after. A key is on the disk before anything is sealed with it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::{InvalidKeys, KeyId, Keyring, listed};

/// Where the keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In the environment, or wherever that is filled from.
    Environment(Arc<Keyring>),
    /// In a file that the operator provides.
    File(PathBuf),
    /// In the data folder, in a file that the first start makes.
    DataFolder,
}

/// The keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key file {} cannot be {what}", path.display())]
    File {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the key file {} is not there: make it with (umask 077; hookswitch key generate > FILE), or bring it back",
        path.display()
    )]
    NoFile { path: PathBuf },
    #[error(
        "others than its owner can read the key file {} (mode {mode:04o}): chmod 600 {}, and change the key if somebody may have",
        path.display(), path.display()
    )]
    Open { path: PathBuf, mode: u32 },
    #[error("the key file {} is wrong: {problem}", path.display())]
    Invalid { path: PathBuf, problem: InvalidKeys },
    #[error("the key file {} is no ordinary file of at most {MOST_BYTES} bytes", path.display())]
    NotOrdinary { path: PathBuf },
    #[error(
        "the database holds values sealed by the key {}, and the key file {} is not there: bring the file back, or say with encryption.key_file or HOOKSWITCH_ENCRYPTION_KEYS where the key is now",
        listed(needed), path.display()
    )]
    Lost { needed: Vec<KeyId>, path: PathBuf },
    #[error(
        "the database holds values sealed by the key {}, and {place} has only {}: put the missing key back there, in any place but the first, or use the database that belongs to these keys",
        listed(missing),
        listed(there)
    )]
    Missing {
        missing: Vec<KeyId>,
        place: String,
        there: Vec<KeyId>,
    },
    #[error(
        "the keys stand in HOOKSWITCH_ENCRYPTION_KEYS, which this command cannot change: {instead}"
    )]
    Environment { instead: &'static str },
    #[error(
        "the new keys no longer have the key {0}, which still seals: put it back, in any place but the first"
    )]
    Dropped(KeyId),
}

const DEFAULT: &str = "encryption.keys";
const MOST_BYTES: u64 = 16 << 10;

impl KeySource {
    /// The keys. None when the first start has yet to make them.
    pub(super) fn load(&self, folder: &Path) -> Result<Option<Keyring>, KeyError> {
        match self {
            Self::Environment(keys) => Ok(Some(Keyring::clone(keys))),
            Self::File(path) => KeyFile::new(path.clone()).read().map(Some),
            Self::DataFolder => match KeyFile::new(folder.join(DEFAULT)).read() {
                Err(KeyError::NoFile { .. }) => Ok(None),
                read => read.map(Some),
            },
        }
    }

    pub(super) fn file(&self, folder: &Path) -> Option<KeyFile> {
        match self {
            Self::Environment(_) => None,
            Self::File(path) => Some(KeyFile::new(path.clone())),
            Self::DataFolder => Some(KeyFile::new(folder.join(DEFAULT))),
        }
    }

    /// Whether all keys are there that are needed.
    pub(super) fn check(
        &self,
        folder: &Path,
        keys: &Keyring,
        needed: &BTreeSet<KeyId>,
    ) -> Result<(), KeyError> {
        let missing = keys.lacks(needed);
        if missing.is_empty() {
            return Ok(());
        }
        let place = match self.file(folder) {
            Some(file) => format!("the key file {}", file.path.display()),
            None => "HOOKSWITCH_ENCRYPTION_KEYS".to_owned(),
        };
        Err(KeyError::Missing {
            missing,
            place,
            there: keys.ids(),
        })
    }
}

/// A file of keys.
#[derive(Debug)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
}

impl KeyFile {
    fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn read(&self) -> Result<Keyring, KeyError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let path = self.path.clone();
                return Err(KeyError::NoFile { path });
            }
            Err(error) => return Err(self.failed("read")(error)),
        };
        self.vet(&file.metadata().map_err(self.failed("read"))?)?;
        // Whoever wrote it by hand may not have waited for the disk. Where the file
        // system is read-only there is nothing to wait for.
        let _ = file.sync_all();
        let mut text = Zeroizing::new(String::with_capacity(MOST_BYTES as usize));
        let read = (&mut file).take(MOST_BYTES).read_to_string(&mut text);
        read.map_err(self.failed("read"))?;
        text.parse().map_err(|problem| KeyError::Invalid {
            path: self.path.clone(),
            problem,
        })
    }

    /// A key that others can read is none.
    fn vet(&self, metadata: &fs::Metadata) -> Result<(), KeyError> {
        let path = self.path.clone();
        if !metadata.is_file() || metadata.len() > MOST_BYTES {
            return Err(KeyError::NotOrdinary { path });
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Open { path, mode });
            }
        }
        Ok(())
    }

    /// Makes the file. One that is there already stays.
    pub(super) fn create(&self, keys: &Keyring) -> Result<(), KeyError> {
        let new = self.written(&self.path, keys)?;
        let made = new.persist_noclobber(&self.path);
        made.map_err(|error| self.failed("made")(error.error))?;
        self.sync_folder(&self.path)
    }

    /// Replaces the file's keys; to be called with [`KeyFile::lock`] held. Where the
    /// path is a link, what it leads to is replaced.
    pub(super) fn replace(&self, keys: &Keyring) -> Result<(), KeyError> {
        let path = self.real_path()?;
        let new = self.written(&path, keys)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            // Root may do this for a server that is somebody else.
            let old = fs::metadata(&path).map_err(self.failed("read"))?;
            let mine = new.as_file().metadata().map_err(self.failed("read"))?;
            if (old.uid(), old.gid()) != (mine.uid(), mine.gid()) {
                std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()))
                    .map_err(self.failed("given to its owner"))?;
            }
        }
        let replaced = new.persist(&path);
        replaced.map_err(|error| self.failed("replaced")(error.error))?;
        self.sync_folder(&path)
    }

    /// Keeps others from replacing the file meanwhile. It is the folder that is locked,
    /// because the file is another one afterwards.
    pub(super) fn lock(&self) -> Result<File, KeyError> {
        let path = self.real_path()?;
        let folder = File::open(parent(&path)).map_err(self.failed("locked"))?;
        folder.lock().map_err(self.failed("locked"))?;
        Ok(folder)
    }

    fn real_path(&self) -> Result<PathBuf, KeyError> {
        match self.path.canonicalize() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(KeyError::NoFile {
                path: self.path.clone(),
            }),
            path => path.map_err(self.failed("read")),
        }
    }

    /// The keys beside the file, of mode 0600 and on the disk.
    fn written(&self, path: &Path, keys: &Keyring) -> Result<tempfile::NamedTempFile, KeyError> {
        let write = || {
            let mut new = tempfile::Builder::new()
                .prefix(".encryption.keys.")
                .tempfile_in(parent(path))?;
            new.write_all(keys.text().as_bytes())?;
            new.as_file().sync_all()?;
            Ok(new)
        };
        write().map_err(self.failed("written"))
    }

    fn sync_folder(&self, path: &Path) -> Result<(), KeyError> {
        let folder = File::open(parent(path));
        let synced = folder.and_then(|folder| folder.sync_all());
        synced.map_err(self.failed("written"))
    }

    fn failed(&self, what: &'static str) -> impl Fn(std::io::Error) -> KeyError {
        let path = self.path.clone();
        move |source| KeyError::File {
            path: path.clone(),
            what,
            source,
        }
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
