//! Guests of the tests in other languages than Rust: JavaScript on two engines,
//! and Python, as `docs/plugin-authors.md` tells authors to build them. They
//! become `target/guests/languages/<name>.wasm`.
//!
//! Apart from the Rust guests, because their tools are large and not on every
//! machine: where npm or Python is missing or installs nothing, these guests are
//! skipped, loudly. Tools that are there and fail are an error.
//!
//! Neighbours: `jco.rs` and `componentize_py.rs` install and run one tool each,
//! pinned by the files in `tests/languages/tools/`.

mod componentize_py;
mod jco;
pub(crate) mod package;

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result};

use self::package::Package;
use super::{lock, repository, sources::digest_of, target_folder, toolchain::run_within};

/// Not among the guests in Rust: those are all members of one workspace.
const SOURCES: &str = "tests/languages";
const PINS: &str = "tests/languages/tools";
const CONTRACT: &str = "wit/v1";

/// The large ones take some ten seconds on a quiet machine.
const BUILD_LIMIT: Duration = Duration::from_mins(10);

/// What became of a guest.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Its component.
    Built(PathBuf),
    /// Why there is none, for people.
    Skipped(String),
}

/// The guests by name.
pub type Outcomes = BTreeMap<&'static str, Outcome>;

/// How one guest is built.
struct Recipe {
    name: &'static str,
    /// Its folder below [`SOURCES`].
    folder: &'static str,
    tool: &'static Tool,
    options: &'static [&'static str],
}

/// What builds guests of one language.
struct Tool {
    /// Its version is pinned below [`PINS`].
    package: Package,
    /// The command, without the recipe's options.
    build: fn(folder: &Path, of: &Build) -> Command,
}

/// What goes into a build, and what is to come out.
struct Build {
    contract: PathBuf,
    /// A copy of the sources, in which the tool may leave what it likes.
    sources: PathBuf,
    component: PathBuf,
}

const RECIPES: [Recipe; 4] = [
    Recipe {
        name: "js-start-quickjs",
        folder: "js-start",
        tool: &jco::JCO,
        options: jco::QUICKJS,
    },
    Recipe {
        name: "js-start-starlingmonkey",
        folder: "js-start",
        tool: &jco::JCO,
        options: jco::STARLINGMONKEY,
    },
    Recipe {
        name: "js-fetch",
        folder: "js-fetch",
        tool: &jco::JCO,
        options: jco::STARLINGMONKEY_WITH_FETCH,
    },
    Recipe {
        name: "python-start",
        folder: "python-start",
        tool: &componentize_py::COMPONENTIZE_PY,
        options: &[],
    },
];

/// Builds the guests unless they are there and made of today's sources; then
/// this runs no other program. A process that has asked once knows.
///
/// Fails when a tool that could be installed does not build its guest.
pub fn ensure() -> Result<Outcomes> {
    static KNOWN: OnceLock<Outcomes> = OnceLock::new();
    if let Some(outcomes) = KNOWN.get() {
        return Ok(outcomes.clone());
    }
    let workshop = Workshop::open()?;
    let mut outcomes = Outcomes::new();
    for recipe in &RECIPES {
        let outcome = workshop
            .ensure(recipe)
            .with_context(|| format!("the guest {}", recipe.name))?;
        if let Outcome::Skipped(why) = &outcome {
            let _ = writeln!(io::stderr(), "━━ SKIPPED the guest {}: {why}", recipe.name);
        }
        outcomes.insert(recipe.name, outcome);
    }
    Ok(KNOWN.get_or_init(|| outcomes).clone())
}

/// The folders that all recipes share, for as long as this process alone works
/// in them.
struct Workshop {
    root: PathBuf,
    folder: PathBuf,
    _lock: fs::File,
}

impl Workshop {
    fn open() -> Result<Self> {
        let root = repository();
        let folder = target_folder(&root).join("guests/languages");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let lock = lock(&folder)?;
        Ok(Self {
            root,
            folder,
            _lock: lock,
        })
    }

    fn ensure(&self, recipe: &Recipe) -> Result<Outcome> {
        let component = self.folder.join(format!("{}.wasm", recipe.name));
        let stamp = component.with_extension("stamp");
        let fingerprint = self.fingerprint(recipe)?;
        let is_built = fs::read(&stamp).is_ok_and(|found| found == fingerprint);
        if is_built && component.is_file() {
            return Ok(Outcome::Built(component));
        }
        let tool = match self.installed(&recipe.tool.package) {
            Ok(tool) => tool,
            Err(error) => {
                return Ok(Outcome::Skipped(format!(
                    "{} cannot be installed: {error:#}",
                    recipe.tool.package.name
                )));
            }
        };
        // A build that fails half way must not pass for the last good one.
        let _ = fs::remove_file(&stamp);
        self.build(recipe, &tool, &component)?;
        fs::write(&stamp, fingerprint)
            .with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(Outcome::Built(component))
    }

