//! The server's configuration: a file, then the command line and environment over
//! it. Read once; every value is valid afterwards.

use std::env::VarError;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::domain;
use crate::domain::limits::CallLimits;
use crate::domain::organization::Quotas;
use crate::domain::rate::PerSecond;
use crate::egress::{EgressOptions, ProxyUrl};
use crate::runtime::CompileOptions;
use crate::store::seal::{InvalidKeys, Keyring};
use crate::store::{Durability, KeySource};

/// A valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub listen: SocketAddr,
    /// Whose word on where a request comes from counts.
    pub trusted_proxies: Vec<IpNet>,
    pub data_dir: PathBuf,
    pub log_format: LogFormat,
    /// Where the keys are that seal secrets.
    pub keys: KeySource,
    /// What storing an answered question promises before its reply leaves. A start or a
    /// transfer that is promised nothing is not stored, unless something is owed for it.
    pub answers: Durability,
    pub limits: Limits,
    /// The most that bindings can ask for.
    pub ceilings: CallLimits,
    /// Of organizations that have none of their own.
    pub quotas: Quotas,
    pub compile: CompileLimits,
    /// Which networks may be reached.
    pub egress: EgressOptions,
    /// Whether endpoints may have a URL without TLS.
    pub plain_endpoints: bool,
    /// How long requests in flight are waited for when the server stops.
    pub drain: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// What an operator allows. Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Sandboxes alive at once.
    pub concurrent_calls: u32,
    /// Of these, at most so many for one organization.
    pub calls_per_organization: u32,
    /// Event handlers that run at once; they use sandboxes too, so fewer.
    pub concurrent_notices: u16,
    /// Plugins kept ready in memory.
    pub loaded_plugins: u64,
    pub hook_body_bytes: usize,
    pub plugin_body_bytes: usize,
    /// Of one token; twice as many in a burst.
    pub api_requests_per_second: PerSecond,
}

/// Of one token in a second: far more than people need, and little for a server.
const API_REQUESTS: PerSecond = PerSecond::of::<100>();

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_calls: 128,
            calls_per_organization: 96,
            concurrent_notices: 16,
            loaded_plugins: 1_000,
            hook_body_bytes: 16 << 20,
            plugin_body_bytes: 64 << 20,
            api_requests_per_second: API_REQUESTS,
        }
    }
}

/// What compiling uploaded components may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompileLimits {
    /// Components compiled at the same time.
    pub at_once: u32,
    /// Of one compilation.
    pub seconds: u64,
    /// Of one compilation.
    pub memory_bytes: u64,
}

impl Default for CompileLimits {
    /// Python's components take about 15 s and 0.5 GB.
    fn default() -> Self {
        Self {
            at_once: 1,
            seconds: CompileOptions::DEFAULT_TIME.as_secs(),
            memory_bytes: CompileOptions::DEFAULT_MEMORY,
        }
    }
}

/// What the command line and the environment say; it goes before the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub listen: Option<SocketAddr>,
    pub data_dir: Option<PathBuf>,
    pub encryption_keys: Option<Keyring>,
}

/// Holds keys, for those who have no file for them.
const KEYS_VARIABLE: &str = "HOOKSWITCH_ENCRYPTION_KEYS";

