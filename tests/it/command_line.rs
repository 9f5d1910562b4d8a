//! `hookswitch` as people type it, mostly against a server that runs.
//!
//! Neighbours: `binary` finds the program, `server` runs the one that it asks.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::binary;
use crate::server::{ADMIN_TOKEN, Server};

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The program, as this server's administrator.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary::command();
        command
            .args(arguments)
            .env("HOOKSWITCH_SERVER", self.url())
            .env("HOOKSWITCH_TOKEN", ADMIN_TOKEN);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        ended(self.command(arguments)).await
    }
}

pub(crate) async fn ended(command: Command) -> Output {
    told(command, "").await
}

/// Runs it with that on its standard input.
pub(crate) async fn told(mut command: Command, input: &str) -> Output {
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let pipe = Stdio::piped;
        let child = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn();
        let mut child = child.expect("the host runs");
        // One that does not read it may have ended already.
        let _ = child
            .stdin
            .take()
            .expect("stdin is a pipe")
            .write_all(input.as_bytes());
        child.wait_with_output()
    });
    output.await.expect("it ends").expect("the host runs")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What it printed, after a check that it went well.
#[track_caller]
pub(crate) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What it complained of.
#[track_caller]
pub(crate) fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[track_caller]
pub(crate) fn parsed(output: &Output) -> Value {
    serde_json::from_str(&printed(output)).expect("JSON")
}

/// Compares what was printed with the committed snapshot of that name.
macro_rules! assert_printed {
    ($name:expr, $printed:expr) => {{
        let name = $name;
        let printed = $printed;
        crate::command_line::masks().bind(|| insta::assert_snapshot!(name, printed));
    }};
}
pub(crate) use assert_printed;

/// What no two runs share, in a table as wide as before.
pub(crate) fn masks() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(
        r"\b(evt|src|bnd|dlv|ep|job|tok|org)_[0-9a-f]{32}",
        "${1}_[id]                            ",
    );
    settings.add_filter(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
        "[time]                  ",
    );
    settings.add_filter(r"sha256:[0-9a-f]{12,64}", "sha256:[digest]");
    settings.add_filter(r"whsec_[A-Za-z0-9+/=]+", "whsec_[secret]");
    settings.add_filter(r"[0-9.]+ [KM]iB", "[size]");
    settings.add_filter(r" +\n", "\n");
    settings.add_filter(r"http://127\.0\.0\.1:\d+", "http://[server]");
    settings
}
