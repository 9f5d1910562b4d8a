//! Compiling in a child process: killed when its time is up, refused memory beyond
//! its limit, and last in line for the processor.
//!
//! Compilation of what a stranger uploads cannot be bounded from within: a small
//! file may take minutes and gigabytes. So the server runs itself as
//! `hookswitch compile` ([`crate::cli`]), which does [`here`] under [`confine`],
//! and the parent puts what it wrote into the cache. Compiled code never comes from
//! anywhere else.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use wasmtime::Engine;

use super::engine;
use super::inspect::{self, Rejection};
use crate::priority;

/// What compiling one component may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileOptions {
    /// Components compiled at the same time; the others wait.
    pub at_once: u32,
    pub time: Duration,
    /// Of the child process, in bytes.
    pub memory_bytes: u64,
    /// The program that has the command `compile`: this one.
    pub program: PathBuf,
}

impl CompileOptions {
    /// Python's and JavaScript's largest take 15 s of a processor that is free, and
    /// a compiler is last in line.
    pub const DEFAULT_TIME: Duration = Duration::from_mins(2);
    pub const DEFAULT_MEMORY: u64 = 2 << 30;

    /// The program that runs now, also when its file has been replaced since.
    pub fn this_program() -> PathBuf {
        if cfg!(target_os = "linux") {
            PathBuf::from("/proc/self/exe")
        } else {
            std::env::current_exe().unwrap_or_else(|_| PathBuf::from("hookswitch"))
        }
    }
}

/// Which limit a compilation met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompileLimit {
    Time(Duration),
    Memory(u64),
    /// Of the compiled form.
    Size(u64),
}

impl std::fmt::Display for CompileLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time(time) => write!(f, "it took more than {} seconds", time.as_secs()),
            Self::Memory(bytes) => write!(f, "it took more than {bytes} bytes of memory"),
            Self::Size(bytes) => write!(f, "the compiled form has more than {bytes} bytes"),
        }
    }
}

/// Largest compiled form.
const MAX_OUTPUT_BYTES: u64 = 512 << 20;
/// What is read of what the child writes.
const MAX_REPORT_BYTES: u64 = 16 << 10;
/// Most threads of one compilation.
const MOST_THREADS: usize = 2;

/// What the child says when it refuses, on its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Refused {
    Truncated,
    Invalid(String),
    OutOfMemory,
}

/// The child's exit code for a component that it refused.
pub const REFUSED: u8 = 3;

/// In the parent: compiles the component in one file into another, with as many threads as
/// are given, and not many.
pub(super) async fn in_child(
    options: &CompileOptions,
    threads: usize,
    component: &Path,
    output: &Path,
    size: usize,
) -> Result<(), Rejection> {
    let run = async {
        let mut child = Command::new(&options.program)
            .arg("compile")
            .arg(component)
            .arg(output)
            .args(["--memory-bytes", &options.memory_bytes.to_string()])
            .env_clear()
            .env("RAYON_NUM_THREADS", threads.min(MOST_THREADS).to_string())
            // What the allocator reserves would count as used.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (report, complaint) = tokio::join!(
            beginning(child.stdout.take()),
            beginning(child.stderr.take())
        );
        Ok::<_, io::Error>((child.wait().await?, report, complaint))
    };
    match timeout(options.time, run).await {
        Err(_elapsed) => Err(Rejection::CompileLimit(CompileLimit::Time(options.time))),
        Ok(Err(error)) => {
            tracing::error!(%error, "the compiler's process cannot be run");
            Err(Rejection::CompilerUnavailable)
        }
        Ok(Ok((status, report, complaint))) => ended(options, status, &report, &complaint, size),
    }
}

/// The first bytes of what the child writes. Then the pipe is closed: whatever more it
/// has to say is an error to it, and it ends.
async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error is all there is.
        let _ = stream.take(MAX_REPORT_BYTES).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn ended(
    options: &CompileOptions,
    status: ExitStatus,
    report: &str,
    complaint: &str,
    size: usize,
) -> Result<(), Rejection> {
    use std::os::unix::process::ExitStatusExt as _;
    if status.success() {
        return Ok(());
    }
    let memory = Rejection::CompileLimit(CompileLimit::Memory(options.memory_bytes));
    if status.code() == Some(REFUSED.into())
        && let Ok(refused) = serde_json::from_str(report)
    {
        return Err(match refused {
            Refused::Truncated => Rejection::Truncated(size),
            Refused::Invalid(problem) => Rejection::Invalid(problem),
            Refused::OutOfMemory => memory,
        });
    }
    let signal = status.signal();
    if signal == Some(Signal::XFSZ.as_raw()) {
        return Err(Rejection::CompileLimit(CompileLimit::Size(
            MAX_OUTPUT_BYTES,
        )));
    }
    // What Rust's allocator says before it aborts.
    if complaint.contains("memory allocation of") || signal == Some(Signal::KILL.as_raw()) {
        return Err(memory);
    }
    tracing::warn!(%status, complaint = complaint.trim(), "the compiler failed on an uploaded component");
    Err(Rejection::CompilerFailed)
}

/// In the child: gives up what a compiler does not need. What cannot be given up
/// stops it: a compiler without limits must not run.
pub fn confine(memory_bytes: u64) -> io::Result<()> {
    let limit = |resource, most| {
        let both = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, both)
    };
    // Whoever kills the server ends the compiler with it.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // Not the address space: allocators reserve far more of it than they use.
    limit(Resource::Data, memory_bytes)?;
    limit(Resource::Fsize, MAX_OUTPUT_BYTES)?;
    // A core dump would hold the customer's code.
    limit(Resource::Core, 0)?;
    priority::come_last()
}

/// In the child: compiles one file into another. What is refused is said on
/// standard output, as JSON, with the exit code [`REFUSED`].
pub fn here(component: &Path, output: &Path) -> io::Result<Result<(), String>> {
    let bytes = std::fs::read(component)?;
    let engine = Engine::new(&engine::codegen()).map_err(io::Error::other)?;
    match engine.precompile_component(&bytes) {
        Ok(compiled) => {
            std::fs::write(output, compiled)?;
            Ok(Ok(()))
        }
        Err(error) => {
            let text = format!("{error:#}");
            let refused = if text.contains("os error 12") {
                Refused::OutOfMemory
            } else {
                match inspect::not_compiled(&error, bytes.len()) {
                    Rejection::Truncated(_) => Refused::Truncated,
                    other => Refused::Invalid(match other {
                        Rejection::Invalid(problem) => problem,
                        other => other.to_string(),
                    }),
                }
            };
            let report = serde_json::to_string(&refused).map_err(io::Error::other)?;
            Ok(Err(report))
        }
    }
}

/// How long something took, for people.
pub(super) fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
