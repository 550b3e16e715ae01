//! Takes in the examples of a version on the threads that answered them.
//!
//! Each thread has a part of its own, so its lock is held by nobody else but for the moment in which what it has is
//! taken away. Windows are told apart by when an example is from; what is open at a thread is added to what is kept
//! when the thread comes to too many, and whenever somebody [collects](Recorder::collect).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pointsman_core::{Arm, OutputTensor, Schema, Signature, Tensor};

use super::baseline::Reference;
use super::example::Example;
use super::layout::Layout;
use super::learner::Learner;
use super::sample::Profile;
use super::windows::{Key, Taken, Windows};

/// Parts that threads have for themselves.
const SHARDS: usize = 8;
/// The most windows that are open in one part.
const OPEN_MAX: usize = 4;
/// Numbers that are taken in together: those of so many rows that the cells of a column, once at hand, are used often,
/// in some tens of microseconds.
const WAITING_NUMBERS: usize = 8192;
/// The least and the most of such rows.
const WAITING_ROWS: [usize; 2] = [16, 256];
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
    learning: Mutex<Vec<Held>>,
    windows: Mutex<Windows>,
    lost: [AtomicU64; 3],
    changed: AtomicBool,
}

/// A window that is open at a thread.
#[derive(Debug)]
struct Open {
    arm: Arm,
    /// When its time begins, and when its first row is from.
    window: i64,
    first: u64,
    profile: Profile,
    /// The numbers of rows that are to be taken in together, row by row. The cells of a column are then at hand for all
    /// of them: one by one, each value would wait for memory.
    waiting: Vec<f64>,
    rows: u64,
    /// From so many rows they are taken in.
    rows_max: u64,
}

impl Open {
    fn new(arm: Arm, window: i64, first: u64, layout: &Layout) -> Self {
        let [least, most] = WAITING_ROWS;
        let rows_max = (WAITING_NUMBERS / layout.columns().len().max(1)).clamp(least, most) as u64;
        let profile = Profile::new(layout);
        Self { arm, window, first, profile, waiting: Vec::new(), rows: 0, rows_max }
    }

    fn add(&mut self, layout: &Layout, example: &Example<'_>) {
        if example.rows > self.rows_max {
            return self.profile.add(layout, example);
        }
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(2 * self.rows_max as usize * layout.columns().len());
        }
        example.numbers(layout, &mut self.waiting);
        self.profile.add_texts_alone(layout, example);
        self.rows += example.rows;
        if self.rows >= self.rows_max {
            self.take_in(layout);
        }
    }

    fn take_in(&mut self, layout: &Layout) {
        self.profile.add_rows(layout, &self.waiting, self.rows);
        self.waiting.clear();
        self.rows = 0;
    }
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
    pub fn record(&self, exchange: &Exchange<'_>) {
        let seconds = self.span.seconds.max(1);
        if exchange.at > exchange.now.saturating_add(seconds) {
            return self.lose(1, exchange.example.rows);
        }
        let Some(layout) = self.layout.get() else { return self.hold(exchange) };
        self.add(layout, exchange.arm, exchange.at, &exchange.example);
    }

    fn add(&self, layout: &Layout, arm: &Arm, at: u64, example: &Example<'_>) {
        let seconds = self.span.seconds.max(1);
        let (first, window) = (at, i64::try_from(at / seconds * seconds).unwrap_or(i64::MAX));
        let mut open = locked(&self.shards[own_shard()]);
        let at = open.iter().position(|open| open.window == window && open.arm == *arm);
        let at = at.unwrap_or_else(|| {
            if open.len() >= OPEN_MAX {
                let oldest =
                    open.iter().enumerate().min_by_key(|(_, open)| open.window).map_or(0, |(at, _)| at);
                let oldest = open.swap_remove(oldest);
                self.keep(oldest);
            }
            open.push(Open::new(arm.clone(), window, first, layout));
            open.len() - 1
        });
        open[at].add(layout, example);
        // So that no window grows far past its end at the threads.
        let most = self.span.rows_max.map_or(u64::MAX, |most| (most / SHARDS as u64).max(1));
        if open[at].profile.rows() + open[at].rows >= most {
            let full = open.swap_remove(at);
            self.keep(full);
        }
    }

    /// Adds what was open at a thread to what is kept.
    fn keep(&self, mut open: Open) {
        let Some(layout) = self.layout.get() else { return };
        open.take_in(layout);
        let Open { arm, window, first, profile, .. } = open;
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

    /// Holds an exchange until there are enough to make cells from.
    fn hold(&self, exchange: &Exchange<'_>) {
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
            return;
        }
        let mut learner = Learner::new(&self.signature, self.schema.as_deref(), false);
        learning.iter().for_each(|held| learner.add(&held.example()));
        let layout = learner.layout(&self.signature, self.schema.as_deref());
        let layout = self.layout.get_or_init(|| Arc::new(layout)).clone();
        let held = std::mem::take(&mut *learning);
        drop(learning);
        held.iter().for_each(|held| self.add(&layout, &held.arm, held.at, &held.example()));
    }

    /// Adds what is open at all threads to what is kept. Not for threads of requests: it copies.
    pub fn collect(&self) {
        for shard in &self.shards {
            let open = std::mem::take(&mut *locked(shard));
            open.into_iter().for_each(|open| self.keep(open));
        }
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

    /// Whether something came since this was asked last.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
