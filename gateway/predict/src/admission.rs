//! The door: how many requests, and how many of their bytes, may be in flight.
//!
//! It stands before decoding, so that overload is not paid in parsing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use pointsman_core::PredictError;

use crate::cores::Share;

/// The bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Requests between their headers and the end of their answers.
    pub requests_max: usize,
    /// Bytes of their bodies.
    pub bytes_max: usize,
    /// Requests for one model, so that one cannot take all places of the others.
    pub requests_per_model_max: usize,
    /// Bytes of their bodies.
    pub bytes_per_model_max: usize,
    /// Requests of one caller's address; nothing for no such limit.
    pub requests_per_caller_max: Option<usize>,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        Self {
            requests_max: 4096,
            bytes_max: 1 << 30,
            requests_per_model_max: 2048,
            bytes_per_model_max: 1 << 29,
            requests_per_caller_max: None,
        }
    }
}

/// What is in flight, of one model or of all.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

/// Counts what is in flight and refuses what is too much.
#[derive(Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    all: InFlight,
    /// There is hardly any memory left.
    memory_low: AtomicBool,
    /// Requests in flight of each caller that has any, so never more entries than requests.
    callers: Mutex<HashMap<IpAddr, usize>>,
}

/// A request's place, given back when dropped: after the last byte of the answer.
#[derive(Debug)]
pub struct Permit {
    held: HeldBytes,
    caller: Option<IpAddr>,
    /// That of the model it is for, once that is known.
    model: Option<Arc<Share>>,
}

/// Bytes in flight, given back when dropped.
#[derive(Debug)]
pub struct HeldBytes {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Admission {
    /// An empty door.
    #[must_use]
    pub fn new(limits: AdmissionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            all: InFlight::default(),
            memory_low: AtomicBool::new(false),
            callers: Mutex::default(),
        })
    }

    /// Whether [`Admission::admit`] needs to know the caller.
    #[must_use]
    pub fn limits_callers(&self) -> bool {
        self.limits.requests_per_caller_max.is_some()
    }

    /// Lets a request in whose body will have `bytes` bytes, as far as its headers say.
    ///
    /// # Errors
    /// [`PredictError::MemoryLow`]; [`PredictError::Overloaded`] where that is one request, or some bytes, too many;
    /// [`PredictError::CallerLimit`] where it is one too many of this caller.
    pub fn admit(self: &Arc<Self>, bytes: usize, caller: Option<IpAddr>) -> Result<Permit, PredictError> {
        if self.is_memory_low() {
            return Err(PredictError::MemoryLow);
        }
        if !take(&self.all.requests, 1, self.limits.requests_max) {
            return Err(PredictError::Overloaded {
                what: "requests",
                limit: self.limits.requests_max,
                key: "limits.requests_in_flight_max",
            });
        }
        let mut permit = Permit { held: self.hold(), caller: None, model: None };
        permit.caller = self.count_caller(caller)?;
        permit.grow(bytes)?;
        Ok(permit)
    }

    /// Counts a request of this caller, where callers are limited.
    fn count_caller(&self, caller: Option<IpAddr>) -> Result<Option<IpAddr>, PredictError> {
        let (Some(limit), Some(caller)) = (self.limits.requests_per_caller_max, caller) else {
            return Ok(None);
        };
        let mut callers = self.callers.lock();
        let requests = callers.entry(caller).or_default();
        if *requests >= limit {
            return Err(PredictError::CallerLimit { limit, key: "limits.requests_per_caller_max" });
        }
        *requests += 1;
        Ok(Some(caller))
    }

    fn uncount_caller(&self, caller: IpAddr) {
        let mut callers = self.callers.lock();
        if let Some(requests) = callers.get_mut(&caller) {
            *requests -= 1;
            if *requests == 0 {
                callers.remove(&caller);
            }
        }
    }

    /// Lets no request in while there is hardly any memory left.
    pub fn set_memory_low(&self, low: bool) {
        self.memory_low.store(low, Ordering::Relaxed);
    }

    /// Whether requests are refused for want of memory.
    #[must_use]
    pub fn is_memory_low(&self) -> bool {
        self.memory_low.load(Ordering::Relaxed)
    }

    /// Nothing yet, to grow as bytes come that belong to no admitted request so far.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> HeldBytes {
        HeldBytes { admission: self.clone(), bytes: 0 }
    }

    /// Requests in flight.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.all.requests.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies in flight.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.all.bytes.load(Ordering::Relaxed)
    }
}

impl Permit {
    /// Takes up more bytes than the headers said (a chunked body, or one that unpacks to more).
    ///
    /// # Errors
    /// As [`HeldBytes::grow`], and the same for the bytes of the model's requests.
    pub fn grow(&mut self, more: usize) -> Result<(), PredictError> {
        if let Some(model) = &self.model {
            take_bytes_of_model(&self.held.admission.limits, model, more)?;
        }
        let grown = self.held.grow(more);
        if let Some(model) = self.model.as_ref().filter(|_| grown.is_err()) {
            model.in_flight.bytes.fetch_sub(more, Ordering::Relaxed);
        }
        grown
    }

    /// Counts the request, and its bytes, as one for this model from now on.
    ///
    /// # Errors
    /// [`PredictError::Overloaded`] where that is one request, or some bytes, too many for one model.
    pub(crate) fn enter(&mut self, model: &Arc<Share>) -> Result<(), PredictError> {
        self.leave_model();
        let limits = &self.held.admission.limits;
        let limit = limits.requests_per_model_max;
        if !take(&model.in_flight.requests, 1, limit) {
            let key = "limits.requests_per_model_max";
            return Err(PredictError::Overloaded { what: "requests for one model", limit, key });
        }
        if let Err(refused) = take_bytes_of_model(limits, model, self.held.bytes) {
            model.in_flight.requests.fetch_sub(1, Ordering::Relaxed);
            return Err(refused);
        }
        self.model = Some(model.clone());
        Ok(())
    }

