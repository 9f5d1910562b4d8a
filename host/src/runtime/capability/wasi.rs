//! WASI 0.2 with nothing behind it.
//!
//! Ordinary toolchains import it, so it is there: no folder, no environment, no
//! arguments, no sockets. Output goes to the call's log. Clocks and random come
//! from this one place.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::CallState;
use super::log::LogBook;
use crate::domain::log::Level;

/// Most random bytes in one request.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// Made when a guest first uses it: many never do, and it costs microseconds.
pub(super) struct Wasi {
    log: LogBook,
    /// Resources (streams, pollables) a guest may hold at once.
    handles: usize,
    made: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl Wasi {
    pub(super) fn new(log: LogBook, handles: u32) -> Self {
        Self {
            log,
            handles: handles as usize,
            made: None,
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (log, handles) = (&self.wasi.log, self.wasi.handles);
        let made = self
            .wasi
            .made
            .get_or_insert_with(|| Box::new(make(log, handles)));
        WasiCtxView {
            ctx: &mut made.0,
            table: &mut made.1,
        }
    }
}

fn make(log: &LogBook, handles: usize) -> (WasiCtx, ResourceTable) {
    let ctx = WasiCtxBuilder::new()
        .stdout(Output {
            log: log.clone(),
            level: Level::Info,
        })
        .stderr(Output {
            log: log.clone(),
            level: Level::Error,
        })
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(handles);
    (ctx, table)
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
