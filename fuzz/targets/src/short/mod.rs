//! The short run: a target over its whole corpus, then over mutants of it.
//!
//! It is the same run every time: the inputs come in the order of their names, and
//! the mutants from a fixed seed. So a failure is a failure of the change at hand and
//! not of luck; luck is for `cargo xtask fuzz`, which runs for longer and is guided.

mod dictionary;
mod mutate;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;

use self::mutate::Mutator;
use crate::Target;

/// Mutants tried of each target.
const MUTANTS: usize = 20_000;
/// When it goes on without more mutants, so that a slow machine is not held up.
const ENOUGH: Duration = Duration::from_secs(5);
/// Any will do; it only must not change from run to run.
const SEED: u64 = 0x6861_6e64_7365_7421;

/// Runs the target; panics with what to do if it does not hold for an input.
pub(crate) fn run(target: Target) {
    let corpus = corpus(target.name);
    assert!(
        !corpus.is_empty(),
        "{} has no corpus: put an input into {}",
        target.name,
        folder("corpus").join(target.name).display()
    );
    for (path, data) in &corpus {
        holds(target, data, &path.display().to_string());
    }
    let seeds: Vec<Vec<u8>> = corpus.into_iter().map(|(_, data)| data).collect();
    let words = dictionary::read(&folder("dictionaries").join(format!("{}.dict", target.name)));
    let mut mutator = Mutator::new(&seeds, &words, Xoshiro256PlusPlus::seed_from_u64(SEED));
    let started = Instant::now();
    let mut tried = 0;
    while tried < MUTANTS && started.elapsed() < ENOUGH {
        tried += 1;
        holds(target, &mutator.mutant(), &format!("mutant {tried}"));
    }
    println!("{}: {} seeds, {tried} mutants", target.name, seeds.len());
}

fn holds(target: Target, data: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.check)(data))).is_ok() {
        return;
    }
    let name = target.name;
    let shown: String = data.escape_ascii().take(4_000).map(char::from).collect();
    let kept = keep(name, data);
    panic!(
        "{name} does not hold for {what}:\n{shown}\n\
         replay it:             cargo run -p hookswitch-fuzz -- {name} {kept}\n\
         keep it as a test:      cp {kept} fuzz/corpus/{name}/what-it-shows",
        kept = kept.display()
    );
}

/// Keeps a failing input where cargo-fuzz keeps its own.
fn keep(target: &str, data: &[u8]) -> PathBuf {
    let folder = folder("artifacts").join(target);
    let path = folder.join("short-run");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, data))
        .unwrap();
    path
}

/// The inputs kept in the repository, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(folder("corpus").join(target)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let data = fs::read(&path).unwrap();
        (path, data)
    };
    paths.into_iter().map(read).collect()
}

/// A folder of `fuzz/`.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::TARGETS;

    /// What lies in a folder of `fuzz/`, by name without the ending.
    fn names(of: &str) -> BTreeSet<String> {
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let entries = fs::read_dir(folder(of)).unwrap();
        entries.map(|entry| stem(entry.unwrap().path())).collect()
    }

    #[test]
    fn every_target_has_its_program_its_corpus_and_its_dictionary() {
        let targets: BTreeSet<String> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
        for folder in ["fuzz_targets", "corpus", "dictionaries"] {
            assert_eq!(names(folder), targets, "in fuzz/{folder}");
        }
        let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
        let programs: BTreeSet<String> = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"))
            .map(|rest| rest.trim_end_matches(".rs\"").to_owned())
            .collect();
        assert_eq!(programs, targets, "in fuzz/Cargo.toml");
    }

    #[test]
    fn the_corpus_stays_small_enough_to_be_read_by_people() {
        let bytes: usize = TARGETS
            .iter()
            .flat_map(|target| corpus(target.name))
            .map(|(_, data)| data.len())
            .sum();
        assert!(bytes < 300_000, "the corpus has {bytes} bytes");
    }

    #[test]
    fn a_failing_target_says_how_to_replay_its_input() {
        let target = Target {
            name: "failing",
            check: |data| assert!(data.len() < 3, "three bytes"),
        };
        holds(target, b"ok", "a seed");
        let panic = catch_unwind(|| holds(target, b"\x00no", "a seed")).unwrap_err();
        let kept = folder("artifacts").join("failing").join("short-run");
        assert_eq!(fs::read(&kept).unwrap(), b"\x00no");
        fs::remove_dir_all(kept.parent().unwrap()).unwrap();
        let said = panic.downcast_ref::<String>().unwrap();
        assert!(said.contains("\\x00no"), "{said}");
        assert!(
            said.contains("cargo run -p hookswitch-fuzz -- failing "),
            "{said}"
        );
    }
}