    fn leave_model(&mut self) {
        if let Some(model) = self.model.take() {
            model.in_flight.requests.fetch_sub(1, Ordering::Relaxed);
            model.in_flight.bytes.fetch_sub(self.held.bytes, Ordering::Relaxed);
        }
    }

    /// The bytes that it accounts for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.held.bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.leave_model();
        let admission = &self.held.admission;
        admission.all.requests.fetch_sub(1, Ordering::Relaxed);
        if let Some(caller) = self.caller {
            admission.uncount_caller(caller);
        }
    }
}

impl HeldBytes {
    /// Holds more.
    ///
    /// # Errors
    /// [`PredictError::Overloaded`] where they are too many; what was held stays held.
    pub fn grow(&mut self, more: usize) -> Result<(), PredictError> {
        let limit = self.admission.limits.bytes_max;
        if !take(&self.admission.all.bytes, more, limit) {
            let key = "limits.bytes_in_flight_max";
            return Err(PredictError::Overloaded { what: "bytes of requests", limit, key });
        }
        self.bytes += more;
        Ok(())
    }

    /// Gives all of them back.
    pub fn release(&mut self) {
        self.admission.all.bytes.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.release();
    }
}

fn take_bytes_of_model(limits: &AdmissionLimits, model: &Share, more: usize) -> Result<(), PredictError> {
    let limit = limits.bytes_per_model_max;
    if take(&model.in_flight.bytes, more, limit) {
        return Ok(());
    }
    let key = "limits.bytes_per_model_max";
    Err(PredictError::Overloaded { what: "bytes of requests for one model", limit, key })
}

/// Adds to a counter unless that would lead past `max`.
fn take(counter: &AtomicUsize, amount: usize, max: usize) -> bool {
    let within = |now: usize| now.checked_add(amount).filter(|&then| then <= max);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
}

#[cfg(test)]
mod tests {
    use pointsman_core::ModelName;

    use super::*;
    use crate::cores::Cores;

    #[test]
    fn nothing_passes_the_limits_and_everything_comes_back() {
        let door =
            Admission::new(AdmissionLimits { requests_max: 2, bytes_max: 100, ..AdmissionLimits::default() });
        let mut first = door.admit(60, None).unwrap();
        assert!(matches!(
            door.admit(41, None),
            Err(PredictError::Overloaded { what: "bytes of requests", .. })
        ));
        assert_eq!((door.requests(), door.bytes()), (1, 60));
        let second = door.admit(40, None).unwrap();
        assert!(matches!(door.admit(0, None), Err(PredictError::Overloaded { what: "requests", .. })));
        assert!(first.grow(1).is_err());
        assert!(first.grow(usize::MAX).is_err());
        drop(second);
        first.grow(40).unwrap();
        assert_eq!((door.requests(), door.bytes()), (1, 100));
        drop(first);
        assert_eq!((door.requests(), door.bytes()), (0, 0));
    }

    #[test]
    fn nobody_is_let_in_while_memory_is_low() {
        let door = Admission::new(AdmissionLimits::default());
        door.set_memory_low(true);
        assert!(matches!(door.admit(0, None), Err(PredictError::MemoryLow)));
        door.set_memory_low(false);
        assert!(door.admit(0, None).is_ok());
    }

    #[test]
    fn one_caller_cannot_take_all_places() {
        let limits = AdmissionLimits { requests_per_caller_max: Some(1), ..AdmissionLimits::default() };
        let door = Admission::new(limits);
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = door.admit(0, Some(one)).unwrap();
        assert!(matches!(door.admit(0, Some(one)), Err(PredictError::CallerLimit { limit: 1, .. })));
        let _second = door.admit(0, Some(other)).unwrap();
        assert_eq!(door.requests(), 2);
        drop(first);
        assert!(door.admit(0, Some(one)).is_ok());
        assert_eq!(door.callers.lock().len(), 1, "callers without requests are forgotten");
    }

    #[test]
    fn one_model_cannot_take_all_places() {
        let limits = AdmissionLimits {
            requests_per_model_max: 2,
            bytes_per_model_max: 100,
            ..AdmissionLimits::default()
        };
        let (door, cores) = (Admission::new(limits), Cores::new(1));
        let share = |name: &str| cores.share(&ModelName::new(name).unwrap());
        let (busy, quiet) = (share("busy"), share("quiet"));
        let mut permits: Vec<Permit> = (0..3).map(|_| door.admit(40, None).unwrap()).collect();
        permits[0].enter(&busy).unwrap();
        permits[1].enter(&busy).unwrap();
        assert!(matches!(permits[2].enter(&busy), Err(PredictError::Overloaded { limit: 2, .. })));
        permits[2].enter(&quiet).unwrap();
        assert!(matches!(permits[1].grow(21), Err(PredictError::Overloaded { limit: 100, .. })));
        permits[1].grow(20).unwrap();
        permits.truncate(1);
        assert!(permits[0].grow(61).is_err());
        permits[0].enter(&quiet).unwrap();
        let counts = |share: &Share| {
            (share.in_flight.requests.load(Ordering::Relaxed), share.in_flight.bytes.load(Ordering::Relaxed))
        };
        assert_eq!((counts(&busy), counts(&quiet), door.bytes()), ((0, 0), (1, 40), 40));
        // Nothing is counted of what all models together have no room for.
        assert!(permits[0].grow(usize::MAX).is_err());
        drop(permits);
        assert_eq!((counts(&quiet), door.bytes()), ((0, 0), 0));
    }
}
