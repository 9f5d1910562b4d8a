//! The decision of start-gate as a component for `wasmtime serve`: reads the fields of a
//! start payload that Hookswitch reads, looks the caller up in a block list, answers.

use serde::Deserialize;
use serde_json::value::RawValue;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::streams::StreamError;

struct Gate;

wasip2::http::proxy::export!(Gate);

const BLOCKED: [&str; 1] = ["+14155550666"];

/// As `ingest/dasha.rs` reads it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    #[serde(rename = "type")]
    named_type: String,
    status: Option<String>,
    call_id: String,
    agent_id: String,
    org_id: Option<String>,
    endpoint: Option<String>,
    #[serde(borrow)]
    call_additional_data: Option<&'a RawValue>,
    #[serde(borrow)]
    agent_additional_data: Option<&'a RawValue>,
    sip: Option<Sip>,
    #[serde(borrow)]
    original_agent_config: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sip {
    from_user: Option<String>,
}

impl wasip2::exports::http::incoming_handler::Guest for Gate {
    fn handle(request: IncomingRequest, response: ResponseOutparam) {
        let (status, text) = match read(&request) {
            Ok(body) => answer(&body),
            Err(_) => (500, ""),
        };
        send(response, status, text);
    }
}

fn read(request: &IncomingRequest) -> Result<Vec<u8>, StreamError> {
    const MOST: u64 = 64 << 10;
    let body = request.consume().map_err(|()| StreamError::Closed)?;
    let stream = body.stream().map_err(|()| StreamError::Closed)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(MOST) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(error),
        }
    }
}

fn answer(body: &[u8]) -> (u16, &'static str) {
    let Ok(payload) = serde_json::from_slice::<Payload<'_>>(body) else {
        return (400, "");
    };
    // Read as whoever decides by them would.
    let whole = payload.status.is_some()
        && payload.org_id.is_some()
        && payload.call_additional_data.is_some()
        && payload.agent_additional_data.is_some()
        && payload.original_agent_config.is_some()
        && !payload.call_id.is_empty()
        && !payload.agent_id.is_empty();
    if payload.named_type != "StartWebHookPayload" || !whole {
        return (422, "");
    }
    let caller = payload.sip.and_then(|sip| sip.from_user);
    let caller = caller.or(payload.endpoint).unwrap_or_default();
    if BLOCKED.contains(&caller.as_str()) {
        let rejected = r#"{"accept":false,"reasonMessage":"This number is blocked."}"#;
        return (200, rejected);
    }
    (200, r#"{"accept":true}"#)
}

fn send(out: ResponseOutparam, status: u16, text: &str) {
    let headers = Fields::new();
    let _ = headers.append("content-type", b"application/json");
    let _ = headers.append("content-length", text.len().to_string().as_bytes());
    let response = OutgoingResponse::new(headers);
    let _ = response.set_status_code(status);
    let Ok(body) = response.body() else { return };
    ResponseOutparam::set(out, Ok(response));
    if let Ok(stream) = body.write() {
        let _ = stream.blocking_write_and_flush(text.as_bytes());
    }
    let _ = OutgoingBody::finish(body, None);
}
