//! What a guest build must not see of the cargo that runs this program.
//!
//! `cargo xtask` and `cargo test` tell their children which toolchain, flags
//! and target folder *they* use. A guest is built with others.

use std::{env, process::Command};

/// Cargo's own settings that describe the machine (its cores, proxies,
/// registries, cache) rather than the build, and therefore stay.
const KEPT: [&str; 6] = [
    "CARGO_BUILD_JOBS",
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
];

/// Removes the outer cargo from a command's environment.
pub(super) fn without_outer_cargo(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_cargo) {
            command.env_remove(name);
        }
    }
    command
}

fn belongs_to_outer_cargo(name: &str) -> bool {
    if KEPT.iter().any(|kept| name.starts_with(kept)) {
        return false;
    }
    name == "CARGO"
        || name.starts_with("CARGO_")
        || name.starts_with("RUSTC")
        || matches!(
            name,
            "RUSTFLAGS" | "RUSTDOC" | "RUSTDOCFLAGS" | "RUSTUP_TOOLCHAIN" | "MAKEFLAGS"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_toolchain_and_target_of_the_outer_cargo_go() {
        for name in [
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ] {
            assert!(belongs_to_outer_cargo(name), "{name}");
        }
    }

    #[test]
    fn what_describes_the_machine_stays() {
        for name in [
            "CARGO_HOME",
            "CARGO_HTTP_PROXY",
            "CARGO_NET_OFFLINE",
            "PATH",
            "RUSTUP_HOME",
        ] {
            assert!(!belongs_to_outer_cargo(name), "{name}");
        }
    }
}
