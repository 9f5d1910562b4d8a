//! The `hookswitch` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What one thread allocates another one frees, as entries on their way into the tables:
/// glibc's allocator locks for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    hookswitch::cli::run()
}
