//! What became of the records of a model. At rest `sampled = written + dropped + queued`, exactly.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Why a record that was to be kept is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Loss {
    /// As many wait as may.
    QueueFull,
    /// Those that wait hold as many bytes as they may.
    QueueBytes,
    /// It has more rows or bytes than one record may.
    TooLarge,
    /// The spool is as large as it may be: parts are not made as fast as records come.
    SpoolFull,
    /// The log is as large as it may be, and is set to stop there.
    LogFull,
    /// Less is free on the disk than is to stay free.
    DiskReserve,
    /// The disk or the quota is full.
    DiskFull,
    /// The file system cannot be written to.
    ReadOnly,
    /// The directory is not there any more, or something else is in its place.
    Vanished,
    /// Writing fails otherwise.
    Failed,
    /// The gateway stopped.
    Stopped,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::QueueFull,
        Self::QueueBytes,
        Self::TooLarge,
        Self::SpoolFull,
        Self::LogFull,
        Self::DiskReserve,
        Self::DiskFull,
        Self::ReadOnly,
        Self::Vanished,
        Self::Failed,
        Self::Stopped,
    ];

    /// The word in metrics and statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::QueueBytes => "queue_bytes",
            Self::TooLarge => "too_large",
            Self::SpoolFull => "spool_full",
            Self::LogFull => "log_full",
            Self::DiskReserve => "disk_reserve",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::Vanished => "vanished",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// What a failure to write means.
    pub(super) fn of(error: &io::Error) -> Self {
        use io::ErrorKind::{NotADirectory, NotFound, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::DiskFull,
            ReadOnlyFilesystem => Self::ReadOnly,
            NotFound | NotADirectory => Self::Vanished,
            _ => Self::Failed,
        }
    }
}

/// What became of a model's records. Shared by threads.
#[derive(Debug, Default)]
pub struct Account {
    sampled: AtomicU64,
    queued: AtomicU64,
    written: AtomicU64,
    rows: AtomicU64,
    dropped: [AtomicU64; Loss::ALL.len()],
}

/// An account as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Records that were to be kept.
    pub sampled: u64,
    /// Those that are not written yet.
    pub queued: u64,
    /// Those that are written.
    pub written: u64,
    /// Their rows.
    pub rows: u64,
    /// Those that never will be, by [`Loss`].
    pub dropped: [u64; Loss::ALL.len()],
}

impl Account {
    /// A record is to be kept, and waits.
    pub fn queued(&self) {
        self.queued.fetch_add(1, Relaxed);
        self.sampled.fetch_add(1, Relaxed);
    }

    /// A record that waits is not kept any more.
    pub fn lost(&self, loss: Loss, records: u64) {
        self.dropped[loss as usize].fetch_add(records, Relaxed);
        self.queued.fetch_sub(records, Relaxed);
    }

    /// Records that waited are written.
    pub(super) fn written(&self, records: u64, rows: u64) {
        self.rows.fetch_add(rows, Relaxed);
        self.written.fetch_add(records, Relaxed);
        self.queued.fetch_sub(records, Relaxed);
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            sampled: self.sampled.load(Relaxed),
            queued: self.queued.load(Relaxed),
            written: self.written.load(Relaxed),
            rows: self.rows.load(Relaxed),
            dropped: std::array::from_fn(|loss| self.dropped[loss].load(Relaxed)),
        }
    }
}

impl Standing {
    /// All that never will be written.
    #[must_use]
    pub fn all_dropped(&self) -> u64 {
        self.dropped.iter().sum()
    }
}
