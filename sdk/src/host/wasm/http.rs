//! One exchange over the standard `wasi:http/outgoing-handler`.
//!
//! Whatever is made here is dropped before what it was made from (a stream
//! before its body, a pollable before its stream): the host would otherwise end
//! the guest. Rust drops locals in reverse, so the order of the lines matters.

use std::time::Duration;

use wasip2::{
    clocks::monotonic_clock,
    http::{
        outgoing_handler,
        types::{
            self, ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody,
            IncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme,
        },
    },
    io::{
        poll::{self, Pollable},
        streams::{OutputStream, StreamError},
    },
};

use crate::http::{Code, Error, Request, Response, Target};

/// How much of a body is read at once.
const CHUNK_BYTES: u64 = 64 * 1024;

pub(crate) fn http_send(request: &Request, target: &Target) -> Result<Response, Error> {
    let deadline = Deadline::after(request.time_limit());
    let outgoing = outgoing(request, target)?;
    let upload = match request.body_bytes() {
        [] => None,
        bytes => Some((bytes, outgoing.body().map_err(|()| unexpected("body"))?)),
    };
    let future = outgoing_handler::handle(outgoing, None).map_err(|code| error(&code))?;
    // What the peer did not want to read stays open until it has said why.
    let _unsent = match upload {
        Some((bytes, body)) => send_body(body, bytes, &future, &deadline)?,
        None => None,
    };
    let incoming = response(&future, &deadline)?;
    let headers = incoming.headers().entries();
    let mut response = Response::new(incoming.status());
    response.headers = headers
        .into_iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(&value).into_owned();
            (name.to_ascii_lowercase(), value)
        })
        .collect();
    let body = incoming.consume().map_err(|()| unexpected("body"))?;
    response.body = read_body(&body, request.body_limit(), &deadline)?;
    Ok(response)
}

fn outgoing(request: &Request, target: &Target) -> Result<OutgoingRequest, Error> {
    let outgoing = OutgoingRequest::new(headers(request)?);
    let invalid = |part: &'static str| {
        move |()| Error::new(Code::HttpRequestUriInvalid).detail(format!("its {part}"))
    };
    outgoing
        .set_method(&method(request.method()))
        .map_err(|()| Error::new(Code::HttpRequestMethodInvalid))?;
    let scheme = if target.secure {
        Scheme::Https
    } else {
        Scheme::Http
    };
    outgoing
        .set_scheme(Some(&scheme))
        .map_err(invalid("scheme"))?;
    outgoing
        .set_authority(Some(target.authority.as_str()))
        .map_err(invalid("host"))?;
    outgoing
        .set_path_with_query(Some(&target.path_and_query))
        .map_err(invalid("path"))?;
    Ok(outgoing)
}

