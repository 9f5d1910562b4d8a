//! What is asked for: where to, about what, and in which form.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, header};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use uuid::Uuid;

use crate::domain::endpoint::{BodyTemplate, EndpointUrl, Settings};
use crate::domain::grant::http::{AddedHeader, HeaderTemplate, MethodName, Scheme};
use crate::domain::id::SourceId;
use crate::domain::inspection::Tool;
use crate::domain::plugin::Handler;
use crate::domain::source::Patience;
use crate::domain::{Json, empty_object, is_object};
use crate::http::Caps;
use crate::http::problem::{Code, Problem};
use crate::ingest::{Dialect, Sample, Topic};
use crate::json::ReadError;

/// Any object.
type Fields = serde_json::Map<String, Value>;

/// The platform's shape, and beside it `source` and `agentId`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct TestRequest {
    web_hook: Option<WebHook>,
    /// One of our own, instead of a webhook.
    source: Option<String>,
    webhook_type: WebhookType,
    tool_name: Option<String>,
    #[schemars(with = "Option<Fields>")]
    tool_arguments: Option<Json>,
    #[schemars(with = "Option<Fields>")]
    agent_additional_data: Option<Json>,
    #[schemars(with = "Option<Fields>")]
    call_additional_data: Option<Json>,
    /// For bindings that are for one agent.
    #[schemars(length(min = 1, max = 256))]
    agent_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum WebhookType {
    #[serde(rename = "UnknownWebHookPayload")]
    Unknown,
    #[serde(rename = "StartWebHookPayload")]
    Start,
    #[serde(rename = "FailedWebHookPayload")]
    Failed,
    #[serde(rename = "CompletedWebHookPayload")]
    Completed,
    #[serde(rename = "CallDeadLineWebHookPayload")]
    CallDeadLine,
    #[serde(rename = "TransferWebHookPayload")]
    Transfer,
    #[serde(rename = "ToolWebHookPayload")]
    Tool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebHook {
    url: String,
    headers: Option<BTreeMap<AddedHeader, HeaderTemplate>>,
    custom_settings: Option<CustomSettings>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CustomSettings {
    http_method: Option<MethodName>,
    query_params: Option<BTreeMap<String, String>>,
    body_format: Option<BodyFormat>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BodyFormat {
    /// Some set-ups of the platform have it; what it may be is not published.
    #[serde(rename = "type")]
    #[schemars(with = "Option<Value>")]
    _format: Option<IgnoredAny>,
    template: Option<BodyTemplate>,
}

/// A test that can be made.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) receiver: Receiver,
    pub(super) topic: Topic,
    pub(super) headers: BTreeMap<AddedHeader, HeaderTemplate>,
    pub(super) content: Content,
    /// Whether the request has no body at all.
    pub(super) bodiless: bool,
}

/// Who gets it.
#[derive(Debug)]
pub(super) enum Receiver {
    /// One of our own.
    Source(SourceId),
    Address(Box<Settings>),
}

/// What is in the body, but for what it is about.
#[derive(Debug)]
pub(super) struct Content {
    agent_id: String,
    call_data: Json,
    agent_data: Json,
    template: Option<BodyTemplate>,
}

const URL: &str = "webHook.url";
const METHOD: &str = "webHook.customSettings.httpMethod";
const TEMPLATE: &str = "webHook.customSettings.bodyFormat.template";
const HOOKS: &str = "/hooks/";

impl TestRequest {
    /// `here` is the host that the request itself was sent to.
    pub(super) fn read(self, here: Option<&Authority>, caps: Caps) -> Result<Test, Problem> {
        let topic = topic(self.webhook_type, self.tool_name, self.tool_arguments)?;
        let agent_id = match self.agent_id {
            None => "agent_test".to_owned(),
            Some(id) if (1..=256).contains(&id.len()) => id,
            Some(_) => {
                return Err(Problem::invalid_field(
                    "agentId",
                    "must have 1 to 256 bytes",
                ));
            }
        };
        let mut content = Content {
            agent_id,
            call_data: object(self.call_additional_data, "callAdditionalData")?,
            agent_data: object(self.agent_additional_data, "agentAdditionalData")?,
            template: None,
        };
        let web_hook = match (self.web_hook, self.source) {
            (Some(web_hook), None) => web_hook,
            (None, Some(source)) => {
                return Ok(Test {
                    receiver: Receiver::Source(named(&source)?),
                    topic,
                    headers: BTreeMap::new(),
                    content,
                    bodiless: false,
                });
            }
            (Some(_), Some(_)) => {
                let problem = "is given instead of webHook: leave one of them out";
                return Err(Problem::invalid_field("source", problem));
            }
            (None, None) => return Err(ReadError::missing("webHook").into()),
        };
        let custom = web_hook.custom_settings.unwrap_or_default();
        let method = custom.http_method.unwrap_or(MethodName::POST);
        let template = custom.body_format.and_then(|format| format.template);
        let headers = web_hook.headers.unwrap_or_default();
        if headers.len() > Settings::MAX_HEADERS {
            let problem = format!("must be at most {} headers", Settings::MAX_HEADERS);
            return Err(Problem::invalid_field("webHook.headers", problem));
        }
        let bodiless = template.is_none() && matches!(method.as_str(), "GET" | "HEAD");
        content.template = template;
        let receiver = match own_hook(&web_hook.url, here) {
            Some(_) if method != MethodName::POST => {
                return Err(Problem::invalid_field(
                    METHOD,
                    "a source's hook takes POST alone",
                ));
            }
            Some(source) => Receiver::Source(named(&source)?),
            None => {
                let settings = Settings {
                    method,
                    query: custom.query_params.unwrap_or_default(),
                    headers: headers.clone(),
                    timeout_ms: timeout_ms(topic.handler()),
                    ..Settings::at(address(web_hook.url, caps)?)
                };
                check(&settings)?;
                Receiver::Address(Box::new(settings))
            }
        };
        Ok(Test {
            receiver,
            topic,
            headers,
            content,
            bodiless,
        })
    }
}

fn topic(
    webhook_type: WebhookType,
    name: Option<String>,
    arguments: Option<Json>,
) -> Result<Topic, Problem> {
    Ok(match webhook_type {
        WebhookType::Unknown => Topic::Unknown,
        WebhookType::Start => Topic::Start,
        WebhookType::Failed => Topic::Failed,
        WebhookType::Completed => Topic::Completed,
        WebhookType::CallDeadLine => Topic::Deadline,
        WebhookType::Transfer => Topic::Transfer { reason: None },
        WebhookType::Tool => {
            let name = name.ok_or_else(|| ReadError::missing("toolName"))?;
            if !Tool::is_name(&name) {
                let problem = "must match ^[a-zA-Z_][a-zA-Z0-9_]*$";
                return Err(Problem::invalid_field("toolName", problem));
            }
            let arguments = arguments.ok_or_else(|| ReadError::missing("toolArguments"))?;
            Topic::Tool {
                name,
                arguments: object(Some(arguments), "toolArguments")?,
            }
        }
    })
}

/// An object as it was written; an absent one is empty.
fn object(json: Option<Json>, field: &str) -> Result<Json, Problem> {
    let json = json.unwrap_or_else(empty_object);
    if is_object(&json) {
        Ok(json)
    } else {
        Err(Problem::invalid_field(field, "must be a JSON object"))
    }
}

/// What cannot be the id of a source names none.
fn named(source: &str) -> Result<SourceId, Problem> {
    let detail = |_| Problem::new(Code::NotFound, format!("there is no source {source}"));
    source.parse().map_err(detail)
}

fn address(url: String, caps: Caps) -> Result<EndpointUrl, Problem> {
    let url = EndpointUrl::try_from(url).map_err(|error| {
        let problem = format!("{error}; or the path of one of your own sources, {HOOKS}src_…");
        Problem::invalid_field(URL, problem)
    })?;
    if url.scheme() == Scheme::Http && !caps.plain_endpoints {
        let problem =
            "must be https: on this server (the operator can allow others: egress.plain_endpoints)";
        return Err(Problem::invalid_field(URL, problem));
    }
    Ok(url)
}

/// The settings have the rules of an endpoint's, and other names.
fn check(settings: &Settings) -> Result<(), Problem> {
    settings.check().map_err(|error| {
        let field = match error.field {
            "query" => "webHook.customSettings.queryParams",
            "headers" => "webHook.headers",
            other => other,
        };
        Problem::invalid_field(field, error.to_string())
    })
}

/// The platform's own timeouts.
fn timeout_ms(handler: Handler) -> u32 {
    const NOTICE: u32 = Patience::EVENT.as_secs() as u32 * 1000;
    let patience = Patience::default();
    match handler {
        Handler::Start => patience.start_ms,
        Handler::Transfer => patience.transfer_ms,
        Handler::Tool => patience.tool_ms,
        Handler::Event => NOTICE,
    }
}

/// What stands for the source's id in the URL of one of our own hooks: a path, or with
/// the host that this request was sent to.
fn own_hook(url: &str, here: Option<&Authority>) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let source = uri.path().strip_prefix(HOOKS)?;
    let ours = match (uri.authority(), here) {
        (None, _) => true,
        (Some(there), Some(here)) => {
            let port = match uri.scheme_str() {
                Some("https") => Scheme::Https.default_port(),
                _ => Scheme::Http.default_port(),
            };
            let port = |of: &Authority| of.port_u16().unwrap_or(port);
            there.host().eq_ignore_ascii_case(here.host()) && port(there) == port(here)
        }
        (Some(_), None) => false,
    };
    ours.then(|| source.to_owned())
}

/// The host that a request was sent to.
pub(super) fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let named = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(named)
}

