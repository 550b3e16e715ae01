//! Takes in the examples of a version on the threads that answered them.
//!
//! Each of the first eight threads has a part of its own, so its lock is held by nobody else but for the moment in which
//! what it has is taken away. Rows of many columns are handed on, to be [taken in](Recorder::take_in) where no request
//! waits for it. Windows are told apart by when an example is from; what is open at a thread is added to what is kept when the thread
//! comes to too many, and whenever somebody [collects](Recorder::collect).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pointsman_core::{Arm, OutputTensor, Schema, Signature, Tensor};

use super::baseline::Reference;
use super::example::Example;
use super::layout::Layout;
use super::learner::Learner;
use super::open::{Batch, Handed, Of, Open};
use super::sample::Profile;
use super::windows::{Key, Taken, Windows};

/// Parts that threads have for themselves.
const SHARDS: usize = 8;
/// The most windows that are open in one part.
const OPEN_MAX: usize = 4;
/// The most that is handed on and waits: past it a thread takes in its own rows. And the vectors that are used again.
const HANDED_MAX: usize = 4;
/// From so many rows the cells of a version without a baseline are made.
pub const LEARN_ROWS: u64 = 1000;
/// The most bytes of tensors that are held for that.
const LEARN_BYTES_MAX: usize = 8 << 20;

/// How long windows are, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How long one is, in seconds. Windows begin at multiples of it since 1970, UTC.
    pub seconds: u64,
    /// From so many rows on a window is closed before its time, and the next one begins. Threads bring rows together, so
    /// that it may have an eighth more, and a request. Nothing for as many as come.
    pub rows_max: Option<u64>,
    /// The most that are kept of each arm of a version; the oldest go.
    pub windows_max: usize,
}

/// One exchange.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The arm.
    pub arm: &'a Arm,
    /// When it is from, in seconds since 1970.
    pub at: u64,
    /// What time it is, in seconds since 1970.
    pub now: u64,
    /// Its rows.
    pub example: Example<'a>,
}

/// Rows that are in no window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Their window is older than all that are kept.
    pub late: u64,
    /// They are from a time that has not come.
    pub early: u64,
    /// Their arm is one too many.
    pub crowded: u64,
}

/// The windows of one version.
#[derive(Debug)]
pub struct Recorder {
    span: Span,
    signature: Arc<Signature>,
    schema: Option<Arc<Schema>>,
    /// Nothing until the cells are known.
    layout: OnceLock<Arc<Layout>>,
    training: Option<Arc<Profile>>,
    shards: Box<[Mutex<Vec<Open>>]>,
    waiting: Mutex<Waiting>,
    /// The windows that are open at whoever takes in what was handed on.
    behind: Mutex<Vec<Open>>,
    learning: Mutex<Vec<Held>>,
    windows: Mutex<Windows>,
    lost: [AtomicU64; 3],
    changed: AtomicBool,
}

/// Rows that wait for whoever takes them in.
#[derive(Debug, Default)]
struct Waiting {
    handed: Vec<Handed>,
    /// Vectors without numbers, for the next ones.
    empty: Vec<Vec<f64>>,
}

/// An exchange that waits for the cells.
#[derive(Debug)]
struct Held {
    arm: Arm,
    at: u64,
    inputs: Vec<Option<Tensor>>,
    outputs: Option<Vec<OutputTensor>>,
    rows: u64,
    bytes: usize,
}

impl Held {
    fn example(&self) -> Example<'_> {
        Example { inputs: &self.inputs, outputs: self.outputs.as_deref(), rows: self.rows }
    }
}

/// What is kept of a version, at one moment.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The layout of all profiles.
    pub layout: Arc<Layout>,
    /// The training data, where there is a baseline.
    pub training: Option<Arc<Profile>>,
    /// The windows by arm and place in time.
    pub windows: Vec<(Key, Arc<Profile>)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which part this thread has.
fn own_shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
    }
    OWN.with(|own| *own)
}

impl Recorder {
    /// One that has seen nothing. Without a `reference` it makes its cells from the first [`LEARN_ROWS`] rows.
    #[must_use]
    pub fn new(
        span: Span,
        signature: Arc<Signature>,
        schema: Option<Arc<Schema>>,
        reference: Option<Reference>,
    ) -> Self {
        let layout = OnceLock::new();
        let training = reference.map(|reference| {
            layout.get_or_init(|| Arc::new(reference.layout));
            Arc::new(reference.profile)
        });
        Self {
            span,
            signature,
            schema,
            layout,
            training,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            waiting: Mutex::default(),
            behind: Mutex::default(),
            learning: Mutex::default(),
            windows: Mutex::default(),
            lost: Default::default(),
            changed: AtomicBool::new(false),
        }
    }

