//! What is done with an exchange once its caller was answered: it is offered to the model's shadows.
//!
//! Nothing here waits, and nothing of what a shadow gives leads back: an answer was written before there is an offer.

mod cost;
mod windows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman_core::{
    Code, LoadTenth, OutputTensor, PredictError, Prediction, RequestId, StageTimes, Tensor,
};

pub use self::cost::{Cost, Latency};
pub use self::windows::{Windows, WindowsError};

pub(crate) use self::windows::Phase;

use self::cost::Costs;
use crate::exchange::Exchange;
use crate::metrics::{Metrics, Phases};
use crate::shadow::Shadow;
use crate::version::Version;

/// The shadows of one version, and what they cost it.
#[derive(Debug)]
pub struct Tee {
    /// The version whose exchanges are offered.
    primary: Arc<Version>,
    shadows: Box<[Arc<Shadow>]>,
    windows: Windows,
    costs: Costs,
    phases: Phases,
}

impl Tee {
    /// Offers exchanges of `primary` to shadows, but for the windows in which none runs. They are those of the shadows.
    #[must_use]
    pub fn new(
        primary: Arc<Version>,
        shadows: Vec<Arc<Shadow>>,
        windows: Windows,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let phases = metrics.phases(&primary.spec().model, primary.spec().number);
        let (shadows, costs) = (shadows.into(), Costs::default());
        Arc::new(Self { primary, shadows, windows, costs, phases })
    }

    /// The shadows.
    #[must_use]
    pub fn shadows(&self) -> &[Arc<Shadow>] {
        &self.shadows
    }

    /// The version whose exchanges are offered.
    #[must_use]
    pub fn primary(&self) -> &Arc<Version> {
        &self.primary
    }

    /// How long the primary's requests took while shadows ran, and while none did.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.costs.read()
    }

    /// Whether no shadow is shown anything at the moment, so that what they cost can be measured.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.phase() != Phase::On
    }

    /// Follows a request of this version, if it is the one whose exchanges are offered.
    pub(crate) fn follow(self: &Arc<Self>, version: &Arc<Version>) -> Option<Box<Teed>> {
        let is_followed = Arc::ptr_eq(&self.primary, version);
        is_followed.then(|| Box::new(Teed { tee: self.clone(), phase: None, asked: None, answer: None }))
    }

    fn phase(&self) -> Phase {
        self.windows.phase(Instant::now())
    }
}

/// A request that is followed, until it has ended.
#[derive(Debug)]
pub(crate) struct Teed {
    tee: Arc<Tee>,
    /// What held when it was checked.
    phase: Option<Phase>,
    /// The inputs, where a shadow is to see them.
    asked: Option<(RequestId, Vec<Option<Tensor>>)>,
    answer: Option<(Result<Vec<OutputTensor>, Code>, StageTimes)>,
}

impl Teed {
    /// The request is checked: these are its inputs.
    pub(crate) fn asked(&mut self, id: RequestId, inputs: &[Option<Tensor>]) {
        let phase = self.tee.phase();
        self.phase = Some(phase);
        if phase == Phase::On && self.tee.shadows.iter().any(|shadow| shadow.sees(id)) {
            self.asked = Some((id, inputs.to_vec()));
        }
    }

    /// The request is answered, though nobody has the answer yet.
    pub(crate) fn answered(&mut self, answer: &Result<Prediction, PredictError>) {
        if self.asked.is_none() {
            return;
        }
        self.answer = match answer {
            Ok(prediction) => Some((Ok(prediction.outputs.clone()), prediction.times)),
            Err(error) => is_the_versions(error.code()).map(|code| (Err(code), StageTimes::default())),
        };
    }

    /// Whether a shadow is to see it.
    pub(crate) fn is_shown(&self) -> bool {
        self.asked.is_some()
    }

    /// The last byte of the answer is handed on.
    pub(crate) fn written(self, total: Duration) {
        let Self { tee, phase, .. } = &self;
        // What was under way when that changed says nothing of either.
        if *phase == Some(tee.phase()) {
            let is_on = match phase {
                Some(Phase::On) => Some(true),
                Some(Phase::Off) => Some(false),
                Some(Phase::Settling) | None => None,
            };
            if let Some(is_on) = is_on {
                tee.costs.push(is_on, total);
                tee.phases.observe(is_on, total);
            }
        }
        self.offer();
    }

    /// The request has failed.
    pub(crate) fn failed(self) {
        if self.answer.as_ref().is_some_and(|(outputs, _)| outputs.is_err()) {
            self.offer();
        }
    }

    fn offer(self) {
        let Self { tee, asked: Some((id, inputs)), answer: Some((outputs, times)), .. } = self else {
            return;
        };
        let load = LoadTenth::of(tee.primary.queue_depth(), tee.primary.queue_limit());
        let exchange = Arc::new(Exchange { id, inputs, outputs, times });
        for shadow in tee.shadows.iter().filter(|shadow| shadow.sees(id)) {
            shadow.offer(&exchange, load);
        }
    }
}

/// The code, where it says something of the version and its inputs. What came of load or of the caller does not.
fn is_the_versions(code: Code) -> Option<Code> {
    matches!(code, Code::SessionFailed | Code::InputRejected).then_some(code)
}
