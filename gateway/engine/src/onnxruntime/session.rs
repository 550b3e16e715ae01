//! One worker's means to run a model.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ort::AsPointer;
use ort::session::{NoSelectedOutputs, RunOptions};
use pointsman_core::{Interrupt, LoadError, RunError, RunInputs, RunOutputs, Session, Tensor};

use super::NAME;
use super::model::{Graph, Part};
use super::value::{CpuMemory, OrtValue, Refusal, check};
use super::zipmap::ZipMap;

/// The longest excerpt of the runtime's message that a caller gets to see.
const REASON_MAX: usize = 200;

pub(super) struct WorkerSession {
    graph: Arc<Graph>,
    memory: CpuMemory,
    options: Arc<Options>,
}

/// The run options of one session, and with them the switch that ends its runs.
struct Options {
    options: RunOptions<NoSelectedOutputs>,
    terminated: AtomicBool,
}

impl WorkerSession {
    pub(super) fn new(graph: Arc<Graph>) -> Result<Self, LoadError> {
        let refused = |reason| LoadError::Refused { engine: NAME, reason };
        let memory = CpuMemory::new().map_err(|r| refused(r.message))?;
        let options = RunOptions::new().map_err(|e| refused(e.message().to_owned()))?;
        Ok(Self { graph, memory, options: Arc::new(Options { options, terminated: AtomicBool::new(false) }) })
    }

    /// Runs the graph for the runtime's outputs `wanted`.
    fn run_graph(
        &self,
        inputs: &[Option<Tensor>],
        wanted: &[usize],
    ) -> Result<Vec<Option<OrtValue>>, Refusal> {
        let mut names = Vec::with_capacity(inputs.len());
        let mut values = Vec::with_capacity(inputs.len());
        for (name, tensor) in self.graph.inputs.iter().zip(inputs) {
            let Some(tensor) = tensor else { continue };
            names.push(name.as_ptr());
            // SAFETY: the tensor is the job's, which outlives this function, and with it the values; an
            // output that shares its memory is copied in `into_tensor`, before the job ends.
            values.push(unsafe { OrtValue::borrow(tensor, &self.memory) }?);
        }
        let pointers: Vec<_> = values.iter().map(OrtValue::as_ptr).collect();
        let output_names: Vec<_> = wanted.iter().map(|&o| self.graph.outputs[o].as_ptr()).collect();
        let mut outputs = vec![ptr::null_mut(); wanted.len()];
        // SAFETY: all arrays have the lengths given with them and hold valid pointers; the runtime
        // guarantees that `Run` may be called on one session from many threads.
        let status = unsafe {
            (ort::api().Run)(
                self.graph.session.ptr().cast_mut(),
                self.options.options.ptr(),
                names.as_ptr(),
                pointers.as_ptr(),
                pointers.len(),
                output_names.as_ptr(),
                output_names.len(),
                outputs.as_mut_ptr(),
            )
        };
        // Outputs are taken over before the status is looked at: a failed run may have made some.
        let outputs: Vec<Option<OrtValue>> =
            outputs.into_iter().map(|p| OrtValue::from_out(p).ok()).collect();
        check(status)?;
        Ok(outputs)
    }

    /// The tensors of the signature's outputs `wanted`, from the runtime's.
    fn collect(
        &self,
        inputs: &[Option<Tensor>],
        wanted: &[usize],
        produced: &[usize],
        mut values: Vec<Option<OrtValue>>,
    ) -> Result<RunOutputs, Refusal> {
        let mut maps: Vec<Option<ZipMap>> = (0..produced.len()).map(|_| None).collect();
        wanted
            .iter()
            .map(|&index| {
                let source = self.graph.sources[index];
                let missing = || Refusal::new("the runtime left an output out");
                let at = produced.iter().position(|&o| o == source.output).ok_or_else(missing)?;
                if source.part == Part::Whole {
                    return values[at].take().ok_or_else(missing)?.into_tensor(inputs);
                }
                if maps[at].is_none() {
                    let keys = self
                        .graph
                        .sources
                        .iter()
                        .position(|s| s.output == source.output && s.part == Part::MapKeys);
                    let keys = keys.map(|k| self.graph.signature.outputs[k].datatype).ok_or_else(missing)?;
                    maps[at] = Some(ZipMap::read(&values[at].take().ok_or_else(missing)?, keys)?);
                }
                let map = maps[at].as_ref().ok_or_else(missing)?;
                if source.part == Part::MapKeys { map.keys() } else { map.values() }
            })
            .collect()
    }
}

impl Session for WorkerSession {
    fn run(&mut self, inputs: RunInputs<'_>) -> Result<RunOutputs, RunError> {
        let mut produced: Vec<usize> = inputs.outputs.iter().map(|&o| self.graph.sources[o].output).collect();
        produced.sort_unstable();
        produced.dedup();
        self.run_graph(inputs.tensors, &produced)
            .and_then(|values| self.collect(inputs.tensors, inputs.outputs, &produced, values))
            .map_err(|refusal| self.run_error(refusal))
    }

    fn interrupt(&self) -> Arc<dyn Interrupt> {
        self.options.clone()
    }
}

impl WorkerSession {
    fn run_error(&self, refusal: Refusal) -> RunError {
        if self.options.terminated.load(Ordering::Acquire) {
            return RunError::Interrupted;
        }
        if refusal.invalid_argument {
            tracing::debug!(target: "onnxruntime", "a run was refused: {}", refusal.message);
            return RunError::Rejected(excerpt(&refusal.message));
        }
        RunError::Failed(refusal.message)
    }
}

impl Interrupt for Options {
    fn terminate(&self) {
        self.terminated.store(true, Ordering::Release);
        if let Err(error) = self.options.terminate() {
            tracing::warn!("a run could not be interrupted: {}", error.message());
        }
    }

    fn reset(&self) {
        self.terminated.store(false, Ordering::Release);
        if let Err(error) = self.options.unterminate() {
            tracing::warn!("a session could not be made ready again: {}", error.message());
        }
    }
}

/// What of the runtime's message says something about the values: the part behind `Status Message:`,
/// without paths of the machine that built the library.
fn excerpt(message: &str) -> String {
    let status = message.rsplit("Status Message:").next().unwrap_or(message);
    let words = status.split_whitespace().filter(|word| !word.contains('/') && !word.contains("::"));
    let mut text = words.collect::<Vec<_>>().join(" ");
    if text.len() > REASON_MAX {
        let end = (0..=REASON_MAX).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn an_excerpt_holds_no_paths() {
        let message = "Non-zero status code returned while running Gather node. Name:'g' Status Message: \
                       /onnxruntime_src/onnxruntime/core/gather.cc:12 onnxruntime::Gather indices element out of data bounds, idx=9";
        assert_eq!(excerpt(message), "indices element out of data bounds, idx=9");
        assert!(excerpt(&"ä ".repeat(1000)).len() <= 200);
    }
}