    /// Goes on with windows that were kept, where this has none yet.
    pub(super) fn resume(&self, layout: Layout, windows: Windows) {
        self.layout.get_or_init(|| Arc::new(layout));
        *locked(&self.windows) = windows;
    }

    /// How long windows are, and how many are kept.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    pub(super) fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(super) fn schema(&self) -> Option<&Schema> {
        self.schema.as_deref()
    }

    pub(super) fn layout(&self) -> Option<&Arc<Layout>> {
        self.layout.get()
    }

    /// Whether it has a baseline.
    #[must_use]
    pub fn has_training(&self) -> bool {
        self.training.is_some()
    }

    /// Rows that are in no window.
    #[must_use]
    pub fn lost(&self) -> Lost {
        let [late, early, crowded] = [0, 1, 2].map(|at| self.lost[at].load(Ordering::Relaxed));
        Lost { late, early, crowded }
    }

    fn lose(&self, what: usize, rows: u64) {
        self.lost[what].fetch_add(rows, Ordering::Relaxed);
    }

    /// Takes in an exchange, on the thread that answered it. Rows from more than one window ahead of now are not
    /// believed: one of them would take the place of what is kept.
    ///
    /// Whether rows wait that were handed on: they are soon to be [taken in](Self::take_in).
    pub fn record(&self, exchange: &Exchange<'_>) -> bool {
        if self.is_early(exchange) {
            return false;
        }
        match self.layout.get() {
            Some(layout) => self.add(layout, exchange.arm, exchange.at, &exchange.example),
            None => self.hold(exchange),
        }
    }

    /// The same, on a thread that no request waits for. It takes no lock for long that threads of requests want.
    pub fn record_behind(&self, exchange: &Exchange<'_>) {
        if self.is_early(exchange) {
            return;
        }
        let Some(layout) = self.layout.get() else {
            self.hold(exchange);
            return;
        };
        let mut behind = locked(&self.behind);
        self.add_to(&mut behind, layout, exchange.arm, exchange.at, &exchange.example, |handed| {
            Err(handed.numbers)
        });
    }

    fn is_early(&self, exchange: &Exchange<'_>) -> bool {
        let is_early = exchange.at > exchange.now.saturating_add(self.span.seconds.max(1));
        if is_early {
            self.lose(1, exchange.example.rows);
        }
        is_early
    }

    fn add(&self, layout: &Layout, arm: &Arm, at: u64, example: &Example<'_>) -> bool {
        let mut rows_wait = false;
        let mut open = locked(&self.shards[own_shard()]);
        self.add_to(&mut open, layout, arm, at, example, |handed| {
            rows_wait = true;
            let mut waiting = locked(&self.waiting);
            if waiting.handed.len() >= HANDED_MAX {
                return Err(handed.numbers);
            }
            waiting.handed.push(handed);
            Ok(waiting.empty.pop().unwrap_or_default())
        });
        rows_wait
    }

    fn add_to(
        &self,
        open: &mut Vec<Open>,
        layout: &Layout,
        arm: &Arm,
        at: u64,
        example: &Example<'_>,
        hand: impl FnOnce(Handed) -> Result<Vec<f64>, Vec<f64>>,
    ) {
        let seconds = self.span.seconds.max(1);
        let of = Of { arm: arm.clone(), window: i64::try_from(at / seconds * seconds).unwrap_or(i64::MAX) };
        let at = self.open(open, of, at, layout);
        open[at].add(layout, example, hand);
        // So that no window grows far past its end at the threads.
        let most = self.span.rows_max.map_or(u64::MAX, |most| (most / SHARDS as u64).max(1));
        if open[at].rows() >= most {
            let full = open.swap_remove(at);
            self.keep(full);
        }
    }

    /// The place of a window among those that are open at a thread. Past the most of them the oldest is kept.
    fn open(&self, open: &mut Vec<Open>, of: Of, first: u64, layout: &Layout) -> usize {
        if let Some(at) = open.iter().position(|open| open.of == of) {
            return at;
        }
        if open.len() >= OPEN_MAX {
            let oldest = open.iter().enumerate().min_by_key(|(_, open)| open.of.window);
            let oldest = open.swap_remove(oldest.map_or(0, |(at, _)| at));
            self.keep(oldest);
        }
        open.push(Open::new(of, first, layout, Batch::of(layout, self.span.rows_max.is_some())));
        open.len() - 1
    }

    /// Takes in the rows that threads have handed on.
    pub fn take_in(&self) {
        self.take_in_to(&mut locked(&self.behind));
    }

    fn take_in_to(&self, behind: &mut Vec<Open>) {
        let Some(layout) = self.layout.get() else { return };
        // Those that are there now: threads may hand on more as quickly as they are taken in.
        let handed = std::mem::take(&mut locked(&self.waiting).handed);
        for Handed { of, first, mut numbers, rows } in handed {
            let at = self.open(behind, of, first, layout);
            behind[at].profile.add_rows(layout, &numbers, rows);
            numbers.clear();
            let mut waiting = locked(&self.waiting);
            if waiting.empty.len() < HANDED_MAX {
                waiting.empty.push(numbers);
            }
        }
    }

    /// Adds what was open at a thread to what is kept.
    fn keep(&self, mut open: Open) {
        let Some(layout) = self.layout.get() else { return };
        open.take_in(layout);
        let Open { of: Of { arm, window }, first, profile, .. } = open;
        let (rows, arm) = (profile.rows(), arm.shared_name());
        let mut windows = locked(&self.windows);
        let begins = windows.open(&arm, window, first, self.span);
        let taken = windows.add(&(arm, begins), profile, self.span.windows_max);
        drop(windows);
        self.changed.store(true, Ordering::Relaxed);
        match taken {
            Taken::Yes => {}
            Taken::Late => self.lose(0, rows),
            Taken::Crowded => self.lose(2, rows),
        }
    }

    /// Holds an exchange until there are enough to make cells from. Whether rows wait that were handed on.
    fn hold(&self, exchange: &Exchange<'_>) -> bool {
        let Example { inputs, outputs, rows } = exchange.example;
        let detached = |tensor: &Tensor| tensor.detached();
        let inputs: Vec<Option<Tensor>> = inputs.iter().map(|tensor| tensor.as_ref().map(detached)).collect();
        let outputs: Option<Vec<OutputTensor>> = outputs.map(|outputs| {
            outputs.iter().map(|o| OutputTensor { tensor: o.tensor.detached(), ..o.clone() }).collect()
        });
        let tensors = inputs.iter().flatten().chain(outputs.iter().flatten().map(|output| &output.tensor));
        let bytes = tensors.map(|tensor| tensor.data().len()).sum();
        let held = Held { arm: exchange.arm.clone(), at: exchange.at, inputs, outputs, rows, bytes };
        let mut learning = locked(&self.learning);
        if let Some(layout) = self.layout.get() {
            drop(learning);
            return self.add(layout, &held.arm, held.at, &held.example());
        }
        learning.push(held);
        let (rows, bytes) = learning.iter().fold((0, 0), |sum, held| (sum.0 + held.rows, sum.1 + held.bytes));
        if rows < LEARN_ROWS && bytes < LEARN_BYTES_MAX {
            return false;
        }
        let mut learner = Learner::new(&self.signature, self.schema.as_deref(), false);
        learning.iter().for_each(|held| learner.add(&held.example()));
        let layout = learner.layout(&self.signature, self.schema.as_deref());
        let layout = self.layout.get_or_init(|| Arc::new(layout)).clone();
        let held = std::mem::take(&mut *learning);
        drop(learning);
        let add = |held: &Held| self.add(&layout, &held.arm, held.at, &held.example());
        held.iter().fold(false, |rows_wait, held| add(held) | rows_wait)
    }

    /// Adds what is open at all threads to what is kept. Not for threads of requests: it copies.
    pub fn collect(&self) {
        for shard in &self.shards {
            let open = std::mem::take(&mut *locked(shard));
            open.into_iter().for_each(|open| self.keep(open));
        }
        // What they had handed on before is looked for behind them, so that nothing is missed between the two.
        let mut behind = locked(&self.behind);
        self.take_in_to(&mut behind);
        behind.drain(..).for_each(|open| self.keep(open));
    }

    /// What is known now; nothing while the cells are not.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        self.collect();
        let layout = self.layout.get()?.clone();
        let windows =
            locked(&self.windows).all().map(|(key, profile)| (key.clone(), profile.clone())).collect();
        Some(Kept { layout, training: self.training.clone(), windows })
    }

    /// How many windows are kept, without those that are open at threads alone.
    #[must_use]
    pub fn windows(&self) -> usize {
        locked(&self.windows).all().count()
    }

    /// What came since could not be written: it is to be asked for again.
    pub fn set_changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// Whether something came since this was asked last.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
