//! Keeps the map of the crate true: which module may use which.

use std::fs;
use std::path::{Path, PathBuf};

/// A module, what it may use of this crate, and the outside crates that are its own.
struct Layer {
    name: &'static str,
    uses: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        name: "domain",
        uses: &["domain", "json"],
    },
    Layer {
        name: "json",
        uses: &["json"],
    },
    Layer {
        name: "ingest",
        uses: &["ingest", "domain", "json"],
    },
    Layer {
        name: "egress",
        uses: &["egress", "domain"],
    },
    Layer {
        name: "dispatch",
        uses: &["dispatch", "egress", "domain"],
    },
    Layer {
        name: "runtime",
        uses: &["runtime", "egress", "domain", "priority"],
    },
    Layer {
        name: "store",
        uses: &["store", "domain", "priority"],
    },
    Layer {
        name: "live",
        uses: &["live", "domain"],
    },
    Layer {
        name: "call",
        uses: &[
            "call", "live", "ingest", "runtime", "store", "dispatch", "egress", "json", "domain",
        ],
    },
    Layer {
        name: "delivery",
        uses: &["delivery", "call", "store", "dispatch", "domain"],
    },
    Layer {
        name: "notices",
        uses: &["call", "store", "domain"],
    },
    Layer {
        name: "pruning",
        uses: &["store", "domain"],
    },
    Layer {
        name: "http",
        uses: &[
            "http", "call", "live", "ingest", "runtime", "store", "json", "domain",
        ],
    },
];

/// Crates that only one module may name.
const OWNED: &[(&str, &str)] = &[
    ("axum::", "http"),
    ("wasmtime", "runtime"),
    ("reqwest::", "egress"),
    ("rustls::", "egress"),
    ("hickory_resolver::", "egress"),
    ("sqlx::", "store"),
    ("rusqlite::", "store"),
    ("clap::", "cli"),
];

fn sources(at: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with the top-level module it belongs to, without comments.
fn modules() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).unwrap().to_owned();
            let first = inside
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_str()
                .unwrap();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            (module, inside, code.join("\n"))
        })
        .filter(|(module, _, _)| module != "architecture")
        .collect()
}

#[test]
fn modules_use_only_what_lies_below_them() {
    for (module, path, code) in modules() {
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == module) else {
            continue;
        };
        for after in code.split("crate::").skip(1) {
            let used: String = after
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            assert!(
                used.is_empty() || layer.uses.contains(&used.as_str()),
                "{}: {module} must not use {used}",
                path.display()
            );
        }
    }
}

#[test]
fn a_foreign_library_is_known_to_one_module() {
    for (module, path, code) in modules() {
        for (library, owner) in OWNED {
            assert!(
                module == *owner || !code.contains(library),
                "{}: only {owner} may name {library}",
                path.display()
            );
        }
    }
}
