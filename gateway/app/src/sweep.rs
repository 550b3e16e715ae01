//! `pointsman profile MODEL --sweep`: what runs of a model cost with some number of threads each, and with as many
//! workers instead, measured here and now on its files.

mod advice;
mod shown;

use std::time::{Duration, Instant};

use pointsman_control::loader::{LoadFault, Measured, Way};
use pointsman_core::VersionNumber;
use pointsman_registry::{FolderState, ModelListing, VersionListing};
use serde_json::json;

use self::advice::advise;
use crate::End;
use crate::cli::{Profile, Settings};
use crate::files::Files;

/// All ways take turns so many times, so that what else the machine does falls on all of them.
const ROUNDS: u32 = 5;

/// `pointsman profile MODEL --sweep`.
pub(crate) fn run(arguments: &Profile) -> End {
    let settings = Settings {
        models: arguments.sweep.models.clone(),
        config: arguments.sweep.config.clone(),
        onnxruntime: arguments.sweep.onnxruntime.clone(),
    };
    let config = match settings.config() {
        Ok(config) => config,
        Err(problems) => return crate::serve::refuse(&problems),
    };
    let files = match Files::open(&config) {
        Ok(files) => files,
        Err(problem) => return refused(&problem),
    };
    let (model, version) = match find(&files, &arguments.model, arguments.version) {
        Ok(found) => found,
        Err(problem) => return refused(&problem),
    };
    let cores = config.serving.cores();
    let measured = match measure(&files, model, version, arguments, cores) {
        Ok(measured) => measured,
        Err(problem) => return refused(&problem),
    };
    let advice = advise(&measured, cores);
    let (model, number) = (model.name.as_str(), version.number);
    if arguments.client.json {
        let ways: Vec<_> = measured.iter().map(shown::as_json).collect();
        let advice = advice.as_ref().map(advice::Advice::as_json);
        let number = number.get();
        println!("{}", json!({"model": model, "version": number, "sweep": ways, "advice": advice}));
        return End::Done;
    }
    println!("model {model}, version {number}");
    print!("{}", shown::as_text(&measured));
    if let Some(advice) = advice {
        println!("advice: {advice}");
    }
    End::Done
}

/// The version asked for, or the one that would serve.
pub(crate) fn find<'f>(
    files: &'f Files,
    name: &str,
    number: Option<u64>,
) -> Result<(&'f ModelListing, &'f VersionListing), String> {
    let model = files.scan.models.iter().find(|model| model.name.as_str() == name);
    let model = model.ok_or_else(|| format!("the registry has no model '{name}'; --models names another"))?;
    if let Some(problem) = model.problems.first() {
        return Err(problem.to_string());
    }
    let wanted = match number {
        Some(number) => VersionNumber::new(number),
        None => model.wanted().default,
    };
    let wanted =
        wanted.ok_or_else(|| format!("no version of '{name}' would serve: name one by its number"))?;
    let version = model.versions.iter().find(|version| version.number == wanted);
    let version = version.ok_or_else(|| format!("'{name}' has no version {wanted}"))?;
    match &version.folder {
        FolderState::Complete => Ok((model, version)),
        FolderState::Unsettled { reason } => Err(reason.clone()),
        FolderState::Tombstone => Err(format!("version {wanted} of '{name}' is withdrawn")),
    }
}

/// Measures all ways in turn, round by round.
fn measure(
    files: &Files,
    model: &ModelListing,
    version: &VersionListing,
    arguments: &Profile,
    cores: usize,
) -> Result<Vec<Measured>, String> {
    let name = format!("{}/{}", model.name, version.number);
    let failed = |fault: LoadFault| format!("{name}: {fault}");
    let sweep = &arguments.sweep;
    let rows = ascending(&sweep.rows);
    let job = files.job(model, version);
    let mut measurements = Vec::new();
    for way in ways(&sweep.threads, cores) {
        let Way { workers, threads } = way;
        eprintln!("{name}: loading it for {workers} worker(s) of {threads} thread(s)");
        let measurement = files.loader.measurement(&job, way, &rows).map_err(failed)?;
        measurements.push((measurement, Duration::ZERO));
    }
    let time = Duration::from_secs_f64(sweep.seconds);
    for round in 1..=ROUNDS {
        eprintln!("{name}: round {round} of {ROUNDS}");
        // Of slow models one round can take the time of all.
        for (measurement, spent) in measurements.iter_mut().filter(|(_, spent)| *spent < time) {
            let from = Instant::now();
            measurement.round(time / ROUNDS).map_err(failed)?;
            *spent += from.elapsed();
        }
    }
    let ended = measurements.into_iter().map(|(measurement, _)| measurement.end().map_err(failed));
    let measured = ended.collect::<Result<Vec<_>, _>>()?;
    if measured.iter().any(|measured| measured.costs.is_empty()) {
        return Err(format!(
            "{name}: no run succeeds, neither of its golden cases nor of zeros; give it golden cases that it can run \
             (golden.json)"
        ));
    }
    Ok(measured)
}

/// The ways to run a version, for these numbers of threads; without any it is 1, 2, 4 and so on up to the cores.
fn ways(threads: &[u64], cores: usize) -> Vec<Way> {
    let cores = cores as u64;
    let doubling = std::iter::successors(Some(2_u64), |threads| threads.checked_mul(2));
    let mut threads = threads.to_vec();
    if threads.is_empty() {
        threads.extend(doubling.take_while(|threads| *threads < cores).chain([cores]));
    }
    // What everything else is held against.
    threads.push(1);
    let way = |threads: u64| {
        let threads = usize::try_from(threads).unwrap_or(usize::MAX);
        let workers = (threads > 1).then_some(Way { workers: threads, threads: 1 });
        [Some(Way { workers: 1, threads }), workers]
    };
    ascending(&threads).into_iter().flat_map(way).flatten().collect()
}

fn ascending(numbers: &[u64]) -> Vec<u64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn refused(problem: &str) -> End {
    eprintln!("pointsman: {problem}");
    End::Refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_threads_is_measured_beside_as_many_workers() {
        let of = |threads: &[u64], cores| -> Vec<(usize, usize)> {
            ways(threads, cores).into_iter().map(|way| (way.workers, way.threads)).collect()
        };
        assert_eq!(of(&[], 1), [(1, 1)]);
        assert_eq!(of(&[], 2), [(1, 1), (1, 2), (2, 1)]);
        assert_eq!(of(&[], 6), [(1, 1), (1, 2), (2, 1), (1, 4), (4, 1), (1, 6), (6, 1)]);
        assert_eq!(of(&[4, 2, 4], 2), [(1, 1), (1, 2), (2, 1), (1, 4), (4, 1)]);
        assert_eq!(of(&[1], 8), [(1, 1)]);
    }
}
