//! Bodies on their way, counted, and cut at the end of their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Body as _, Frame};
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::{Error, WasiBody};

use super::allowance::Allowance;
use crate::egress::BodyStream;

/// The guest's body broke the allowance: told apart from a connection that broke.
#[derive(Debug, Clone, Default)]
pub(super) struct TooLarge(Arc<AtomicBool>);

impl TooLarge {
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A guest's body as [`Egress`](crate::egress::Egress) sends it; none if there is none.
pub(super) fn outgoing(
    body: WasiBody,
    allowance: Allowance,
    too_large: TooLarge,
) -> Option<BodyStream> {
    if body.is_end_stream() {
        return None;
    }
    let counted = body.into_data_stream().map(move |data| {
        let data = data.map_err(|error| error.to_string())?;
        allowance.take_bytes(data.len()).map_err(|_| {
            too_large.0.store(true, Ordering::Relaxed);
            "the request's body is too large"
        })?;
        Ok(data)
    });
    Some(counted.boxed())
}

/// How long a response's body may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) until: Instant,
    /// The guest's own wish: the longest pause.
    pub(super) between: Option<Duration>,
}

impl Patience {
    fn next(&self) -> Instant {
        match self.between {
            Some(pause) => self.until.min(Instant::now() + pause),
            None => self.until,
        }
    }
}

/// A response's body as the guest reads it.
pub(super) fn incoming<B>(body: B, allowance: Allowance, patience: Patience) -> WasiBody
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    let frames = stream::unfold(Some(body), move |body| {
        let allowance = allowance.clone();
        async move {
            let mut body = body?;
            match timeout_at(patience.next(), body.frame()).await {
                Err(_elapsed) => Some((Err(Error::ConnectionReadTimeout), None)),
                Ok(None) => None,
                Ok(Some(Err(_broken))) => Some((Err(Error::HttpResponseIncomplete), None)),
                Ok(Some(Ok(frame))) => match counted(frame, &allowance) {
                    Ok(frame) => Some((Ok(frame), Some(body))),
                    Err(error) => Some((Err(error), None)),
                },
            }
        }
    });
    StreamBody::new(frames.boxed()).boxed_unsync()
}

fn counted(frame: Frame<Bytes>, allowance: &Allowance) -> Result<Frame<Bytes>, Error> {
    if let Some(data) = frame.data_ref() {
        allowance
            .take_bytes(data.len())
            .map_err(|_| Error::HttpResponseBodySize(None))?;
    }
    Ok(frame)
}
