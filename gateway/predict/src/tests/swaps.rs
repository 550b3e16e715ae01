//! Swaps under load: a request is answered by the version that it was pinned to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::{
    Datatype, Interrupt, LoadError, LoadedModel, RequestId, RunError, RunInputs, RunOutputs, Session, Shape,
    Signature, Tensor, VersionNumber,
};
use pointsman_route::Bare;

use super::rig::{Rig, request, served, spec};
use super::until;
use crate::{Cores, Driver, Ground, Outcome, Predictor, Protocol, Sessions, Supervisor, Version};

const SWAPS: u64 = 1000;
const CALLERS: usize = 8;

/// What became of the sessions of all versions.
#[derive(Default)]
struct Freed {
    by: Mutex<Vec<(u64, String)>>,
    gone: AtomicUsize,
}

/// Answers with the number of its version.
struct Numbered {
    number: u64,
    freed: Arc<Freed>,
}

impl Session for Numbered {
    fn run(&mut self, _: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let bytes = Bytes::copy_from_slice(&self.number.to_le_bytes());
        let tensor = Tensor::new(Datatype::Uint8, Shape::new(&[8, 1]).unwrap(), bytes).unwrap();
        Ok(vec![tensor])
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(Uninterrupted)
    }
}

impl Drop for Numbered {
    fn drop(&mut self) {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        self.freed.by.lock().unwrap().push((self.number, name));
    }
}

struct Uninterrupted;

impl Interrupt for Uninterrupted {
    fn terminate(&self) {}

    fn reset(&self) {}
}

/// Nothing of these tests panics, so no session is asked for again.
struct NoModel;

impl LoadedModel for NoModel {
    fn signature(&self) -> &Signature {
        unreachable!("the version has its own")
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        unreachable!("no session is asked for again")
    }
}

impl Supervisor for Freed {
    fn crashing(&self, _: u32) {
        unreachable!("nothing crashes");
    }

    fn retiring(&self) {}

    fn gone(&self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

/// Asks until it is told to stop. Gives how many answers came, all of them right.
async fn ask(predictor: Predictor, stop: Arc<AtomicBool>) -> usize {
    let mut answers = 0;
    while !stop.load(Ordering::SeqCst) {
        let mut outcome = Outcome::received(predictor.metrics(), RequestId::generate(), Protocol::V2Rest);
        let request = request(1);
        let pinned =
            predictor.pin(&request.model, &request.version, &Bare(request.id), &mut outcome).unwrap();
        // Others run, and the version may be swapped, between picking it and taking a place there.
        tokio::task::yield_now().await;
        let number = pinned.version().spec().number;
        let chosen = predictor.choose(pinned, &Bare(request.id), &mut outcome).unwrap();
        let answer = predictor.predict(chosen, request, Driver::Task, &mut outcome).await.unwrap();
        outcome.ok(&answer.times, Duration::ZERO);
        assert_eq!(answer.version, number);
        assert_eq!(answer.outputs[0].tensor.data().as_ref(), number.get().to_le_bytes());
        answers += 1;
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_request_is_answered_by_the_version_that_it_was_pinned_to() {
    let mut rig = Rig::new(1);
    let freed = Arc::new(Freed::default());
    let ground = Ground { metrics: rig.predictor.metrics().clone(), cores: Cores::new(4) };
    let numbered = |number: u64| {
        let session = Numbered { number, freed: freed.clone() };
        let spec = spec(VersionNumber::new(number).unwrap(), CALLERS);
        let sessions = Sessions { workers: vec![Box::new(session)], inline: None };
        Version::start(spec, Box::new(NoModel), sessions, freed.clone(), &ground).unwrap()
    };
    rig.publish(served(numbered(10)));
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(ask(rig.predictor.clone(), stop.clone()))).collect();
    for number in 11..10 + SWAPS {
        // Each version gets some requests before it goes.
        let answered = rig.version();
        until(|| answered.record().statistics().success.read().0 >= CALLERS as u64).await;
        drop(answered);
        rig.publish(served(numbered(number)));
    }
    stop.store(true, Ordering::SeqCst);
    let mut answers = 0;
    for caller in callers {
        answers += caller.await.unwrap();
    }
    rig.publisher.publish([].into());
    until(|| freed.gone.load(Ordering::SeqCst) == SWAPS as usize).await;
    assert!(answers as u64 >= SWAPS, "{answers}");
    let mut by = std::mem::take(&mut *freed.by.lock().unwrap());
    by.sort();
    let numbers: Vec<u64> = by.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (10..10 + SWAPS).collect::<Vec<_>>(), "each session is freed once");
    for (number, thread) in by {
        assert_eq!(thread, format!("run-{number}-m"));
    }
}
