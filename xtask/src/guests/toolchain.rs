//! Finding a Rust that builds for `wasm32-wasip2`, the quick ways first:
//! rustup's target if it is installed, Debian's packages if they are installed.
//! Where neither is, root on Debian installs the packages, which needs nothing but
//! the mirror that such a machine has anyway (a CI machine often reaches nothing
//! else); everybody else has rustup download its target. What was installed once
//! is found at once ever after.

mod debian;
mod rustup;

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::environment::without_outer_cargo;

pub(super) const TARGET: &str = "wasm32-wasip2";

/// What guests are compiled with: a stack of 128 KiB instead of 1 MiB, because each page
/// that a guest begins with is looked at when its sandbox is made ready for the next
/// call. The deepest JSON that serde_json reads fits (128 levels), and who
/// needs more traps.
const FLAGS: &str = "-Clink-arg=-zstack-size=131072";

/// A Rust that builds for [`TARGET`].
#[derive(Debug)]
pub(super) struct Toolchain {
    /// For people: where it comes from.
    pub(super) name: &'static str,
    cargo: PathBuf,
    rustc: PathBuf,
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, String)>,
    unset: Vec<&'static str>,
}

impl Toolchain {
    /// The toolchain that is there already, if any. Runs no other program when
    /// cargo has started this one.
    pub(super) fn installed() -> Result<Option<Self>> {
        let sysroot = sysroot()?;
        Ok(rustup::installed(&sysroot).or_else(|| debian::installed(&sysroot)))
    }

    /// A toolchain, installed now if it must be.
    pub(super) fn installed_or_install() -> Result<Self> {
        if let Some(toolchain) = Self::installed()? {
            return Ok(toolchain);
        }
        let mut failures = String::new();
        for (what, install) in [
            (debian::INSTALL, debian::install as fn(&Path) -> Result<()>),
            (rustup::INSTALL, rustup::install),
        ] {
            let installed = install(&sysroot()?).and_then(|()| {
                Self::installed()?.ok_or_else(|| anyhow!("it ran, but something is missing still"))
            });
            match installed {
                Ok(toolchain) => return Ok(toolchain),
                Err(error) => write!(failures, "\n  {what}\n    {error:#}")?,
            }
        }
        bail!(
            "no Rust here can build for {TARGET}, and none could be installed:{failures}\n\
             Run either command yourself, where the internet or a Debian mirror can be reached."
        )
    }

    /// `cargo build` for the guests, without folder and target folder.
    pub(super) fn cargo_build(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        without_outer_cargo(&mut command)
            .env("RUSTC", &self.rustc)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(["build", "--release", "--target", TARGET])
            .args(&self.arguments);
        for name in &self.unset {
            command.env_remove(name);
        }
        command
    }

    /// What a guest depends on, in one line: its sources, and this toolchain.
    ///
    /// The compiler's file stands for its version, which to ask for would take
    /// longer than everything else a call without work does.
    pub(super) fn fingerprint(&self, sources: &[u8; 32]) -> String {
        let mut text = String::new();
        for byte in sources {
            let _ = write!(text, "{byte:02x}");
        }
        let compiler = fs::metadata(&self.rustc).ok();
        let bytes = compiler.as_ref().map(fs::Metadata::len);
        let modified = compiler
            .and_then(|file| file.modified().ok())
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let _ = write!(
            text,
            " {} {bytes:?} {modified:?} {:?} {:?}",
            self.rustc.display(),
            self.arguments,
            self.environment
        );
        text
    }
}

/// The folder of the Rust that compiled this program.
fn sysroot() -> Result<PathBuf> {
    let from_cargo = env::var_os("CARGO").and_then(|cargo| {
        let sysroot = Path::new(&cargo)
            .canonicalize()
            .ok()?
            .parent()?
            .parent()?
            .to_path_buf();
        sysroot.join("lib/rustlib").is_dir().then_some(sysroot)
    });
    if let Some(sysroot) = from_cargo {
        return Ok(sysroot);
    }
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .context("cannot run rustc to ask for its folder")?;
    ensure!(output.status.success(), "`rustc --print sysroot` failed");
    Ok(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}

/// Runs an installer, but not for ever.
pub(crate) fn run_within(limit: Duration, command: &mut Command) -> Result<()> {
    const POLL: Duration = Duration::from_millis(50);
    let deadline = Instant::now() + limit;
    // Standard output belongs to the caller, which may be piped somewhere.
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "it failed: {status}");
            return Ok(());
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            bail!("it took longer than {} seconds", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installer_that_hangs_is_stopped() {
        let started = Instant::now();
        let error = run_within(Duration::from_millis(100), Command::new("sleep").arg("60"));
        assert!(error.unwrap_err().to_string().contains("longer than"));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn an_installer_that_fails_is_a_failure() {
        let error = run_within(Duration::from_secs(10), &mut Command::new("false")).unwrap_err();
        assert!(error.to_string().contains("it failed"));
    }
}
