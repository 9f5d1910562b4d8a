//! WASI 0.2 with nothing behind it.
//!
//! Ordinary toolchains import it, so it is there: no folder, no environment, no
//! arguments, no sockets. Output goes to the call's log, clocks are the
//! [`recorder`](super::recorder)'s, and random numbers follow from the call's seed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::CallState;
use super::clock::{MonotonicClock, WallClock};
use super::log::LogBook;
use super::recorder::Recorder;
use crate::domain::log::Level;
use crate::domain::seed::Seed;

/// Most random bytes in one request.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// What it takes to make a context.
pub(super) struct Ingredients {
    pub(super) log: LogBook,
    /// Resources (streams, pollables, requests) a guest may hold at once.
    pub(super) handles: usize,
    pub(super) seed: Seed,
    pub(super) recorder: Recorder,
    pub(super) started: Instant,
}

/// Made when a guest first uses it: many never do, and it costs microseconds.
pub(super) struct Wasi {
    ingredients: Ingredients,
    made: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl Wasi {
    pub(super) fn new(ingredients: Ingredients) -> Self {
        Self {
            ingredients,
            made: None,
        }
    }

    pub(super) fn view(&mut self) -> WasiCtxView<'_> {
        let made = self
            .made
            .get_or_insert_with(|| Box::new(make(&self.ingredients)));
        WasiCtxView {
            ctx: &mut made.0,
            table: &mut made.1,
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.view()
    }
}

fn make(from: &Ingredients) -> (WasiCtx, ResourceTable) {
    let output = |level| Output {
        log: from.log.clone(),
        level,
    };
    let ctx = WasiCtxBuilder::new()
        .stdout(output(Level::Info))
        .stderr(output(Level::Error))
        .wall_clock(WallClock(from.recorder.clone()))
        .monotonic_clock(MonotonicClock {
            recorder: from.recorder.clone(),
            started: from.started,
        })
        .secure_random(random(from.seed, 0))
        .insecure_random(random(from.seed, 1))
        .insecure_random_seed(u128::from_le_bytes(from.seed.0).rotate_left(64))
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(from.handles);
    (ctx, table)
}

/// Fills the seed up to the generator's size. Changing this makes old calls
/// unrepeatable.
const SEED_TAIL: [u8; 16] = *b"hookswitch rng 1";

/// A generator fit for secrets, for whoever does not know the seed.
fn random(seed: Seed, stream: u64) -> ChaCha12Rng {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&seed.0);
    key[16..].copy_from_slice(&SEED_TAIL);
    let mut random = ChaCha12Rng::from_seed(key);
    random.set_stream(stream);
    random
}

/// Standard output or error as log lines.
#[derive(Debug, Clone)]
struct Output {
    log: LogBook,
    level: Level,
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines {
            output: self.clone(),
            pending: Vec::new(),
        })
    }
}

/// Cuts what is written into lines; what has no end yet is written when the
/// stream is flushed past its size or dropped.
struct Lines {
    output: Output,
    pending: Vec<u8>,
}

/// A line without end is cut here.
const MAX_PENDING_BYTES: usize = 8 << 10;

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || self.pending.len() >= MAX_PENDING_BYTES {
                self.end_line();
            }
            if byte != b'\n' {
                self.pending.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.pending);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches('\r');
        if !text.is_empty() {
            self.output.log.write(self.output.level, text.to_owned());
        }
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}
