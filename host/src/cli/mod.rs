//! The command line: one file per command.

mod call;
mod client;
mod compile;
mod deliveries;
mod entries;
mod inspect;
mod invoke;
mod key;
mod serve;
mod tail;
mod webhook_test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A WebAssembly plugin host for voice-platform webhooks.
#[derive(Debug, Parser)]
#[command(name = "hookswitch", version, about, long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Invoke(invoke::Invoke),
    Inspect(inspect::Inspect),
    Deliveries(deliveries::Deliveries),
    Key(key::Key),
    Test(webhook_test::Test),
    Tail(tail::Tail),
    Call(call::Call),
    Compile(compile::Compile),
}

/// Runs the command; what it returns is the process's exit code.
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Invoke(invoke) => invoke.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Deliveries(deliveries) => deliveries.run(),
        Command::Key(key) => key.run(),
        Command::Test(test) => test.run(),
        Command::Tail(tail) => tail.run(),
        Command::Call(call) => call.run(),
        Command::Compile(compile) => compile.run(),
    };
    outcome.unwrap_or_else(|error| {
        explain(&error);
        ExitCode::FAILURE
    })
}

/// Says what went wrong and why, one cause per line.
#[allow(clippy::print_stderr)]
fn explain(error: &anyhow::Error) {
    eprintln!("hookswitch: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // A transparent layer says the same again.
        if cause != last {
            eprintln!("  because {cause}");
        }
        last = cause;
    }
}
