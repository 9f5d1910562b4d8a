//! What goes over the wire when a command meets a server that has changed meanwhile, or a
//! connection that breaks.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::binary;
use crate::command_line::{complaint, ended, printed};

/// A server that gives a list of answers, one to each connection; to the empty one it
/// breaks off.
struct Scripted {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn new(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                seen.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, requests }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = binary::command();
        command
            .args(arguments)
            .args(["--server", &self.url, "--token", "t0ken"]);
        command
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// A request with its body.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if read == 0 || body.len() >= length {
            return text;
        }
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let prefix = format!("{name}: ");
    request.lines().find_map(|line| line.strip_prefix(&prefix))
}

const SOURCE: &str = "HTTP/1.1 200 OK\r\netag: \"7\"\r\nconnection: close\r\ncontent-length: 23\r\n\r\n{\"id\":\"src_1\",\"a\":true}";
const CREATED: &str =
    "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-length: 14\r\n\r\n{\"id\":\"src_1\"}";
const CHANGED: &str = "HTTP/1.1 412 Precondition Failed\r\nconnection: close\r\ncontent-length: 52\r\n\r\n{\"code\":\"precondition_failed\",\"detail\":\"it is at 8\"}";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_of_what_was_read() {
    let server = Scripted::new(&[SOURCE, CHANGED]).await;
    let update = ["source", "update", "src_1", "--set", "a=false"];
    let said = complaint(&ended(server.command(&update)).await);
    for part in [
        "it is at 8",
        "somebody has changed it meanwhile",
        "repeat the command",
    ] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    let requests = server.requests();
    assert!(
        requests[1].starts_with("PATCH /api/v1/sources/src_1 "),
        "{requests:?}"
    );
    assert_eq!(header(&requests[1], "if-match"), Some("\"7\""));
    assert!(requests[1].ends_with("{\"a\":false}"), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_is_sent_again_as_the_same_when_the_connection_breaks() {
    let server = Scripted::new(&["", CREATED]).await;
    printed(&ended(server.command(&["source", "create", "main"])).await);
    let requests = server.requests();
    let keys: Vec<_> = requests
        .iter()
        .map(|it| header(it, "idempotency-key"))
        .collect();
    assert!(keys[0].is_some(), "{requests:?}");
    assert_eq!(keys[0], keys[1]);
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_apart_is_sent_once() {
    let server = Scripted::new(&[""]).await;
    let activate = ["binding", "activate", "bnd_1", "2"];
    let said = complaint(&ended(server.command(&activate)).await);
    assert!(said.contains("broke the connection off"), "{said}");
    assert_eq!(server.requests().len(), 1);
}

/// A server does nothing of what comes too soon, so it may be sent again whatever it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_too_soon_is_sent_again_when_the_server_says_it_may() {
    const TOO_SOON: &str = "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}";
    const LATER: &str = "HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\nretry-after: 3600\r\ncontent-length: 43\r\n\r\n{\"code\":\"rate_limited\",\"detail\":\"too many\"}";
    let server = Scripted::new(&[TOO_SOON, CREATED]).await;
    printed(&ended(server.command(&["source", "create", "main"])).await);
    assert_eq!(server.requests().len(), 2);

    let server = Scripted::new(&[LATER]).await;
    let said = complaint(&ended(server.command(&["source", "create", "main"])).await);
    assert!(said.contains("wait a little"), "{said}");
    assert_eq!(server.requests().len(), 1);
}
