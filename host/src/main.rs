//! The `hookswitch` binary.

use std::process::ExitCode;

/// A call is some hundred small allocations on whichever thread runs it, freed on another:
/// glibc's allocator took about a twentieth of an answer (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hookswitch::cli::run()
}
