//! `wasi:http/outgoing-handler`: requests to the hosts that the binding grants.
//!
//! [`HttpAccess`] is what one binding may reach, with the secrets of its headers
//! filled in by `call`; [`exchange`] sends one request through the process's one
//! [`Egress`](crate::egress::Egress). A guest gets WASI's error codes for
//! everything that is refused: it can handle each.

mod allowance;
mod body;
mod exchange;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response};
use tokio::time::Instant;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use self::allowance::Allowance;
use self::exchange::Exchange;
use super::CallState;
use super::log::LogBook;
use super::recorder::Recorder;
use crate::domain::grant::http::{Destination, HttpGrant};
use crate::domain::id::BindingId;
use crate::domain::limits::CallLimits;
use crate::egress::Egress;

/// Largest set of headers, by the engine's own measure of what they take in memory.
const MAX_FIELD_BYTES: usize = 64 << 10;

/// What one binding may reach.
pub struct HttpAccess {
    /// For the operator's log.
    pub binding: BindingId,
    pub egress: Egress,
    pub rules: Vec<HttpRule>,
    pub rate: Arc<dyn RequestRate>,
}

impl std::fmt::Debug for HttpAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpAccess")
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}

/// A grant with its headers as they are sent.
pub struct HttpRule {
    pub grant: HttpGrant,
    /// None if a secret is missing: such requests are refused.
    pub headers: Option<Vec<(HeaderName, HeaderValue)>>,
}

impl std::fmt::Debug for HttpRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRule")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

impl HttpAccess {
    /// The first rule that covers a request.
    fn rule(&self, to: &Destination<'_>, method: &Method) -> Option<&HttpRule> {
        self.rules.iter().find(|rule| rule.grant.covers(to, method))
    }
}

/// How fast all calls of a binding together may send requests.
pub trait RequestRate: Send + Sync {
    /// Takes one request; false if there were too many of late.
    fn take(&self) -> bool;
}

/// One call's side of it.
pub(super) struct OutboundHttp {
    ctx: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    access: Option<Arc<HttpAccess>>,
    allowance: Allowance,
    /// Of one request.
    time: Duration,
    /// Of the call.
    deadline: Instant,
    log: LogBook,
    recorder: Recorder,
}

impl OutboundHttp {
    pub(super) fn new(
        access: Option<Arc<HttpAccess>>,
        limits: &CallLimits,
        deadline: Instant,
        log: LogBook,
        recorder: Recorder,
    ) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(MAX_FIELD_BYTES);
        let hooks = Hooks {
            access,
            allowance: Allowance::new(limits),
            time: Duration::from_millis(limits.http_time_ms.into()),
            deadline,
            log,
            recorder,
        };
        Self { ctx, hooks }
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http.ctx,
            table: self.wasi.view().table,
            hooks: &mut self.http.hooks,
        }
    }
}

type Sent = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for Hooks {
    fn set_host_header(&mut self) -> bool {
        // The client sets it, from the address it sends to.
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _guest_read_the_response: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let exchange = Exchange {
            access: self.access.clone(),
            allowance: self.allowance.clone(),
            until: self.deadline.min(Instant::now() + self.time),
            options: options.unwrap_or_default(),
            log: self.log.clone(),
            recorder: self.recorder.clone(),
        };
        Box::new(async move {
            let response = exchange.run(request).await?;
            let nothing_left: Box<dyn Future<Output = _> + Send> =
                Box::new(std::future::ready(Ok(())));
            Ok((response, nothing_left))
        })
    }
}