fn headers(request: &Request) -> Result<Fields, Error> {
    let fields = Fields::new();
    let append = |name: &str, value: &str| {
        fields.append(name, value.as_bytes()).map_err(|error| {
            let why = match error {
                HeaderError::Forbidden => "is not the plugin's to set",
                HeaderError::InvalidSyntax | HeaderError::Immutable => "is none",
            };
            Error::new(Code::InvalidHeader).detail(format!("`{name}` {why}"))
        })
    };
    for (name, value) in request.headers() {
        append(name, value)?;
    }
    // Without a length the body would be sent in chunks, which not every server
    // understands.
    let length = request.body_bytes().len();
    let has_body = length > 0 || matches!(request.method(), "POST" | "PUT" | "PATCH");
    if has_body && !request.has_header("content-length") {
        append("content-length", &length.to_string())?;
    }
    Ok(fields)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// A body that was not sent to its end.
struct Unsent {
    _stream: OutputStream,
    _body: OutgoingBody,
}

/// Sends the body, unless the peer answers before it has read all of it or the
/// host stops taking it; either way the response says more.
fn send_body(
    body: OutgoingBody,
    bytes: &[u8],
    future: &FutureIncomingResponse,
    deadline: &Deadline,
) -> Result<Option<Unsent>, Error> {
    let stream = body.write().map_err(|()| unexpected("stream"))?;
    if !write_all(&stream, bytes, future, deadline)? {
        return Ok(Some(Unsent {
            _stream: stream,
            _body: body,
        }));
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|code| error(&code))?;
    Ok(None)
}

/// False when not everything was taken.
fn write_all(
    stream: &OutputStream,
    mut bytes: &[u8],
    future: &FutureIncomingResponse,
    deadline: &Deadline,
) -> Result<bool, Error> {
    let writable = stream.subscribe();
    let answered = future.subscribe();
    while !bytes.is_empty() {
        let Ok(room) = stream.check_write() else {
            return Ok(false);
        };
        if room == 0 {
            deadline.wait(&[&writable, &answered])?;
            if !writable.ready() {
                return Ok(false);
            }
            continue;
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        if stream.write(now).is_err() {
            return Ok(false);
        }
        bytes = later;
    }
    Ok(true)
}

fn response(
    future: &FutureIncomingResponse,
    deadline: &Deadline,
) -> Result<IncomingResponse, Error> {
    let answered = future.subscribe();
    deadline.wait(&[&answered])?;
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(code))) => Err(error(&code)),
        Some(Err(())) | None => Err(unexpected("response")),
    }
}

fn read_body(body: &IncomingBody, limit: usize, deadline: &Deadline) -> Result<Vec<u8>, Error> {
    let stream = body.stream().map_err(|()| unexpected("stream"))?;
    let readable = stream.subscribe();
    // Joined once at the end: the SDK's allocator takes nothing back, so a
    // buffer that grows would cost its size many times over.
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut size = 0;
    loop {
        deadline.wait(&[&readable])?;
        match stream.read(CHUNK_BYTES) {
            Ok(chunk) => {
                size += chunk.len();
                if size > limit {
                    return Err(Error::new(Code::HttpResponseBodySize));
                }
                chunks.push(chunk);
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(failure)) => {
                return Err(match types::http_error_code(&failure) {
                    Some(code) => error(&code),
                    None => Error::new(Code::InternalError).detail(failure.to_debug_string()),
                });
            }
        }
    }
    chunks.retain(|chunk| !chunk.is_empty());
    Ok(match <[Vec<u8>; 1]>::try_from(chunks) {
        Ok([only]) => only,
        Err(chunks) => chunks.concat(),
    })
}

/// When the exchange has to be over.
struct Deadline(Option<Pollable>);

impl Deadline {
    fn after(timeout: Option<Duration>) -> Self {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(timeout.map(|time| monotonic_clock::subscribe_duration(nanoseconds(time))))
    }

    /// Waits until one of these is ready, or the time is up.
    fn wait(&self, awaited: &[&Pollable]) -> Result<(), Error> {
        let Some(timer) = &self.0 else {
            poll::poll(awaited);
            return Ok(());
        };
        let mut all = awaited.to_vec();
        all.push(timer);
        let ready = poll::poll(&all);
        let is_awaited = |index: &u32| (*index as usize) < awaited.len();
        if ready.iter().any(is_awaited) {
            return Ok(());
        }
        Err(Error::new(Code::HttpResponseTimeout))
    }
}

fn error(code: &ErrorCode) -> Error {
    let error = Error::new(code.into());
    match code {
        ErrorCode::InternalError(Some(text)) => error.detail(text.as_str()),
        ErrorCode::DnsError(payload) => match &payload.rcode {
            Some(rcode) => error.detail(rcode.as_str()),
            None => error,
        },
        _ => error,
    }
}

/// The host gave what the standard does not let it give.
fn unexpected(what: &str) -> Error {
    Error::new(Code::InternalError).detail(format!("the host gives no {what}"))
}
