//! `hookswitch test`: how a webhook, or one of our own sources, takes a made-up payload.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::client::{Client, Server};
use super::names::SOURCE;

/// Have a running server send a made-up payload to a source or a URL, and see whether the
/// platform would understand the reply.
///
/// Ends with 1 if there is no reply with a status of success, or the platform would not
/// understand it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hookswitch test start --source main-line
  hookswitch test tool --source main-line --tool book --arguments '{\"date\":\"2026-01-02\"}'
  hookswitch test completed --url https://example.com/hook --header 'Authorization: Bearer …'")]
pub(super) struct Test {
    /// What the payload is about.
    #[arg(value_name = "TYPE")]
    about: About,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    receiver: Receiver,
    /// A header of the request, as often as needed; ${secret:NAME} in it stands for a
    /// secret of the server.
    #[arg(
        long = "header",
        value_name = "NAME: VALUE",
        value_parser = header,
        conflicts_with = "source"
    )]
    headers: Vec<(String, String)>,
    /// The tool's name.
    #[arg(long, value_name = "NAME", required_if_eq("about", "tool"))]
    tool: Option<String>,
    /// The tool's arguments; {} unless told.
    #[arg(long, value_name = "JSON", value_parser = object, requires = "tool")]
    arguments: Option<Value>,
    /// The agent's id.
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// What the agent's set-up attaches.
    #[arg(long, value_name = "JSON", value_parser = object)]
    agent_data: Option<Value>,
    /// What was attached to the call.
    #[arg(long, value_name = "JSON", value_parser = object)]
    call_data: Option<Value>,
    /// Print the API's answer instead of text.
    #[arg(long)]
    json: bool,
}

/// Who gets it.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Receiver {
    /// A source of the server, by its name or id. It is given the proofs it wants.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Any webhook.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum About {
    Start,
    Transfer,
    Tool,
    Completed,
    Failed,
    Deadline,
    Unknown,
}

impl About {
    /// As the API has it.
    fn webhook_type(self) -> &'static str {
        match self {
            Self::Start => "StartWebHookPayload",
            Self::Transfer => "TransferWebHookPayload",
            Self::Tool => "ToolWebHookPayload",
            Self::Completed => "CompletedWebHookPayload",
            Self::Failed => "FailedWebHookPayload",
            Self::Deadline => "CallDeadLineWebHookPayload",
            Self::Unknown => "UnknownWebHookPayload",
        }
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err("expected a name and a value, as in 'Authorization: Bearer …'".to_owned()),
    }
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("expected a JSON object, such as {\"date\":\"2026-01-02\"}".to_owned()),
        Err(error) => Err(format!("this is not JSON: {error}")),
    }
}

impl Test {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let client = self.server.client()?;
            let json = self.json;
            let request = self.request(&client).await?;
            let result = client.post("/webhooks/test", &request).await?;
            let mut out = std::io::stdout().lock();
            if json {
                writeln!(out, "{result:#}")?;
            } else {
                show(&result, &mut out)?;
            }
            Ok(if went_well(&result) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        })
    }

    async fn request(self, client: &Client) -> anyhow::Result<Value> {
        let mut request = Map::new();
        request.insert("webhookType".into(), self.about.webhook_type().into());
        match (self.receiver.source, self.receiver.url) {
            (Some(source), _) => {
                let source = SOURCE.id(client, &source).await?;
                request.insert("source".into(), source.into());
            }
            (None, url) => {
                let headers: Map<_, _> = self
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, value.into()))
                    .collect();
                request.insert("webHook".into(), json!({"url": url, "headers": headers}));
            }
        }
        let arguments = self.tool.is_some().then(|| json!({}));
        for (name, value) in [
            ("toolName", self.tool.map(Value::from)),
            ("toolArguments", self.arguments.or(arguments)),
            ("agentId", self.agent.map(Value::from)),
            ("agentAdditionalData", self.agent_data),
            ("callAdditionalData", self.call_data),
        ] {
            request.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(request.into())
    }
}

/// Whether the platform would be content.
fn went_well(result: &Value) -> bool {
    let valid = result["validationResult"]["isValid"].as_bool();
    result["success"] == true && valid.unwrap_or(true)
}

fn show(result: &Value, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let ms = result["timeTaken"]
        .as_u64()
        .ok_or_else(|| anyhow!("the answer has no timeTaken: is it a Hookswitch server?"))?;
    match (result["httpStatus"].as_u64(), result["error"].as_str()) {
        (Some(status), None) => {
            let text = result["httpStatusText"].as_str().unwrap_or_default();
            writeln!(out, "ok: {} in {ms} ms", format!("{status} {text}").trim())?;
        }
        (_, error) => {
            let error = error.unwrap_or("nothing says why");
            writeln!(out, "failed: {error}, after {ms} ms")?;
        }
    }
    if let Some(event) = result["event"].as_str() {
        writeln!(out, "event: {event}")?;
    }
    let validation = &result["validationResult"];
    match validation["isValid"].as_bool() {
        Some(true) => writeln!(out, "the platform understands the reply")?,
        Some(false) => {
            writeln!(out, "the platform would not understand the reply:")?;
            for error in validation["errors"].as_array().into_iter().flatten() {
                writeln!(out, "  {}", error.as_str().unwrap_or_default())?;
            }
        }
        None => {}
    }
    match &result["responseData"] {
        Value::Null => {}
        Value::String(text) => writeln!(out, "reply: {text}")?,
        reply => writeln!(out, "reply: {reply:#}")?,
    }
    Ok(())
}