/// Bodies are JSON unless somebody says otherwise.
pub(super) fn say_json(headers: &mut HeaderMap) {
    let json = HeaderValue::from_static("application/json");
    headers.entry(header::CONTENT_TYPE).or_insert(json);
}

impl Content {
    /// What the platform would send.
    pub(super) fn payload(&self, dialect: &dyn Dialect, topic: Topic) -> Result<Json, Problem> {
        let sample = Sample {
            call_id: format!("test-{}", Uuid::now_v7().simple()),
            agent_id: self.agent_id.clone(),
            call_data: self.call_data.clone(),
            agent_data: self.agent_data.clone(),
            now: Timestamp::now(),
            ..Sample::about(topic)
        };
        dialect.sample(&sample).ok_or_else(|| {
            let problem = format!("{} sends nothing of the sort", dialect.name());
            Problem::invalid_field("webhookType", problem)
        })
    }

    pub(super) fn body(self, payload: &Json) -> Result<Bytes, Problem> {
        let Some(template) = self.template else {
            return Ok(payload.get().to_owned().into());
        };
        // It is JSON: it has just been written.
        let fields = serde_json::from_str(payload.get()).unwrap_or_default();
        let body = template.render(&fields);
        body.map(Into::into)
            .map_err(|error| Problem::invalid_field(TEMPLATE, error.to_string()))
    }
}