/// The keys that the environment holds.
pub fn keys_of_environment() -> Result<Option<Keyring>, ConfigError> {
    let text = match std::env::var(KEYS_VARIABLE) {
        Ok(text) => Zeroizing::new(text),
        Err(VarError::NotPresent) => return Ok(None),
        Err(VarError::NotUnicode(_)) => return Err(ConfigError::Keys(InvalidKeys::NoKey(1))),
    };
    text.parse().map(Some).map_err(ConfigError::Keys)
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    // toml's message names the key and shows the line.
    #[error("the configuration file {} is wrong:\n{problem}", path.display())]
    Invalid { path: PathBuf, problem: String },
    #[error("the configuration file {} is wrong: {key} must be {range}", path.display())]
    OutOfRange {
        path: PathBuf,
        key: &'static str,
        range: &'static str,
    },
    #[error("{KEYS_VARIABLE} is wrong: {0}")]
    Keys(InvalidKeys),
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: SocketAddr,
    trusted_proxies: Vec<IpNet>,
    data_dir: PathBuf,
    drain_seconds: u64,
    log: LogSection,
    store: StoreSection,
    encryption: EncryptionSection,
    limits: Limits,
    ceilings: domain::limits::Limits,
    quotas: Quotas,
    compile: CompileLimits,
    egress: EgressSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EncryptionSection {
    key_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EgressSection {
    allow: Vec<IpNet>,
    extra_roots: Option<PathBuf>,
    resolver: Vec<SocketAddr>,
    proxy: Option<ProxyUrl>,
    plain_endpoints: bool,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogSection {
    format: LogFormat,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StoreSection {
    answers_survive: Survive,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Survive {
    Nothing,
    ProcessDeath,
    PowerLoss,
}

impl Default for File {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            trusted_proxies: Vec::new(),
            data_dir: PathBuf::from("hookswitch-data"),
            drain_seconds: 30,
            log: LogSection::default(),
            store: StoreSection::default(),
            encryption: EncryptionSection::default(),
            limits: Limits::default(),
            ceilings: domain::limits::Limits::default(),
            quotas: Quotas::default(),
            compile: CompileLimits::default(),
            egress: EgressSection::default(),
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            answers_survive: Survive::ProcessDeath,
        }
    }
}

impl Config {
    /// Reads the file, if there is one, and applies what goes before it.
    pub fn load(path: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let file = path.map(File::read).transpose()?.unwrap_or_default();
        let ceilings = file.ceilings();
        Ok(Self {
            listen: overrides.listen.unwrap_or(file.listen),
            trusted_proxies: file.trusted_proxies,
            data_dir: overrides.data_dir.unwrap_or(file.data_dir),
            log_format: file.log.format,
            keys: match (overrides.encryption_keys, file.encryption.key_file) {
                (Some(keys), _) => KeySource::Environment(Arc::new(keys)),
                (None, Some(path)) => KeySource::File(path),
                (None, None) => KeySource::DataFolder,
            },
            answers: match file.store.answers_survive {
                Survive::Nothing => Durability::Nothing,
                Survive::ProcessDeath => Durability::Process,
                Survive::PowerLoss => Durability::PowerLoss,
            },
            ceilings,
            quotas: file.quotas,
            compile: file.compile,
            egress: EgressOptions {
                allow: file.egress.allow,
                extra_roots: file.egress.extra_roots,
                resolver: file.egress.resolver,
                proxy: file.egress.proxy,
            },
            plain_endpoints: file.egress.plain_endpoints,
            limits: file.limits,
            drain: Duration::from_secs(file.drain_seconds),
        })
    }
}

impl File {
    fn ceilings(&self) -> CallLimits {
        CallLimits::CEILINGS.with(&self.ceilings)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(ConfigError::Unreadable { path, source }),
        };
        let file: Self = match toml::from_str(&text) {
            Ok(file) => file,
            Err(error) => {
                let problem = error.to_string();
                return Err(ConfigError::Invalid { path, problem });
            }
        };
        match out_of_range(&file) {
            Some((key, range)) => Err(ConfigError::OutOfRange { path, key, range }),
            None => Ok(file),
        }
    }
}

/// The first value that is out of its range, with the range.
fn out_of_range(file: &File) -> Option<(&'static str, &'static str)> {
    let (limits, compile) = (&file.limits, &file.compile);
    let (ceilings, drain_seconds) = (file.ceilings(), file.drain_seconds);
    let rules = [
        (
            "limits.concurrent_calls",
            (1..=4096).contains(&limits.concurrent_calls),
            "1 to 4096",
        ),
        (
            "limits.concurrent_notices",
            limits.concurrent_notices >= 1
                && u32::from(limits.concurrent_notices) <= limits.concurrent_calls,
            "1 to limits.concurrent_calls",
        ),
        (
            "limits.loaded_plugins",
            limits.loaded_plugins >= 1,
            "at least 1",
        ),
        (
            "limits.calls_per_organization",
            limits.calls_per_organization >= 1,
            "at least 1",
        ),
        (
            "ceilings.memory_bytes",
            (1 << 20..=4 << 30).contains(&ceilings.memory_bytes),
            "1048576 (1 MiB) to 4294967296 (4 GiB)",
        ),
        (
            "ceilings.core_instances",
            (1..=40).contains(&ceilings.core_instances),
            "1 to 40",
        ),
        (
            "limits.hook_body_bytes",
            (1 << 10..=256 << 20).contains(&limits.hook_body_bytes),
            "1024 to 268435456 (256 MiB)",
        ),
        (
            "limits.plugin_body_bytes",
            (1 << 10..=256 << 20).contains(&limits.plugin_body_bytes),
            "1024 to 268435456 (256 MiB)",
        ),
        (
            "compile.at_once",
            (1..=64).contains(&compile.at_once),
            "1 to 64",
        ),
        (
            "compile.seconds",
            (1..=3600).contains(&compile.seconds),
            "1 to 3600",
        ),
        (
            "compile.memory_bytes",
            (64 << 20..=64 << 30).contains(&compile.memory_bytes),
            "67108864 (64 MiB) to 68719476736 (64 GiB)",
        ),
        ("drain_seconds", drain_seconds <= 3600, "0 to 3600"),
    ];
    let broken = rules.into_iter().find(|(_, holds, _)| !holds);
    broken.map(|(key, _, range)| (key, range))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Config::load(Some(file.path()), Overrides::default())
    }

    #[test]
    fn without_a_file_there_are_defaults() {
        let config = Config::load(None, Overrides::default()).unwrap();
        assert_eq!(config.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.data_dir, PathBuf::from("hookswitch-data"));
        assert_eq!(config, load("").unwrap());
    }

    #[test]
    fn the_command_line_goes_before_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"listen = '127.0.0.1:1'\ndata_dir = '/a'")
            .unwrap();
        let overrides = Overrides {
            listen: Some("127.0.0.1:2".parse().unwrap()),
            ..Overrides::default()
        };
        let config = Config::load(Some(file.path()), overrides).unwrap();
        assert_eq!(config.listen.port(), 2);
        assert_eq!(config.data_dir, PathBuf::from("/a"));
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, named) in [
            ("listn = 'x'", "listn"),
            ("listen = 'nowhere'", "listen"),
            ("[ceilings]\nmemory_bytes = 5", "ceilings.memory_bytes"),
            ("[limits]\nconcurrent_calls = 0", "limits.concurrent_calls"),
            (
                "[limits]\nconcurrent_calls = 8\nconcurrent_notices = 9",
                "limits.concurrent_notices",
            ),
            (
                "[limits]\napi_requests_per_second = 0",
                "api_requests_per_second",
            ),
            ("[quotas]\ncalls_per_second = 0", "calls_per_second"),
            ("[quotas]\nplugin = 1", "plugin"),
            ("[store]\nanswers_survive = 'anything'", "answers_survive"),
            ("[egress]\nproxy = 'proxy.internal'", "HTTP proxy"),
            ("listen = ", "listen"),
        ] {
            let message = load(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text:?}: {message}");
        }
    }
}
