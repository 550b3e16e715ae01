//! A scenario of swaps: the flags of the command `swap`, from a file.

use std::ffi::OsString;

use clap::Parser;
use toml::{Table, Value};

use crate::output::Output;
use crate::scenario::Scenario;
use crate::swap;

/// The flags of the command `swap` alone.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Line {
    #[command(flatten)]
    arguments: swap::Arguments,
}

/// Measures swaps: whether every figure held.
///
/// # Errors
/// Where a key is no flag, or nothing could be measured.
pub(super) fn run(scenario: &Scenario, table: &Table, output: &Output) -> Result<bool, String> {
    let Some(json) = output.json_alone() else {
        return Err("--html with a scenario of swaps: its report is text, or JSON with --json".into());
    };
    let named = |problem: String| format!("{}: [swap]: {problem}", scenario.name);
    let mut line = flags(table).map_err(named)?;
    let gateway = scenario.gateway.clone().unwrap_or_default();
    if gateway.config.is_some() || gateway.core.is_some() {
        return Err(
            "gateway.config and gateway.core with [swap]: it starts gateways of its own: take them out"
                .into(),
        );
    }
    line.extend(["--gateway".into(), gateway.binary.into(), "--models".into(), gateway.registry.into()]);
    line.extend(["--threads".into(), scenario.threads.0.to_string().into()]);
    line.extend(["--seed".into(), scenario.seed.to_string().into()]);
    line.extend(["--warm-up".into(), scenario.warm_up.0.as_secs_f64().to_string().into()]);
    line.extend(json.into_iter().flat_map(|file| ["--json".into(), file.as_os_str().to_owned()]));
    let line = Line::try_parse_from(line).map_err(|e| named(e.to_string()))?;
    swap::run(&line.arguments)
}

/// Each key as the flag of its name. `true` is a flag without a value, and a list gives the flag several times.
fn flags(table: &Table) -> Result<Vec<OsString>, String> {
    let mut line: Vec<OsString> = Vec::new();
    for (key, value) in table {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        for value in values {
            let value = match value {
                Value::Boolean(false) => continue,
                Value::Boolean(true) => None,
                Value::String(text) => Some(text.clone()),
                Value::Integer(number) => Some(number.to_string()),
                Value::Float(number) => Some(number.to_string()),
                _ => return Err(format!("{key} is a number, a text, true or false, or a list of these")),
            };
            let flag = key.replace('_', "-");
            line.push(value.map_or_else(|| format!("--{flag}"), |value| format!("--{flag}={value}")).into());
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_flags_of_swap() {
        let table: Table = "swaps = 5\nresident = true\nby = \"alias\"\nprotocol = [\"grpc\", \"http-json\"]\nfault = false\n"
            .parse()
            .expect("a table");
        let mut line = flags(&table).expect("flags");
        line.sort();
        assert_eq!(
            line,
            ["--by=alias", "--protocol=grpc", "--protocol=http-json", "--resident", "--swaps=5"]
        );
        Line::try_parse_from(line).expect("they are flags of swap");
    }

    #[test]
    fn a_key_that_is_no_flag_is_named() {
        let table: Table = "swops = 5\n".parse().expect("a table");
        let line = flags(&table).expect("flags");
        let problem = Line::try_parse_from(line).expect_err("there is no such flag").to_string();
        assert!(problem.contains("--swops") && problem.contains("--swaps"), "{problem}");
    }
}
