//! A sweep as tables with plots, and as JSON.

use pointsman_control::loader::{Cost, Measured};
use serde_json::{Value, json};

use super::advice::per_second;
use crate::table::{bar, lay_out};

/// Rows in a second of processors, however many worked at it.
fn per_cpu_second(cost: &Cost) -> f64 {
    cost.size.rows as f64 / cost.cpu.as_secs_f64().max(1e-9)
}

/// A table for each number of threads, and in it what as many workers do. Bars of all tables have one scale.
pub(super) fn as_text(measured: &[Measured]) -> String {
    let Some(first) = measured.first() else { return String::new() };
    let mut text = format!("{}; batching: {}\n", first.engine, first.batching);
    let all = measured.iter().flat_map(|m| m.costs.iter().map(move |cost| per_second(m, cost)));
    let most = all.fold(0.0, f64::max);
    for way in measured.iter().filter(|m| m.way.workers == 1) {
        let threads = way.way.threads;
        let workers = measured.iter().find(|m| threads > 1 && m.way.workers == threads);
        let row = |cost: &Cost| {
            let by_workers = workers.and_then(|workers| {
                let cost = workers.costs.iter().find(|other| other.size.rows == cost.size.rows)?;
                Some(format!("{:.0}", per_second(workers, cost)))
            });
            let micros = |time: std::time::Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
            let figures = [
                cost.size.rows.to_string(),
                micros(cost.size.run_time.median),
                micros(cost.cpu),
                format!("{:.0}", per_cpu_second(cost)),
                format!("{:.0}", per_second(way, cost)),
            ];
            figures.into_iter().chain(by_workers).chain([bar(per_second(way, cost) / most)]).collect()
        };
        let rows: Vec<Vec<String>> = way.costs.iter().map(row).collect();
        let by_workers = format!("BY {threads} WORKERS");
        let mut head = vec!["ROWS", "MEDIAN", "CPU", "ROWS/CPU-S", "ROWS/S"];
        head.extend(workers.map(|_| by_workers.as_str()));
        head.push("");
        text.push_str(&format!("\nthreads of a run: {threads}\n{}", lay_out(&head, &rows)));
    }
    text.push('\n');
    text
}

/// Times are in seconds.
pub(super) fn as_json(measured: &Measured) -> Value {
    let cost = |cost: &Cost| {
        let run_time = &cost.size.run_time;
        json!({
            "rows": cost.size.rows, "runs": run_time.runs,
            "median_seconds": run_time.median.as_secs_f64(), "spread_seconds": run_time.spread.as_secs_f64(),
            "cpu_seconds": cost.cpu.as_secs_f64(),
            "rows_per_second": per_second(measured, cost), "rows_per_cpu_second": per_cpu_second(cost),
        })
    };
    json!({
        "workers": measured.way.workers, "threads": measured.way.threads, "engine": measured.engine,
        "batching": measured.batching.name(), "batch_rows_max": measured.batch_rows_max,
        "sizes": measured.costs.iter().map(cost).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pointsman_control::loader::Way;
    use pointsman_core::{Batching, RunTime, SizeTime};

    use super::*;

    fn measured(workers: usize, threads: usize, median: u64, cpu: u64) -> Measured {
        let [median, cpu] = [median, cpu].map(Duration::from_micros);
        let run_time = RunTime { median, spread: Duration::ZERO, runs: 9 };
        let size = SizeTime { rows: 4, run_time, slowest: median };
        Measured {
            way: Way { workers, threads },
            engine: "onnxruntime",
            batching: Batching::Forbidden,
            costs: vec![Cost { size, cpu }],
            batch_rows_max: 4,
        }
    }

    #[test]
    fn each_number_of_threads_has_a_table_beside_as_many_workers() {
        let text = as_text(&[measured(1, 1, 40, 40), measured(1, 2, 20, 36), measured(2, 1, 40, 40)]);
        let cells = |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
        let lines: Vec<Vec<String>> = text.lines().map(cells).collect();
        let (half, full) = ("#".repeat(20), "#".repeat(40));
        assert_eq!(lines[4], ["4", "40.0", "us", "40.0", "us", "100000", "100000", &half]);
        assert_eq!(lines[8], ["4", "20.0", "us", "36.0", "us", "111111", "200000", "200000", &full]);
        assert!(text.contains("BY 2 WORKERS") && !text.contains("BY 1 WORKERS"), "{text}");
        assert_eq!(as_text(&[]), "");
    }

    #[test]
    fn workers_count_in_rows_by_the_clock_alone() {
        let json = as_json(&measured(2, 1, 40, 40));
        let cost = &json["sizes"][0];
        assert_eq!((&cost["rows"], &cost["runs"]), (&json!(4), &json!(9)));
        let rounded = |key: &str| cost[key].as_f64().map(f64::round);
        assert_eq!(rounded("rows_per_second"), Some(200_000.0));
        assert_eq!(rounded("rows_per_cpu_second"), Some(100_000.0));
    }
}
