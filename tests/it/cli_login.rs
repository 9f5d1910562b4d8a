//! `hookswitch login`, `logout` and `whoami`: a profile with a server and its token.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::binary;
use crate::command_line::{complaint, ended, printed, told};
use crate::server::{ADMIN_TOKEN, Server};

/// Somebody's home, with nothing in it at first.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::with_prefix("hookswitch-home-").unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary::command();
        command
            .args(arguments)
            .env("XDG_CONFIG_HOME", self.0.path());
        command
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("hookswitch").join("config.toml")
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_logged_in_need_not_say_who_they_are() {
    let (server, home) = (Server::start(), Home::new());
    let login = home.command(&["login", "--server", &server.url()]);
    let said = printed(&told(login, &format!("{ADMIN_TOKEN}\n")).await);
    assert!(
        said.contains("logged in to") && said.contains("profile default"),
        "{said}"
    );
    assert!(!said.contains(ADMIN_TOKEN), "the token is shown: {said}");
    assert_eq!(mode(&home.file()), 0o600);
    let list = ended(home.command(&["source", "list"])).await;
    assert_eq!(printed(&list), "no sources\n");
    let who = printed(&ended(home.command(&["whoami"])).await);
    assert!(
        who.contains("token.scope") && who.contains("operator"),
        "{who}"
    );
    // The token is for that server, and no other is told it.
    let elsewhere = ["source", "list", "--server", "http://127.0.0.1:1"];
    let said = complaint(&ended(home.command(&elsewhere)).await);
    assert!(said.contains("a token is missing"), "{said}");
    printed(&ended(home.command(&["logout"])).await);
    let said = complaint(&ended(home.command(&["source", "list"])).await);
    assert!(said.contains("hookswitch login"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_stores_nothing() {
    let (server, home) = (Server::start(), Home::new());
    for (url, token, part) in [
        (
            server.url().as_str(),
            "a-token-of-nobody",
            "refuses the token",
        ),
        (server.url().as_str(), "", "the token is empty"),
        (
            "http://127.0.0.1:1",
            ADMIN_TOKEN,
            "no server can be reached",
        ),
        ("nowhere", ADMIN_TOKEN, "no server's URL"),
    ] {
        let login = home.command(&["login", "--server", url]);
        let said = complaint(&told(login, token).await);
        assert!(said.contains(part), "{url}: {said}");
        assert!(
            !said.contains("a-token-of-nobody"),
            "the token is shown: {said}"
        );
    }
    assert!(!home.file().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_chosen_by_name() {
    let (server, home) = (Server::start(), Home::new());
    for name in ["work", "play"] {
        let login = home.command(&["login", "--server", &server.url(), "--profile", name]);
        printed(&told(login, ADMIN_TOKEN).await);
    }
    let list = ["source", "list", "--profile", "work"];
    assert_eq!(printed(&ended(home.command(&list)).await), "no sources\n");
    let nobody = ["source", "list", "--profile", "nobody"];
    let said = complaint(&ended(home.command(&nobody)).await);
    assert!(
        said.contains("there is no profile \"nobody\" (there is: play, work)"),
        "{said}"
    );
    std::fs::write(home.file(), "[profiles.work]\nserver = 1\n").unwrap();
    let said = complaint(&ended(home.command(&list)).await);
    assert!(said.contains("config.toml, line 2"), "{said}");
}
