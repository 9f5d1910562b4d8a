//! One HTTP request, and what came of it as JSON: the mode `fetch`.
//!
//! | setting | |
//! |---|---|
//! | `url` | where the request goes |
//! | `method` | GET unless set |
//! | `headers` | an object |
//! | `body` | text |
//! | `body_bytes` | instead of `body`: so many bytes of `x` |
//! | `timeout_ms` | the request's own time limit; none unless set |
//! | `times` | so many requests, one after the other; the answer is the last one's |
//!
//! The answer is `{"status":200,"headers":{…},"body":"…"}` or
//! `{"error":"HTTP-request-denied"}`, a code in the spelling of `wasi:http`. With
//! `times` it also says `done`: how many requests got a response.

use std::{collections::BTreeMap, time::Duration};

use hookswitch_sdk::{
    Result, config,
    http::{Request, Response},
    json, log,
    serde_json::{Map, Value},
};

/// The host's limits are under test, so the SDK's own is out of the way.
const MAX_BODY_BYTES: usize = 1 << 30;

pub(crate) fn as_told() -> Result<Value> {
    let request = request()?;
    let times: Option<u32> = config::parse("times")?;
    let mut answer = json!({});
    let mut done = 0;
    for _ in 0..times.unwrap_or(1) {
        answer = match request.send() {
            Ok(response) => {
                done += 1;
                shown(&response)
            }
            Err(error) => {
                log::warn!("{error}");
                json!({ "error": error.code().as_str() })
            }
        };
    }
    if times.is_some() {
        answer["done"] = json!(done);
    }
    Ok(answer)
}

fn request() -> Result<Request> {
    let method = config::get("method").unwrap_or_else(|| "GET".to_owned());
    let mut request = Request::new(method, config::required("url")?).max_body(MAX_BODY_BYTES);
    let headers: BTreeMap<String, String> = config::json("headers")?.unwrap_or_default();
    for (name, value) in headers {
        request = request.header(name, value);
    }
    if let Some(ms) = config::parse("timeout_ms")? {
        request = request.timeout(Duration::from_millis(ms));
    }
    let body = match config::parse("body_bytes")? {
        Some(bytes) => vec![b'x'; bytes],
        None => config::get("body").unwrap_or_default().into_bytes(),
    };
    Ok(request.body(body))
}

fn shown(response: &Response) -> Value {
    let mut headers = Map::new();
    for (name, value) in &response.headers {
        match headers.get_mut(name) {
            Some(Value::String(values)) => *values = format!("{values}, {value}"),
            _ => drop(headers.insert(name.clone(), json!(value))),
        }
    }
    json!({
        "status": response.status,
        "headers": headers,
        "body": String::from_utf8_lossy(&response.body),
    })
}
