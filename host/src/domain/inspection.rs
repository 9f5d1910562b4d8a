//! What a component turned out to be when it was inspected at its upload, and how
//! that is shown to people and programs.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Json;
use super::permission::Permission;
use super::plugin::{Digest, Handlers};

/// What a component turned out to be when it was inspected.
#[derive(Debug, Clone)]
pub struct Inspection {
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// The contract it is built against: `hookswitch:plugin@1.0.0`.
    pub contract: String,
    pub exports: Handlers,
    /// Every interface it imports, with version, sorted.
    pub imports: Vec<String>,
    pub tools: Vec<Tool>,
    /// None if they cannot be told before it runs, or were not when it was uploaded.
    pub resources: Option<Resources>,
    /// None if it had been compiled before.
    pub compile_ms: Option<u64>,
}

impl Inspection {
    /// What its imports ask for.
    pub fn permissions(&self) -> BTreeSet<Permission> {
        Permission::of_all(&self.imports)
    }
}

/// A tool that a plugin answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// The arguments' JSON Schema: an object.
    pub input_schema: Json,
}

impl Tool {
    /// Most tools of one plugin.
    pub const MAX: usize = 256;
    /// Longest description, in bytes.
    pub const MAX_DESCRIPTION: usize = 16 << 10;
    /// Longest name, in bytes.
    pub const MAX_NAME: usize = 128;

    /// Whether a name matches `^[a-zA-Z_][a-zA-Z0-9_]*$`.
    pub fn is_name(text: &str) -> bool {
        let mut bytes = text.bytes();
        bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
    }
}

/// What a component needs before it runs at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    pub memories: u32,
    /// Of the largest memory at its start.
    pub initial_memory_bytes: u64,
    pub tables: u32,
    /// Elements of the largest table at its start.
    pub initial_table_elements: u64,
}

/// The public form of an inspection.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    pub digest: Digest,
    pub size: u64,
    pub contract: String,
    pub exports: Handlers,
    pub imports: Vec<String>,
    pub permissions: Vec<Explained>,
    pub tools: Vec<Tool>,
    pub resources: Option<Resources>,
    pub compile_ms: Option<u64>,
}

/// A permission in plain words.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Explained {
    pub name: Permission,
    pub description: &'static str,
    /// The field of a binding's grants that it needs.
    pub grant: Option<&'static str>,
}

impl From<Permission> for Explained {
    fn from(permission: Permission) -> Self {
        Self {
            name: permission,
            description: permission.description(),
            grant: permission.grant(),
        }
    }
}

impl From<Inspection> for Report {
    fn from(inspection: Inspection) -> Self {
        let permissions = inspection.permissions();
        Self {
            digest: inspection.digest,
            size: inspection.size,
            contract: inspection.contract,
            exports: inspection.exports,
            imports: inspection.imports,
            permissions: permissions.into_iter().map(Explained::from).collect(),
            tools: inspection.tools,
            resources: inspection.resources,
            compile_ms: inspection.compile_ms,
        }
    }
}
