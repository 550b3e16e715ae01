//! The loader over a model whose runs are a function of the test.

mod batching;
mod bring_up;
mod measure;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pointsman_core::{
    Datatype, Dim, Engine, InputTensor, Interrupt, LoadError, LoadedModel, ModelFiles, RunError, RunInputs,
    RunOutputs, Session, SessionOptions, Shape, Signature, Tensor, TensorSpec,
};

/// What a run does: from the values of the only input `x` of shape `[rows, 2]` and its number of rows to the
/// outputs.
type Run = dyn Fn(&[f32], u64) -> Result<RunOutputs, RunError> + Send + Sync;

/// A model, and the engine that has only it.
#[derive(Clone)]
struct Scripted {
    signature: Signature,
    run: Arc<Run>,
    dies_of_division: bool,
    /// Whether an interrupt ends a run that waits for it.
    interruptible: bool,
    interrupted: Arc<Interrupted>,
    /// Threads of a run that it was loaded for last.
    threads: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Interrupted {
    flag: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Interrupted {
    /// Waits for an interrupt, as a run that has no end of its own.
    fn wait(&self) -> RunError {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.flag.load(Ordering::Acquire) {
            guard = self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        RunError::Interrupted
    }

    fn set(&self, flag: bool) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.flag.store(flag, Ordering::Release);
        self.changed.notify_all();
    }
}

fn spec(name: &str, dims: &[Option<u64>]) -> TensorSpec {
    let shape = Some(dims.iter().map(|d| d.map_or(Dim::Dynamic(None), Dim::Fixed)).collect());
    TensorSpec { name: name.into(), datatype: Datatype::Fp32, shape, optional: false, labels: None }
}

fn tensor(dims: &[u64], values: Vec<f32>) -> Tensor {
    Tensor::from_vec(Datatype::Fp32, Shape::new(dims).expect("few dimensions"), values).expect("fits")
}

fn input(dims: &[u64], values: &[f32]) -> Vec<InputTensor> {
    vec![InputTensor { name: "x".into(), tensor: tensor(dims, values.to_vec()) }]
}

impl Scripted {
    /// A model of `x [n, 2]` and `y [n]`.
    fn new(run: impl Fn(&[f32], u64) -> Result<RunOutputs, RunError> + Send + Sync + 'static) -> Self {
        let signature =
            Signature { inputs: vec![spec("x", &[None, Some(2)])], outputs: vec![spec("y", &[None])] };
        Self {
            signature,
            run: Arc::new(run),
            dies_of_division: false,
            interruptible: true,
            interrupted: Arc::default(),
            threads: Arc::default(),
        }
    }

    /// One that adds the two values of each row.
    fn sum() -> Self {
        Self::new(|x, rows| Ok(vec![tensor(&[rows], x.chunks(2).map(|row| row[0] + row[1]).collect())]))
    }

    /// One whose runs end when they are interrupted.
    fn endless() -> Self {
        let interrupted = Arc::new(Interrupted::default());
        let waits = interrupted.clone();
        Self { interrupted, ..Self::new(move |_, _| Err(waits.wait())) }
    }
}

impl Engine for Scripted {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn version(&self) -> String {
        String::new()
    }

    fn dies_of_integer_overflow(&self) -> bool {
        self.dies_of_division
    }

    fn load(&self, _: &ModelFiles, options: &SessionOptions) -> Result<Box<dyn LoadedModel>, LoadError> {
        self.threads.store(options.intra_op_threads, Ordering::SeqCst);
        Ok(Box::new(self.clone()))
    }
}

impl LoadedModel for Scripted {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn session(&self) -> Result<Box<dyn Session>, LoadError> {
        Ok(Box::new(self.clone()))
    }
}

impl Session for Scripted {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let x = inputs.tensors[0].as_ref().expect("x has to come");
        let rows = x.shape().dims().first().copied().unwrap_or(1);
        (self.run)(x.values().expect("FP32"), rows)
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        Arc::new(self.clone())
    }
}

impl Interrupt for Scripted {
    fn terminate(&self) {
        self.interrupted.set(self.interruptible);
    }

    fn reset(&self) {
        self.interrupted.set(false);
    }
}

/// How long a run may take that is meant to end.
const PATIENCE: Duration = Duration::from_secs(30);
