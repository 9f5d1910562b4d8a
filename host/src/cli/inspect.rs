//! `hookswitch inspect`: what an upload of a component would say, without a server.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;

use crate::app::engine_options;
use crate::config::{CompileLimits, Limits};
use crate::domain::id::OrganizationId;
use crate::domain::inspection::Report;
use crate::domain::limits::CallLimits;
use crate::runtime::Runtime;

/// Show what a component is and what it wants, as an upload would.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The component.
    #[arg(value_name = "FILE")]
    component: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let bytes = std::fs::read(&self.component)
            .with_context(|| format!("cannot read {}", self.component.display()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let report = runtime
            .block_on(inspect(bytes))
            .with_context(|| format!("{} cannot be a plugin", self.component.display()))?;
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &report)?;
            writeln!(out)?;
        } else {
            print(&report, &self.component, &mut out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn inspect(bytes: Vec<u8>) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir()?;
    let limits = Limits {
        concurrent_calls: 1,
        concurrent_notices: 1,
        ..Limits::default()
    };
    let runtime = Arc::new(Runtime::new(engine_options(
        &limits,
        CallLimits::CEILINGS,
        CompileLimits::default(),
        folder.path(),
    ))?);
    let organization = OrganizationId::from(Uuid::now_v7());
    let inspection = runtime
        .inspect(bytes.into(), organization, HashSet::new())
        .await?;
    Ok(inspection.into())
}

fn print(report: &Report, component: &Path, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}", component.display())?;
    writeln!(out, "digest     {}", report.digest)?;
    writeln!(out, "size       {} bytes", report.size)?;
    if let Some(ms) = report.compile_ms {
        writeln!(out, "compiled   in {ms} ms")?;
    }
    writeln!(out, "contract   {}", report.contract)?;
    for (at, handler) in report.exports.iter().enumerate() {
        let label = if at == 0 { "exports" } else { "" };
        writeln!(out, "{label:<10} {}", handler.interface())?;
    }
    if let Some(needs) = report.resources {
        writeln!(
            out,
            "needs      {} (the largest {} KiB at its start), {} (the largest {} elements)",
            counted(needs.memories, "memory", "memories"),
            needs.initial_memory_bytes >> 10,
            counted(needs.tables, "table", "tables"),
            needs.initial_table_elements
        )?;
    }
    writeln!(out, "\npermissions")?;
    for permission in &report.permissions {
        let grant = match permission.grant {
            Some(grant) => format!(" [grants.{grant}]"),
            None => String::new(),
        };
        let name = permission.name.name();
        writeln!(out, "  {name:<12} {}{grant}", permission.description)?;
    }
    if !report.tools.is_empty() {
        writeln!(out, "\ntools")?;
    }
    for tool in &report.tools {
        writeln!(out, "  {}: {}", tool.name, tool.description)?;
        writeln!(out, "    {}", tool.input_schema.get())?;
    }
    Ok(())
}

fn counted(number: u32, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}
