//! At a constant rate, whether or not answers come.
//!
//! Times count from when a request was due, not from when it could be sent: else a server
//! that stalls would be asked less just then, and look well. A thread for each connection,
//! because the system wakes threads to some 50 µs, and tokio's timer to a millisecond.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::{Job, Outcome, Tally, Window, reply, tally};

/// For an answer. A server that needs longer is not measured but broken.
const PATIENCE: Duration = Duration::from_mins(1);

const READ: usize = 16 << 10;

pub(super) fn run(job: &Job, rate: f64, warm: Duration, long: Duration) -> Result<Outcome> {
    let interval = Duration::try_from_secs_f64(1.0 / rate).context("no such rate")?;
    let streams = (0..job.connections)
        .map(|_| connect(job))
        .collect::<Result<Vec<_>>>()?;
    let begin = Instant::now() + Duration::from_millis(20);
    let from = begin + warm;
    let until = from + long;
    let tallies = std::thread::scope(|scope| {
        let threads = streams.into_iter().enumerate().map(|(connection, stream)| {
            let turn = u32::try_from(connection).unwrap_or(0);
            let due = begin + interval * turn;
            let every = interval.mul_f64(job.connections as f64);
            let window = Window { from, until };
            scope.spawn(move || ask(job, connection, stream, due, every, window))
        });
        tally::of_threads(threads.collect())
    })?;
    Ok(Tally::sum(tallies, long))
}

fn connect(job: &Job) -> Result<TcpStream> {
    let stream = TcpStream::connect(job.address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(
    job: &Job,
    connection: usize,
    mut stream: TcpStream,
    mut due: Instant,
    every: Duration,
    window: Window,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut request = Vec::new();
    let mut received = Vec::with_capacity(READ);
    for turn in 0.. {
        if due >= window.until {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let n = turn * job.connections + connection;
        job.write(n as u64, &mut request);
        stream.write_all(&request)?;
        let reply = read(&mut stream, &mut received)?;
        if !job.is_right(&reply) {
            tally.is_wrong(&reply);
        } else if window.holds(due) {
            tally.took(due.elapsed());
        }
        due += every;
    }
    Ok(tally)
}

fn read(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<reply::Reply> {
    received.clear();
    let mut buffer = [0; READ];
    loop {
        let read = stream.read(&mut buffer).context("no answer came")?;
        ensure!(read > 0, "the server has closed a connection");
        received.extend_from_slice(&buffer[..read]);
        if let Some(reply) = reply::read(received)? {
            return Ok(reply);
        }
    }
}
