//! Counts what test runners report, while their output streams by.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result};

/// Tests counted so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Runs a command, passes on what it writes, and counts the tests in it.
    pub(super) fn watch(&mut self, command: &mut Command) -> Result<ExitStatus> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo does not run")?;
        let stdout = child.stdout.take().context("cargo has no output")?;
        let mut reader = BufReader::new(stdout);
        let mut terminal = std::io::stdout().lock();
        let mut line = Vec::new();
        // By bytes, because a test may print what is no text.
        while reader
            .read_until(b'\n', &mut line)
            .context("cargo's output breaks off")?
            > 0
        {
            terminal.write_all(&line)?;
            terminal.flush()?;
            self.count(&String::from_utf8_lossy(&line));
            line.clear();
        }
        child.wait().context("cargo cannot be waited for")
    }

    /// Adds a line such as `test result: ok. 12 passed; 1 failed; 0 ignored; …`.
    fn count(&mut self, line: &str) {
        let Some((_, results)) = line.split_once("test result: ") else {
            return;
        };
        for part in results.split([';', '.']) {
            let mut words = part.split_whitespace();
            match (
                words.next().and_then(|number| number.parse::<u64>().ok()),
                words.next(),
            ) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn results_of_several_runners_add_up() {
        let mut tally = Tally::default();
        tally.count("running 3 tests\n");
        tally
            .count("test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 3 filtered out\n");
        tally.count("test result: FAILED. 5 passed; 1 failed; 0 ignored; 0 measured\n");
        assert_eq!(
            tally,
            Tally {
                passed: 17,
                failed: 1
            }
        );
        assert_eq!(tally.to_string(), "17 passed, 1 failed");
    }
}
