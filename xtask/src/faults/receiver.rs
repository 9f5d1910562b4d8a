//! The endpoint: takes what is forwarded, or behaves badly for a while.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use super::ledger::Ledger;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mood {
    Fine,
    /// Takes its time with every reply.
    Slow,
    /// Never replies.
    Hanging,
    /// Ends connections instead of replying.
    Resetting,
    /// Replies 500.
    Failing,
    /// Is not there: connections are refused.
    Gone,
}

const MOODS: [Mood; 6] = [
    Mood::Fine,
    Mood::Slow,
    Mood::Hanging,
    Mood::Resetting,
    Mood::Failing,
    Mood::Gone,
];

/// What a slow one takes for each reply.
const SLOW: Duration = Duration::from_millis(300);
/// How often one that hangs looks whether it still does.
const LOOK: Duration = Duration::from_millis(50);

/// A running receiver; it stops with this value.
#[derive(Debug)]
pub(super) struct Receiver {
    address: SocketAddr,
    mood: Arc<AtomicU8>,
    ledger: Arc<Ledger>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Receiver {
    pub(super) fn start(ledger: Arc<Ledger>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("the receiver cannot listen")?;
        let receiver = Self {
            address: listener.local_addr()?,
            mood: Arc::new(AtomicU8::new(Mood::Fine as u8)),
            ledger,
            accepting: Mutex::default(),
        };
        receiver.accept(listener);
        Ok(receiver)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Changes how it behaves, from now on.
    pub(super) fn be(&self, mood: Mood) -> Result<()> {
        let before = self.mood.swap(mood as u8, Ordering::SeqCst);
        if before == Mood::Gone as u8 && mood != Mood::Gone {
            let listener = TcpListener::bind(self.address).context("the port is taken")?;
            self.accept(listener);
        } else if mood == Mood::Gone {
            self.wait_until_nobody_accepts();
        }
        Ok(())
    }

    fn accept(&self, listener: TcpListener) {
        let (mood, ledger) = (Arc::clone(&self.mood), Arc::clone(&self.ledger));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if now(&mood) == Mood::Gone {
                    return;
                }
                let (mood, ledger) = (Arc::clone(&mood), Arc::clone(&ledger));
                std::thread::spawn(move || {
                    // Who is cut off by the server's death has nothing to say about it.
                    let _ = converse(&stream, &mood, &ledger);
                });
            }
        });
        *self.thread() = Some(thread);
    }

    fn wait_until_nobody_accepts(&self) {
        // Wakes the thread that accepts, so that it sees that it is to end.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread().take() {
            let _ = thread.join();
        }
    }

    fn thread(&self) -> std::sync::MutexGuard<'_, Option<JoinHandle<()>>> {
        self.accepting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.mood.swap(Mood::Gone as u8, Ordering::SeqCst) != Mood::Gone as u8 {
            self.wait_until_nobody_accepts();
        }
    }
}

fn now(mood: &AtomicU8) -> Mood {
    let mood = mood.load(Ordering::SeqCst);
    MOODS
        .into_iter()
        .find(|it| *it as u8 == mood)
        .unwrap_or(Mood::Fine)
}

/// Requests, one after the other, until somebody leaves.
fn converse(stream: &TcpStream, mood: &AtomicU8, ledger: &Ledger) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some((event, id)) = read(&mut reader)? {
        while now(mood) == Mood::Hanging {
            std::thread::sleep(LOOK);
        }
        let status = match now(mood) {
            Mood::Resetting | Mood::Gone => return Ok(()),
            Mood::Failing => "500 Internal Server Error",
            Mood::Slow => {
                std::thread::sleep(SLOW);
                "200 OK"
            }
            Mood::Fine | Mood::Hanging => "200 OK",
        };
        let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        let mut writer = stream;
        writer.write_all(reply.as_bytes())?;
        if status.starts_with('2') {
            ledger.arrived(event, id);
        }
    }
    Ok(())
}

/// The event and the id of the next request.
fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<(String, String)>> {
    let (mut event, mut id, mut length) = (String::new(), String::new(), 0);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "x-hookswitch-event" => value.clone_into(&mut event),
            "webhook-id" => value.clone_into(&mut id),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((event, id)))
}
