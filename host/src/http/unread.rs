//! Bodies that nobody read to their end.
//!
//! A request may be refused before its body was read. HTTP/1.1 can go on with the
//! next request only behind the body, so a small rest is discarded; else the reply
//! says that the connection closes, and a client does not send its next request
//! into the void.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Largest rest that is worth reading to keep a connection, in bytes.
const DISCARDED: usize = 1 << 20;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a body goes that is dropped before its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>);

/// A request's body, whose rest is not lost when it is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    body: Option<Incoming>,
    rest: Rest,
}

impl Rest {
    pub(super) fn watch(&self, body: Incoming) -> Watched {
        Watched {
            body: Some(body),
            rest: self.clone(),
        }
    }

    /// Sees to it that the connection can go on behind this reply, or that the reply
    /// says it cannot. `expects` is whether the client waits to be told to send.
    pub(super) async fn settle<B>(&self, reply: &mut http::Response<B>, expects: bool) {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(rest) = rest else { return };
        if expects || !discard(rest).await {
            reply
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Reads a body to its end; false if that is not worth the while.
async fn discard(body: Incoming) -> bool {
    let mut body = Limited::new(body, DISCARDED);
    let read = async {
        loop {
            match body.frame().await {
                None => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or(false)
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
