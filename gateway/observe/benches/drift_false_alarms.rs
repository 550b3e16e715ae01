//! How often streams without drift alarm, beside what Evidently's defaults say of the same windows.
//!
//! No time is measured: it is a bench so that it is built as one. Its result stands in `gateway/observe/DRIFT.md`.

use std::io::Write as _;

#[path = "../tests/it/no_drift.rs"]
mod no_drift;

use no_drift::{Alarms, study, target};

fn main() {
    let mut out = std::io::stdout();
    let header =
        "rows | training | target | windows | significant | alarms | Evidently: any column | of all columns";
    writeln!(out, "{header}").expect("output");
    let share = |count: u32, of: u32| format!("{:.3} %", 100.0 * f64::from(count) / f64::from(of));
    for (rows, training, windows, every) in [
        (100, 100, 4000, 100),
        (100, 2000, 1500, 2500),
        (100, 10_000, 500, 100),
        (1000, 1000, 500, 1000),
        (1000, 10_000, 200, 1000),
        (100_000, 100_000, 10, 100_000),
        (1000, 10_000, 100, 1_000_000),
        (100_000, 10_000, 10, 1_000_000),
    ] {
        let Alarms { windows, significant, alarms, evidently, evidently_columns } =
            study(rows, training, windows, every, 7);
        let target = format!("{:.4} %", 100.0 * target(rows, every));
        let (significant, alarms) = (share(significant, windows), share(alarms, windows));
        let (any, columns) = (share(evidently, windows), share(evidently_columns, windows * 50));
        writeln!(
            out,
            "{rows} | {training} | {target} | {windows} | {significant} | {alarms} | {any} | {columns}"
        )
        .expect("output");
    }
}
