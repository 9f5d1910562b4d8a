//! What libFuzzer writes about a run, as far as it is shown.

use std::path::PathBuf;

/// The figures of a run; none where the run ended before it wrote them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) executions: Option<u64>,
    pub(super) per_second: Option<u64>,
    /// Edges of the program that some input took.
    pub(super) edges: Option<u64>,
    /// Inputs that took an edge which none in the corpus takes.
    pub(super) new_inputs: Option<u64>,
    /// The input that ended the run.
    pub(super) input: Option<PathBuf>,
}

impl Log {
    pub(super) fn read(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines() {
            if let Some((name, value)) = line
                .strip_prefix("stat::")
                .and_then(|rest| rest.split_once(':'))
            {
                let value = value.trim().parse().ok();
                match name {
                    "number_of_executed_units" => log.executions = value,
                    "average_exec_per_sec" => log.per_second = value,
                    "new_units_added" => log.new_inputs = value,
                    _ => {}
                }
            } else if let Some((_, path)) = line.split_once("Test unit written to ") {
                log.input = Some(PathBuf::from(path.trim()));
            } else if let Some((_, rest)) = line.split_once(" cov: ") {
                let edges = rest.split_whitespace().next();
                log.edges = edges.and_then(|edges| edges.parse().ok()).or(log.edges);
            }
        }
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_run_are_read() {
        let text = "\
#2	INITED cov: 90 ft: 91 corp: 1/1b exec/s: 0 rss: 60Mb
#131072	pulse  cov: 812 ft: 2431 corp: 300/9Kb lim: 1300 exec/s: 65536 rss: 90Mb
#200000	DONE   cov: 815 ft: 2440 corp: 301/9Kb lim: 1300 exec/s: 50000 rss: 91Mb
Done 200000 runs in 4 second(s)
stat::number_of_executed_units: 200000
stat::average_exec_per_sec:     50000
stat::new_units_added:          301
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              91
";
        let wanted = Log {
            executions: Some(200_000),
            per_second: Some(50_000),
            edges: Some(815),
            new_inputs: Some(301),
            input: None,
        };
        assert_eq!(Log::read(text), wanted);
    }

    #[test]
    fn the_input_that_ended_a_run_is_found() {
        let text = "\
#7	NEW    cov: 12 ft: 12 corp: 2/2b lim: 4 exec/s: 0 rss: 60Mb
==7== ERROR: libFuzzer: deadly signal
SUMMARY: libFuzzer: deadly signal
artifact_prefix='/w/fuzz/artifacts/proof/'; Test unit written to /w/fuzz/artifacts/proof/crash-da39
Base64: YQ==
";
        let log = Log::read(text);
        let input = PathBuf::from("/w/fuzz/artifacts/proof/crash-da39");
        assert_eq!(log.input, Some(input));
        assert_eq!((log.edges, log.executions), (Some(12), None));
    }
}