    /// What the guest is made of: contract, sources, tool, options.
    fn fingerprint(&self, recipe: &Recipe) -> Result<Vec<u8>> {
        let sources = format!("{SOURCES}/{}", recipe.folder);
        let mut inputs = vec![CONTRACT.to_owned(), sources];
        inputs.extend(
            recipe
                .tool
                .package
                .pins
                .iter()
                .map(|pin| format!("{PINS}/{pin}")),
        );
        let mut fingerprint = digest_of(&self.root, &inputs)?.to_vec();
        fingerprint.extend(recipe.options.join(" ").bytes());
        Ok(fingerprint)
    }

    /// The tool's folder.
    fn installed(&self, package: &Package) -> Result<PathBuf> {
        package.installed(&self.root, PINS, &self.folder.join("tools"))
    }

    fn build(&self, recipe: &Recipe, tool: &Path, component: &Path) -> Result<()> {
        let _ = writeln!(
            io::stderr(),
            "Building {} with {}",
            recipe.name,
            recipe.tool.package.name
        );
        let build = Build {
            contract: self.root.join(CONTRACT),
            sources: self.folder.join("sources").join(recipe.name),
            component: component.with_extension("new.wasm"),
        };
        let sources = self.root.join(SOURCES).join(recipe.folder);
        copy(&sources, &build.sources)
            .with_context(|| format!("cannot copy {}", sources.display()))?;
        let mut command = (recipe.tool.build)(tool, &build);
        command.args(recipe.options).current_dir(&build.sources);
        run_within(BUILD_LIMIT, &mut command)
            .with_context(|| format!("{} does not build it", recipe.tool.package.name))?;
        fs::rename(&build.component, component)
            .with_context(|| format!("cannot replace {}", component.display()))
    }
}

pub(crate) fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Copies the files of a folder without folders in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    empty(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Makes a folder that is there and empty.
fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with the sources of one guest, and a tool that fails as told.
    fn workshop() -> (tempfile::TempDir, Workshop) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in [
            ("wit/v1/types.wit", "package a:b;"),
            ("tests/languages/js-start/start.js", "export const a = 1;"),
            ("tests/languages/tools/pin", "1.0.0"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let folder = root.path().join("target");
        fs::create_dir_all(&folder).unwrap();
        let workshop = Workshop {
            root: root.path().to_path_buf(),
            _lock: lock(&folder).unwrap(),
            folder,
        };
        (root, workshop)
    }

    fn recipe(tool: &'static Tool) -> Recipe {
        Recipe {
            name: "guest",
            folder: "js-start",
            tool,
            options: &[],
        }
    }

    /// A tool that copies the source and can be installed only once.
    const COPIER: Tool = Tool {
        package: Package {
            name: "copier",
            needs: "sh",
            pins: &["pin"],
            install: |_, folder| {
                let mark = folder.parent().unwrap().join("mark");
                anyhow::ensure!(!mark.exists(), "installed twice");
                Ok(fs::write(mark, "")?)
            },
        },
        build: |_, build| {
            let mut command = Command::new("cp");
            command.arg("start.js").arg(&build.component);
            command
        },
    };
    const MISSING: Tool = Tool {
        package: Package {
            needs: "no-such-program-anywhere",
            ..COPIER.package
        },
        ..COPIER
    };
    const FAILING: Tool = Tool {
        build: |_, _| Command::new("false"),
        ..COPIER
    };

    #[test]
    fn a_guest_is_built_once_and_again_when_its_source_changes() {
        let (root, workshop) = workshop();
        let recipe = recipe(&COPIER);
        let Outcome::Built(component) = workshop.ensure(&recipe).unwrap() else {
            panic!("it was not built");
        };
        fs::write(&component, "untouched").unwrap();
        workshop.ensure(&recipe).unwrap();
        assert_eq!(fs::read_to_string(&component).unwrap(), "untouched");

        let source = root.path().join("tests/languages/js-start/start.js");
        fs::write(source, "export const a = 2;").unwrap();
        workshop.ensure(&recipe).unwrap();
        let built = fs::read_to_string(&component).unwrap();
        assert_eq!(built, "export const a = 2;");
    }

    #[test]
    fn without_its_tool_a_guest_is_skipped_with_the_reason() {
        let (_root, workshop) = workshop();
        let outcome = workshop.ensure(&recipe(&MISSING)).unwrap();
        let Outcome::Skipped(why) = outcome else {
            panic!("it was not skipped: {outcome:?}");
        };
        assert_eq!(
            why,
            "copier cannot be installed: there is no no-such-program-anywhere on the PATH"
        );
    }

    #[test]
    fn a_tool_that_is_there_and_fails_is_an_error() {
        let (_root, workshop) = workshop();
        let error = workshop.ensure(&recipe(&FAILING)).unwrap_err();
        assert!(format!("{error:#}").starts_with("copier does not build it"));
    }
}
