//! Moments of requests as they were recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The most requests of a trace.
const REQUESTS_MAX: usize = 10_000_000;

/// Reads a trace: in each line the seconds from its start to a request, ascending. Empty lines and those that
/// begin with `#` are passed over.
///
/// # Errors
/// Where the file cannot be read, or a line is no such number; with its number.
pub(crate) fn read(path: &Path) -> Result<Arc<[Duration]>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&text).map_err(|problem| format!("{}: {problem}", path.display()))
}

fn parse(text: &str) -> Result<Arc<[Duration]>, String> {
    let mut trace: Vec<Duration> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let seconds = line.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let at = seconds.ok_or_else(|| format!("line {number}: {line:?} is no number of seconds"))?;
        if trace.last().is_some_and(|last| *last > at) {
            return Err(format!("line {number}: {line} is before the line above it: sort the trace"));
        }
        if trace.len() == REQUESTS_MAX {
            return Err(format!("line {number}: a trace has at most {REQUESTS_MAX} requests: cut it"));
        }
        trace.push(at);
    }
    if trace.is_empty() { Err("it has no request".into()) } else { Ok(trace.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_one_moment_in_each_line() {
        let trace = parse("# from production\n0\n0.5\n\n0.5\n 12.25 \n").expect("a trace");
        let seconds: Vec<f64> = trace.iter().map(Duration::as_secs_f64).collect();
        assert_eq!(seconds, [0.0, 0.5, 0.5, 12.25]);
    }

    #[test]
    fn a_line_that_is_no_moment_is_named() {
        for (text, said) in [
            ("0\nx\n", "line 2: \"x\""),
            ("0\n-1\n", "line 2: \"-1\""),
            ("0\nNaN\n", "line 2: \"NaN\""),
            ("3\n\n2.5\n", "line 3: 2.5 is before"),
            ("# nothing\n", "no request"),
        ] {
            let problem = parse(text).expect_err("no trace");
            assert!(problem.contains(said), "{problem}");
        }
    }
}
