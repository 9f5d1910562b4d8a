//! Which `hookswitch` is under test.
//!
//! `HOOKSWITCH_BIN` names one that is built already (`cargo xtask test` does so);
//! otherwise the workspace's own is built once. Neighbour: `server` starts it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate lies in the workspace")
}

/// The program under test.
pub(crate) fn hookswitch() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("HOOKSWITCH_BIN").map_or_else(build, PathBuf::from))
}

/// The program with none of the caller's own settings in its environment.
pub(crate) fn command() -> Command {
    without_settings(Command::new(hookswitch()))
}

/// The same, and it lives on when it may not write any more: who writes too large a file
/// is killed, unless it, or who started it, chose otherwise.
pub(crate) fn command_on_a_full_disk() -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(hookswitch());
    without_settings(command)
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HOOKSWITCH_") {
            command.env_remove(name);
        }
    }
    // Nor with what they have logged in to.
    command.env("XDG_CONFIG_HOME", "/nowhere");
    command
}

fn build() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--package", "hookswitch", "--message-format=json"])
        .current_dir(workspace())
        .stderr(std::process::Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the host does not build");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .expect("cargo names the program it built")
}
