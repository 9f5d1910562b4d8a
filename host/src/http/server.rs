//! Sockets: accepting connections, telling handlers who is there, draining.
//!
//! Written on hyper rather than `axum::serve`, for its caps: a client must send its
//! headers in time, connections are counted, and draining has an end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::unread::Rest;

/// Connections at once; more wait in the listener's queue.
const CONNECTIONS: usize = 10_000;
/// A client must have sent its headers by then; also how long a connection may idle.
const HEADERS: Duration = Duration::from_mins(1);
/// What a stream's client has not read by then, when the server stops, it does not get.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause after a failed accept, so that a shortage of files is not a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Says, among a response's extensions, that it has no end of its own: a client that does
/// not read it must not hold up a server that stops.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endless;

/// Serves until told to stop, then waits for requests in flight, at most `drain`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    drain: Duration,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut running = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let router = router.clone();
                let stop = stop.clone();
                running.spawn(async move {
                    talk(stream, peer, router, stop).await;
                    drop(place);
                });
                while running.try_join_next().is_some() {}
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let drained = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!("requests were still in flight when the drain time ended");
        // Their connections end here, not some time later.
        running.shutdown().await;
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Replies are small and somebody on the phone waits for them.
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

/// Serves one connection to its end.
async fn talk(stream: TcpStream, peer: SocketAddr, router: Router, stop: CancellationToken) {
    let spoken = Arc::new(AtomicBool::new(false));
    let speaks = Arc::clone(&spoken);
    let endless = Arc::new(AtomicBool::new(false));
    let streams = Arc::clone(&endless);
    let service = service_fn(move |request: Request<Incoming>| {
        speaks.store(true, Ordering::Relaxed);
        let router = router.clone();
        let streams = Arc::clone(&streams);
        async move {
            let response = respond(router, request, peer).await;
            let endless = response.extensions().get::<Endless>().is_some();
            streams.store(endless, Ordering::Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A client that goes away or talks nonsense is its own affair: errors are not
    // looked at.
    tokio::select! {
        _ended = connection.as_mut() => return,
        () = stop.cancelled() => {}
    }
    // hyper closes a connection that idles between requests, but waits for the first
    // request of one that has not said anything yet.
    if spoken.load(Ordering::Relaxed) {
        connection.as_mut().graceful_shutdown();
        if endless.load(Ordering::Relaxed) {
            let _ended = tokio::time::timeout(FAREWELL, connection).await;
        } else {
            let _ended = connection.await;
        }
    }
}

async fn respond(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Response {
    let rest = Rest::default();
    let expects = request.headers().contains_key(header::EXPECT);
    let mut request = request.map(|body| Body::new(rest.watch(body)));
    request.extensions_mut().insert(peer);
    let mut response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    rest.settle(&mut response, expects).await;
    response
}
