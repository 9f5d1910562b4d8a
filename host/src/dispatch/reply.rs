//! An endpoint's reply: its head, and as much of its body as is worth keeping.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::time::{Instant, timeout_at};

use crate::domain::delivery::Heard;
use crate::egress::ResponseBody;

/// What an endpoint answered.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    headers: HeaderMap,
    /// The body, or its beginning.
    pub body: Bytes,
    /// Whether the body is whole: not cut off, and arrived in time.
    pub complete: bool,
}

impl Reply {
    /// Reads a body up to `keep` bytes and until the deadline. Whatever is beyond is
    /// not waited for: the status alone says whether an event was taken.
    pub(super) async fn read(
        response: http::Response<ResponseBody>,
        deadline: Instant,
        keep: usize,
    ) -> Self {
        let (head, mut body) = response.into_parts();
        let mut kept = BytesMut::new();
        let complete = loop {
            let Ok(frame) = timeout_at(deadline, body.frame()).await else {
                break false;
            };
            let Some(frame) = frame else {
                break true;
            };
            let Ok(frame) = frame else {
                break false;
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let room = keep - kept.len();
            kept.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                break false;
            }
        };
        Self {
            status: head.status,
            headers: head.headers,
            body: kept.freeze(),
            complete,
        }
    }

    pub(super) fn heard(&self, now: Timestamp) -> Heard {
        let wish = self.headers.get(header::RETRY_AFTER);
        Heard::Reply {
            status: self.status.as_u16(),
            retry_after: wish
                .and_then(|wish| wish.to_str().ok())
                .and_then(|wish| retry_after(wish, now)),
        }
    }

    /// The beginning of the body as text, for people.
    pub fn text(&self, most: usize) -> Option<String> {
        let beginning = &self.body[..self.body.len().min(most)];
        (!beginning.is_empty()).then(|| String::from_utf8_lossy(beginning).into_owned())
    }
}

/// Seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Duration::try_from(at.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_wait_is_in_seconds_or_a_date() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Fri, 02 Jan 2026 03:05:05 GMT", Some(60)),
            ("Fri, 02 Jan 2026 03:03:05 GMT", None),
            ("-5", None),
            ("soon", None),
            ("1.5", None),
            ("", None),
        ] {
            let read = retry_after(text, now);
            assert_eq!(read.map(|it| it.as_secs()), seconds, "{text:?}");
        }
    }
}
