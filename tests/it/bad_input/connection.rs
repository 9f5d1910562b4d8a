//! A refused request on a connection that its client wants to keep.

use crate::raw;
use crate::server::Server;

/// A request with a body of that many bytes, complete.
fn request(target: &str, headers: &[(&str, &str)], body_bytes: usize) -> Vec<u8> {
    let headers: String = headers
        .iter()
        .map(|(name, value)| [name, ": ", value, "\r\n"].concat())
        .collect();
    let text = format!(
        "POST {target} HTTP/1.1\r\nhost: hookswitch\r\n{headers}content-length: {body_bytes}\r\n\r\n"
    );
    let mut request = text.into_bytes();
    request.resize(request.len() + body_bytes, b' ');
    request
}

#[tokio::test]
async fn a_refused_client_is_answered_and_knows_whether_it_may_go_on() {
    let server = Server::start();
    let bearer = format!("Bearer {}", server.token);
    let token = ("authorization", bearer.as_str());
    let (json, wasm) = (
        ("content-type", "application/json"),
        ("content-type", "application/wasm"),
    );
    let upload = "/api/v1/plugins/gate/versions";
    let large = 1024 * 1024 + 100;
    let rows: Vec<(&str, Vec<u8>, u16)> = vec![
        (
            "over the cap",
            request("/api/v1/sources", &[token, json], large),
            413,
        ),
        (
            "another media type",
            request(upload, &[token, json], large),
            415,
        ),
        ("no token", request(upload, &[wasm], large), 401),
        (
            "a bad name",
            request("/api/v1/plugins/Gate/versions", &[token, wasm], large),
            400,
        ),
        ("no such path", request("/nowhere", &[], large), 404),
        ("another method", request("/healthz", &[], large), 405),
        (
            "an unknown hook",
            request("/hooks/src_1", &[json], large),
            404,
        ),
    ];
    let next = b"GET /healthz HTTP/1.1\r\nhost: hookswitch\r\n\r\n";
    let mut wrong = Vec::new();
    for (what, request, status) in rows {
        let text = raw::converse(server.address, &request, next);
        let refused = text.starts_with(&format!("HTTP/1.1 {status} "));
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let closing = head.to_ascii_lowercase().contains("connection: close");
        let went_on = text.matches("HTTP/1.1 ").count() == 2;
        if !refused || !(closing || went_on) {
            wrong.push(format!("{what}: {text:?}"));
        }
    }
    crate::client::assert_none_wrong(&wrong);
}
