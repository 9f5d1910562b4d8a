//! Attempts at the way out: addresses no plugin may reach, in every spelling, and
//! servers that hold a plugin up or flood it.
//!
//! All are the guest `misbehave` in its mode `fetch`. Every grant names the host in
//! question, so that it is the address that is refused and not the name.

use serde_json::json;

use super::{Attack, Bytes, Expected};
use crate::hostile::adversary::ALLOWED;

const REFUSED: &[&str] = &["destination-IP-prohibited"];

pub(super) fn attacks(port: u16) -> Vec<Attack> {
    let mut attacks = addresses(port);
    attacks.extend(redirects(port));
    attacks.extend(servers(port));
    attacks
}

/// Addresses that are refused after the name is resolved, whatever its form.
fn addresses(port: u16) -> Vec<Attack> {
    let to = |name, host: &str| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        fetch(
            name,
            Expected::Told(REFUSED),
            &format!("http://{host}:{port}/"),
            &[bare],
            port,
        )
    };
    vec![
        to("http-loopback", "127.0.0.2"),
        to("http-loopback-6", "[::1]"),
        to("http-loopback-by-name", "localhost"),
        to("http-unspecified", "0.0.0.0"),
        to("http-link-local", "169.254.1.1"),
        to("http-metadata", "169.254.169.254"),
        to("http-private-10", "10.0.0.1"),
        to("http-private-172", "172.16.0.1"),
        to("http-private-192", "192.168.0.1"),
        to("http-shared", "100.64.0.1"),
        to("http-unique-local", "[fd00::1]"),
        to("http-multicast", "224.0.0.1"),
        to("http-broadcast", "255.255.255.255"),
        to("http-mapped", "[::ffff:127.0.0.2]"),
        to("http-translated", "[64:ff9b::7f00:2]"),
        to("http-6to4", "[2002:7f00:2::1]"),
    ]
}

/// A server that may be reached sends the plugin where it may not go.
fn redirects(port: u16) -> Vec<Attack> {
    let redirected = |name, expected, to: &str, hosts: &[&str]| {
        let url = format!("http://{ALLOWED}:{port}/redirect?{to}");
        fetch(name, expected, &url, hosts, port)
    };
    let allowed = ALLOWED.to_string();
    vec![
        redirected(
            "redirect-to-loopback",
            Expected::Told(REFUSED),
            &format!("http://127.0.0.2:{port}/"),
            &[&allowed, "127.0.0.2"],
        ),
        redirected(
            "redirect-to-metadata",
            Expected::Told(REFUSED),
            &format!("http://169.254.169.254:{port}/latest/meta-data/"),
            &[&allowed, "169.254.169.254"],
        ),
        redirected(
            "redirect-elsewhere",
            Expected::Told(&["HTTP-request-denied"]),
            &format!("http://127.0.0.3:{port}/"),
            &[&allowed],
        ),
        redirected(
            "redirect-for-ever",
            Expected::Told(&["loop-detected"]),
            &format!("http://{allowed}:{port}/redirect?/redirect?/redirect?/redirect?/redirect?/"),
            &[&allowed],
        ),
    ]
}

/// Servers that may be reached, and are no good.
fn servers(port: u16) -> Vec<Attack> {
    const TIMEOUTS: &[&str] = &[
        "HTTP-response-timeout",
        "connection-timeout",
        "connection-read-timeout",
    ];
    // What goes wrong in the middle of a body comes without its code: wasmtime-wasi-http
    // 48 does not find it again in the stream's error.
    const SLOW_BODY: &[&str] = &["HTTP-response-timeout", "internal-error"];
    const LARGE_BODY: &[&str] = &["HTTP-response-body-size", "internal-error"];
    let allowed = ALLOWED.to_string();
    let at = |name, codes, path: &str| {
        let url = format!("http://{ALLOWED}:{port}{path}");
        fetch(name, Expected::Told(codes), &url, &[&allowed], port)
    };
    let mut not_granted = at("http-not-granted", &["HTTP-request-denied"], "/");
    not_granted.binding["grants"] = json!({});
    let mut many = at("http-flood", &["connection-limit-reached"], "/");
    many.binding["config"]["times"] = json!(1_000);
    vec![
        not_granted,
        many,
        at("http-silent", TIMEOUTS, "/silent"),
        at("http-drip-head", TIMEOUTS, "/drip-head"),
        at("http-drip-body", SLOW_BODY, "/drip-body"),
        at("http-huge-body", &["HTTP-response-body-size"], "/huge-body"),
        at("http-endless-body", LARGE_BODY, "/endless-body"),
        at(
            "http-huge-head",
            &[
                "HTTP-response-header-section-size",
                "HTTP-response-header-size",
                "HTTP-protocol-error",
                "connection-terminated",
            ],
            "/huge-head",
        ),
    ]
}

/// One request by the guest, with a grant for each of these hosts.
fn fetch(name: &'static str, expected: Expected, url: &str, hosts: &[&str], port: u16) -> Attack {
    let granted: Vec<_> = hosts
        .iter()
        .map(|host| json!({"host": host, "scheme": "http", "port": port}))
        .collect();
    Attack::new(name, expected)
        .of(Bytes::Guest("misbehave"))
        .bound(json!({
            "config": {"mode": "fetch", "url": url},
            "grants": {"http": granted},
            "limits": {"http_time_ms": 1_500},
        }))
}
