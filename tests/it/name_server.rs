//! A stand-in for a name server, which answers otherwise each time it is asked.
//!
//! It knows one name at a time: whatever is asked, the next reply of its script is
//! the answer, and the last one goes on for ever. It keeps what it was asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use tokio::net::UdpSocket;

/// What one lookup gets: its question for IPv4 and its question for IPv6 addresses.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// With a time to live of zero.
    Addresses(Vec<IpAddr>),
    NoSuchName,
    Silence,
}

impl Reply {
    pub(crate) fn addresses(addresses: &[&str]) -> Self {
        let parsed = addresses
            .iter()
            .map(|address| address.parse().expect("an address"));
        Self::Addresses(parsed.collect())
    }
}

/// It is gone when the test's runtime is.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, RecordType)>>>,
}

impl NameServer {
    pub(crate) async fn start(script: impl Into<Vec<Reply>>) -> Self {
        let script = script.into();
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut bytes = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut bytes).await {
                let question = Message::from_vec(&bytes[..length]).expect("a question");
                let query = question.queries[0].clone();
                let nth = note(&heard, &query);
                let reply = script.get(nth).or(script.last()).expect("a reply");
                if let Some(answer) = answer(&question, &query, reply) {
                    // Who asked may be gone.
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        Self { address, asked }
    }

    /// The line of the configuration that has it asked.
    pub(crate) fn setting(&self) -> String {
        format!("resolver = [\"{}\"]", self.address)
    }

    /// How often a name was looked up, by both questions of a lookup.
    pub(crate) fn lookups(&self) -> (usize, usize) {
        let asked = self.asked.lock().expect("the questions");
        let of = |kind| asked.iter().filter(|(_, it)| *it == kind).count();
        (of(RecordType::A), of(RecordType::AAAA))
    }

    /// The names that were asked for, each once.
    pub(crate) fn names(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("the questions");
        let mut names: Vec<_> = asked.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Keeps the question, and says how many of its kind there were before.
fn note(asked: &Mutex<Vec<(String, RecordType)>>, query: &Query) -> usize {
    let mut asked = asked.lock().expect("the questions");
    let kind = query.query_type();
    let before = asked.iter().filter(|(_, it)| *it == kind).count();
    asked.push((query.name().to_string(), kind));
    before
}

fn answer(question: &Message, query: &Query, reply: &Reply) -> Option<Vec<u8>> {
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    match reply {
        Reply::Silence => return None,
        Reply::NoSuchName => answer.metadata.response_code = ResponseCode::NXDomain,
        Reply::Addresses(addresses) => {
            let data = addresses.iter().copied().map(RData::from);
            let wanted = data.filter(|data| data.record_type() == query.query_type());
            answer
                .add_answers(wanted.map(|data| Record::from_rdata(query.name().clone(), 0, data)));
        }
    }
    Some(answer.to_vec().expect("an answer"))
}
