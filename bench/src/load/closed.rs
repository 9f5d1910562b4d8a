//! As fast as answers come: each connection sends when it has its answer.
//!
//! On a few threads that look at many connections each, so that asking costs little
//! beside answering: both share the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Job, Outcome, Tally, Window, reply, tally};

/// Enough for every server here, and no more than CI's machines have processors.
const THREADS: usize = 2;

/// To connect, however many.
const CONNECT: Duration = Duration::from_secs(30);

/// For an answer. A server that needs longer is not measured but broken.
const PATIENCE: Duration = Duration::from_mins(1);

const READ: usize = 16 << 10;

pub(super) fn run(job: &Arc<Job>, warm: Duration, long: Duration) -> Result<Outcome> {
    let sent = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tallies = std::thread::scope(|scope| {
        let threads = (0..THREADS.min(job.connections)).map(|thread| {
            let sent = &sent;
            scope.spawn(move || on_thread(job, thread, sent, warm, long))
        });
        tally::of_threads(threads.collect())
    })?;
    // Who stops after so many is done when they are.
    let window = if job.most == u64::MAX {
        long
    } else {
        began.elapsed()
    };
    Ok(Tally::sum(tallies.into_iter().flatten(), window))
}

fn on_thread(
    job: &Arc<Job>,
    thread: usize,
    sent: &Arc<AtomicU64>,
    warm: Duration,
    long: Duration,
) -> Result<Vec<Tally>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in (thread..job.connections).step_by(THREADS) {
            let stream = timeout(CONNECT, TcpStream::connect(job.address)).await;
            let stream = stream.context("nobody takes the connection")??;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let from = Instant::now() + warm;
        let until = from + long;
        let mut asking = JoinSet::new();
        for stream in streams {
            let (job, sent) = (Arc::clone(job), Arc::clone(sent));
            asking.spawn(ask(job, stream, sent, Window { from, until }));
        }
        asking.join_all().await.into_iter().collect()
    })
}

async fn ask(
    job: Arc<Job>,
    mut stream: TcpStream,
    sent: Arc<AtomicU64>,
    window: Window,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut request = Vec::new();
    let mut received = Vec::with_capacity(READ);
    loop {
        let n = sent.fetch_add(1, Ordering::Relaxed);
        if Instant::now() >= window.until || n >= job.most {
            break;
        }
        job.write(n, &mut request);
        let asked = Instant::now();
        stream.write_all(&request).await?;
        received.clear();
        let reply = loop {
            let read = timeout(PATIENCE, stream.read_buf(&mut received)).await;
            let read = read.context("no answer came")??;
            ensure!(read > 0, "the server has closed a connection");
            if let Some(reply) = reply::read(&received)? {
                break reply;
            }
        };
        let answered = Instant::now();
        if !job.is_right(&reply) {
            tally.is_wrong(&reply);
        } else if window.holds(answered) {
            tally.took(answered - asked);
        }
    }
    Ok(tally)
}
