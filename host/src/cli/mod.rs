//! The command line: one file per command.
//!
//! `serve`, `invoke`, `inspect`, `key` and `compile` do things here, and `simulate` plays a
//! platform; all others ask a running server by its API, and stand on these: [`client`]
//! asks, [`profile`] is where and who, [`names`] takes names for ids, [`input`] reads what
//! is given, [`paging`] and [`shown`] read and print lists, [`entries`] what happened,
//! [`progress`] shows how long things go.

mod client;
mod confirm;
mod entries;
mod input;
mod names;
mod paging;
mod profile;
mod progress;
mod shown;

mod apply;
mod audit;
mod binding;
mod call;
mod compile;
mod completion;
mod decision;
mod delivery;
mod endpoint;
mod event;
mod inspect;
mod invoke;
mod job;
mod key;
mod login;
mod man;
mod organization;
mod plugin;
mod secret;
mod serve;
mod simulate;
mod source;
mod tail;
mod token;
mod webhook_test;

use std::io;
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
    Login(login::Login),
    Logout(login::Logout),
    Whoami(login::Whoami),
    Apply(apply::Apply),
    Plugin(plugin::Plugin),
    Source(source::Source),
    Binding(binding::Binding),
    Endpoint(endpoint::Endpoint),
    Secret(secret::Secret),
    Event(event::Event),
    Decision(decision::Decision),
    #[command(alias = "deliveries")]
    Delivery(delivery::Delivery),
    Job(job::Job),
    Token(token::Token),
    Organization(organization::Organization),
    Audit(audit::Audit),
    Test(webhook_test::Test),
    Simulate(simulate::Simulate),
    Tail(tail::Tail),
    Call(call::Call),
    Key(key::Key),
    Completion(completion::Completion),
    Man(man::Man),
    Compile(compile::Compile),
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Invoke(invoke) => invoke.run(),
            Self::Inspect(inspect) => inspect.run(),
            Self::Login(login) => login.run(),
            Self::Logout(logout) => logout.run(),
            Self::Whoami(whoami) => whoami.run(),
            Self::Apply(apply) => apply.run(),
            Self::Plugin(plugin) => plugin.run(),
            Self::Source(source) => source.run(),
            Self::Binding(binding) => binding.run(),
            Self::Endpoint(endpoint) => endpoint.run(),
            Self::Secret(secret) => secret.run(),
            Self::Event(event) => event.run(),
            Self::Decision(decision) => decision.run(),
            Self::Delivery(delivery) => delivery.run(),
            Self::Job(job) => job.run(),
            Self::Token(token) => token.run(),
            Self::Organization(organization) => organization.run(),
            Self::Audit(audit) => audit.run(),
            Self::Test(test) => test.run(),
            Self::Simulate(simulate) => simulate.run(),
            Self::Tail(tail) => tail.run(),
            Self::Call(call) => call.run(),
            Self::Key(key) => key.run(),
            Self::Completion(completion) => completion.run(),
            Self::Man(man) => man.run(),
            Self::Compile(compile) => compile.run(),
        }
    }
}

/// Runs the command; what it returns is the process's exit code.
pub fn run() -> ExitCode {
    Arguments::parse().command.run().unwrap_or_else(|error| {
        if nobody_listens(&error) {
            return ExitCode::SUCCESS;
        }
        explain(&error);
        ExitCode::FAILURE
    })
}

/// Runs a command that asks a server.
fn asked(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    in_runtime(command)?;
    Ok(ExitCode::SUCCESS)
}

fn in_runtime<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(command)
}

/// Whether whoever reads the output has seen enough, as head has.
fn nobody_listens(error: &anyhow::Error) -> bool {
    let kind = match (error.downcast_ref::<io::Error>(), error.downcast_ref()) {
        (Some(error), _) => Some(error.kind()),
        (None, json) => json.and_then(serde_json::Error::io_error_kind),
    };
    kind == Some(io::ErrorKind::BrokenPipe)
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_fit_together() {
        Arguments::command().debug_assert();
    }

    /// Options of a noun are known to its verbs by their ids: a verb's own argument of the
    /// same id would be taken for them.
    #[test]
    fn no_verb_has_an_argument_that_is_called_as_an_option_of_its_noun() {
        for noun in Arguments::command().get_subcommands() {
            for verb in noun.get_subcommands() {
                let twice = verb.get_arguments().find(|of_verb| {
                    noun.get_arguments()
                        .any(|it| it.get_id() == of_verb.get_id())
                });
                let (noun, verb) = (noun.get_name(), verb.get_name());
                assert!(twice.is_none(), "{noun} {verb}: {twice:?}");
            }
        }
    }
}
