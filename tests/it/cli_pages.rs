//! Completion, manual and help: what the program says of itself.

use tempfile::TempDir;

use crate::binary;
use crate::command_line::{ended, printed};

async fn run(arguments: &[&str]) -> String {
    let mut command = binary::command();
    command.args(arguments);
    printed(&ended(command).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_can_complete() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completion", shell]).await;
        for part in ["hookswitch", "rollback", "rotate-secrets"] {
            assert!(script.contains(part), "{shell}: {part} is missing");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_completion_of_bash_is_a_script_that_completes() {
    let script = run(&["completion", "bash"]).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("completion");
    std::fs::write(&file, script).unwrap();
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c"]).arg(format!(
        "source {} && COMP_WORDS=(hookswitch plugin pu) COMP_CWORD=2 && \
         _hookswitch hookswitch pu plugin && echo \"${{COMPREPLY[@]}}\"",
        file.display()
    ));
    assert_eq!(printed(&ended(bash).await).trim(), "push");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_a_page_in_the_manual() {
    let page = run(&["man"]).await;
    assert!(page.contains(".TH hookswitch 1"), "{page}");
    let folder = TempDir::new().unwrap();
    run(&["man", "--dir", folder.path().to_str().unwrap()]).await;
    let mut pages: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    for command in commands(&[]).await {
        for sub in commands(&[&command]).await {
            let page = format!("hookswitch-{command}-{sub}.1");
            assert!(pages.contains(&page), "{page} is missing of {pages:?}");
        }
        let page = format!("hookswitch-{command}.1");
        assert!(pages.contains(&page), "{page} is missing of {pages:?}");
    }
}

/// The commands that a help names.
async fn commands(of: &[&str]) -> Vec<String> {
    let help = run(&[of, &["--help"]].concat()).await;
    let Some((_, after)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let lines = after.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_names_what_there_is() {
    let all = commands(&[]).await;
    for wanted in [
        "serve",
        "login",
        "apply",
        "plugin",
        "delivery",
        "completion",
    ] {
        assert!(all.iter().any(|it| it == wanted), "{wanted} of {all:?}");
    }
    assert!(
        !all.iter().any(|it| it == "deliveries"),
        "an old name is shown"
    );
}
