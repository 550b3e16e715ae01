//! What the mix found, and whether that is what was asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::asked::{Asked, KINDS, MODELS, Shares};
use super::tally::Tally;
use super::{Arguments, Fault};
use crate::accounting;
use crate::call::{Form, Kind};
use crate::claim::Claim;
use crate::exposition::Exposition;

/// Right answers that there have to be, of a hundred requests that can have one.
const RIGHT_PERCENT_MIN: f64 = 90.0;

/// Everything that a run found.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) arguments: Arguments,
    pub(super) tally: Tally,
    /// What the gateway says of itself at rest, or why it says nothing.
    pub(super) rest: Result<Rest, String>,
    /// What ended the run early.
    pub(super) problems: Vec<String>,
    pub(super) time: Duration,
}

/// What a gateway says of itself once nothing is in flight.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rest {
    left: accounting::Rest,
    cancelled: u64,
    /// Runs and their rows, by model.
    runs: Vec<(u64, u64)>,
}

impl Rest {
    /// Reads it off.
    ///
    /// # Errors
    /// Where these are not a gateway's metrics.
    pub(super) fn read(exposition: &Exposition) -> Result<Self, String> {
        let sum = |metric, label: &str| exposition.sum(metric, label).map_or(0, i64::unsigned_abs);
        let of_model = |model: &&str| {
            let label = format!("model=\"{model}\"");
            (sum("pointsman_runs_total", &label), sum("pointsman_run_rows_total", &label))
        };
        Ok(Self {
            left: accounting::Rest::read(exposition)?,
            cancelled: sum("pointsman_requests_total", "code=\"CANCELLED\""),
            runs: MODELS.iter().map(of_model).collect(),
        })
    }
}

impl Report {
    /// The figures that decide, with their bounds.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let Self { arguments, tally, .. } = self;
        let asked_for = tally.right + tally.refused + tally.failed + tally.lost + tally.wrong;
        let right = 100.0 * tally.right as f64 / asked_for.max(1) as f64;
        let bound = format!(">= {RIGHT_PERCENT_MIN} %");
        let mut claims = vec![
            Claim::none("wrong", tally.wrong),
            Claim::none("failed", tally.failed),
            Claim::none("lost", tally.lost),
            Claim::at_least("requests", tally.requests(), arguments.requests),
            Claim::new("answered right", format!("{right:.2} %"), bound, right >= RIGHT_PERCENT_MIN),
        ];
        if let Ok(rest) = &self.rest {
            for (model, (runs, rows)) in MODELS.iter().zip(&rest.runs) {
                let name =
                    if *model == "rows" { "rows a run, model rows" } else { "rows a run, model table" };
                let mean = *rows as f64 / (*runs).max(1) as f64;
                let alone = alone(&arguments.shares(), arguments.seed, tally.requests(), model);
                let bound = format!("> {alone:.2} alone");
                claims.push(Claim::new(name, format!("{mean:.2}"), bound, mean > alone));
            }
            if arguments.cancelled > 0.0 {
                claims.push(Claim::at_least("cancelled in the gateway", rest.cancelled, 1));
            }
            claims.extend(rest.left.claims());
        }
        let problems = self.problems.len() + usize::from(self.rest.is_err());
        claims.push(Claim::none("problems of the run", problems as u64));
        claims
    }

    fn messages(&self) -> impl Iterator<Item = &String> {
        self.problems.iter().chain(self.rest.as_ref().err()).chain(&self.tally.messages)
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let Self { arguments, tally, time, .. } = self;
        let claims = self.claims();
        let kinds = KINDS.iter().zip(tally.right_by_kind).map(|(kind, right)| (name(*kind), right));
        json!({
            "scenario": "mix",
            "settings": {
                "requests": arguments.requests, "threads": arguments.threads, "in_flight": arguments.in_flight,
                "rows_max": arguments.rows_max, "cancelled": arguments.cancelled, "odd": arguments.odd,
                "deadlines": arguments.deadlines, "large": arguments.large, "seed": arguments.seed,
                "fault": arguments.fault.map(Fault::name),
            },
            "held": Claim::missed(&claims).is_empty(),
            "figures": claims.iter().map(Claim::json).collect::<Vec<_>>(),
            "requests": tally.requests(), "seconds": time.as_secs_f64(),
            "right": tally.right, "left": tally.left, "late": tally.late, "odd": tally.odd,
            "refused": tally.refused, "wrong": tally.wrong, "failed": tally.failed, "lost": tally.lost,
            "right_by_kind": kinds.collect::<BTreeMap<_, _>>(), "errors": tally.codes,
            "messages": self.messages().collect::<Vec<_>>(),
        })
    }
}

/// The mean rows of a request to a model, and so of its runs if no two requests were run together; of those
/// that are cut into parts, of a part.
fn alone(shares: &Shares, seed: u64, requests: u64, model: &str) -> f64 {
    /// Requests that are looked at: enough for a mean.
    const SAMPLE: u64 = 20_000;
    let (mut rows, mut runs) = (0, 0);
    let asked = (0..requests.min(SAMPLE)).filter_map(|number| Asked::draw(shares, seed, number).ok());
    for asked in asked.filter(|asked| MODELS[asked.model] == model && asked.input.expected.is_some()) {
        let of_request = asked.input.tensors[0].tensor.shape().dims()[0];
        rows += of_request;
        runs += of_request.div_ceil(super::asked::PART_ROWS);
    }
    rows as f64 / runs.max(1) as f64
}

fn name((transport, body): (crate::call::Transport, crate::call::Body)) -> String {
    Kind { form: Form::V2, transport, body }.name()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { arguments, tally, time, .. } = self;
        let (requests, seconds) = (tally.requests(), time.as_secs_f64());
        writeln!(
            f,
            "{requests} requests of mixed kinds and shapes in {seconds:.1} s, {} at a time\n",
            usize::from(arguments.threads) * usize::from(arguments.in_flight)
        )?;
        for (name, count) in [
            ("answered right", tally.right),
            ("left by their clients", tally.left),
            ("past their deadlines", tally.late),
            ("fitting no model", tally.odd),
            ("refused for load", tally.refused),
            ("WRONG", tally.wrong),
            ("failed", tally.failed),
            ("lost", tally.lost),
        ] {
            writeln!(f, "  {name:<30} {count:>14}")?;
        }
        writeln!(f)?;
        for (kind, right) in KINDS.iter().zip(tally.right_by_kind) {
            writeln!(f, "  {:<30} {right:>14} right", name(*kind))?;
        }
        writeln!(f)?;
        for (code, count) in &tally.codes {
            writeln!(f, "  {code:<30} {count:>14}")?;
        }
        writeln!(f)?;
        let claims = self.claims();
        claims.iter().try_for_each(|claim| writeln!(f, "{claim}"))?;
        self.messages().try_for_each(|message| writeln!(f, "  ! {message}"))?;
        let missed = Claim::missed(&claims).join(", ");
        match (arguments.fault, missed.is_empty()) {
            (None, true) => write!(f, "\nall figures held"),
            (None, false) => write!(f, "\nmissed: {missed}"),
            (Some(fault), true) => write!(f, "\nthe fault {} was NOT CAUGHT by any figure", fault.name()),
            (Some(fault), false) => write!(f, "\nthe fault {} was caught by: {missed}", fault.name()),
        }
    }
}
