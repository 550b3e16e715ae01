//! Counts what comes, shows how far it is, and ends the run.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Arguments;
use super::answered::Record;
use super::course::Course;
use super::driver::Driven;
use super::report::Report;
use super::tally::Tally;
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::process::own_cpu_time;
use crate::traffic::Traffic;

/// How often the state of the run is looked at, and shown.
const LOOK: Duration = Duration::from_millis(200);

/// What a run may take beyond twice the time that its requests need.
const GRACE: Duration = Duration::from_secs(120);

/// What the watching thread shares with the others.
pub(super) struct Watch<'a> {
    pub(super) arguments: &'a Arguments,
    pub(super) course: &'a Course,
    pub(super) done: &'a AtomicU64,
    pub(super) cancelled: &'a AtomicBool,
    pub(super) interrupted: &'a AtomicBool,
    pub(super) clock: Clock,
}

impl Watch<'_> {
    /// Counts until all that was asked for has been, or cannot be any more. `before` holds the time,
    /// and the CPU times of generator and gateway, when it began.
    pub(super) fn to_the_end(
        &self,
        mut gateway: Gateway,
        traffic: Traffic<Record>,
        driver: JoinHandle<Result<Driven, String>>,
        before: (Duration, Duration, Duration),
    ) -> Result<Report, String> {
        let mut tally = Tally::new()?;
        let mut problems = Vec::new();
        let mut cpu = (before.1, before.2);
        let mut looked = self.clock.now();
        loop {
            match traffic.records().recv_timeout(LOOK) {
                Ok(batch) => {
                    let state = self.course.state();
                    batch.iter().for_each(|record| tally.add(record, &state));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.clock.now() < looked + LOOK || self.cancelled.load(Ordering::Relaxed) {
                continue;
            }
            looked = self.clock.now();
            self.show(&tally);
            cpu = (own_cpu_time()?, gateway.server.cpu_time().unwrap_or(cpu.1));
            let ended = self.problem(&mut gateway, &traffic);
            let over = driver.is_finished() && tally.measured >= self.arguments.requests;
            if over || ended.is_some() {
                problems.extend(ended);
                self.cancelled.store(true, Ordering::Relaxed);
                traffic.stop();
            }
        }
        self.cancelled.store(true, Ordering::Relaxed);
        self.clear();
        let time = looked.saturating_sub(before.0);
        match traffic.end() {
            Ok(sent) => tally.lost(sent.iter().sum()),
            Err(problem) => problems.push(problem),
        }
        let driven = driver.join().map_err(|_| "the driver panicked".to_owned())?;
        if self.interrupted.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
        let measured_from = self.course.state().measured_from;
        let measured = tally.last_due.saturating_sub(measured_from.unwrap_or(tally.last_due));
        let driven = driven.map_err(|problem| problems.push(problem)).ok();
        Ok(Report {
            arguments: self.arguments.clone(),
            tally,
            driven,
            swaps: self.done.load(Ordering::Relaxed),
            problems,
            measured,
            generator_cpu: cpu.0.saturating_sub(before.1),
            gateway_cpu: cpu.1.saturating_sub(before.2),
            time,
        })
    }

    /// Why the run cannot go on.
    fn problem(&self, gateway: &mut Gateway, traffic: &Traffic<Record>) -> Option<String> {
        let Arguments { requests, rate, warm_up, .. } = self.arguments;
        let needed = Duration::from_secs_f64(*requests as f64 / f64::from(*rate));
        if !gateway.server.is_running() {
            Some(format!("the gateway ended:\n{}", gateway.end_of_log()))
        } else if self.interrupted.load(Ordering::Relaxed) {
            Some("interrupted".into())
        } else if traffic.has_ended() {
            Some("no generator sends any more".into())
        } else if self.clock.now() > *warm_up + needed * 2 + GRACE {
            Some(format!("the run was not over after {:?}", self.clock.now()))
        } else {
            None
        }
    }

    fn show(&self, tally: &Tally) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let Arguments { requests, swaps, .. } = self.arguments;
        let state = if tally.measured == 0 { "warm-up" } else { "running" };
        eprint!(
            "\r\x1b[K{state}: {}/{requests} requests, {}/{swaps} swaps, failed {}, wrong {}, mixed {}",
            tally.measured,
            self.done.load(Ordering::Relaxed),
            tally.failed.count,
            tally.wrong.count,
            tally.mixed.count
        );
        let _ = std::io::stderr().flush();
    }

    /// Takes the line away that was shown.
    fn clear(&self) {
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }
}
