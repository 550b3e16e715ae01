//! Takes records in, and writes their rows to the spool.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use super::account::{Account, Loss};
use super::destination::names;
use super::frame::{batch_message, schema_message};
use super::layout::Layout;
use super::open::{Identity, OpenFile};
use super::part::{PartName, hour_of};
use super::record::Record;
use super::rows::Rows;
use super::spool_files::SpoolFiles;

/// The folder of the spool below that of the log.
pub(super) const SPOOL: &str = ".spool";
/// The file whose lock says that a gateway writes to a spool.
const LOCK: &str = "lock";
/// How long nothing is tried after a write has failed.
const REST: Duration = Duration::from_millis(250);

/// How much is held, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Rows that are written together at most, where a record has no more by itself.
    pub batch_rows: usize,
    /// Bytes of the tensors of all rows that wait.
    pub batch_bytes: usize,
    /// How long a row waits for others.
    pub batch_wait: Duration,
    /// The most rows of one record.
    pub record_rows_max: usize,
    /// The most bytes of its tensors.
    pub record_bytes_max: usize,
    /// From this size on a spool file is made a part.
    pub part_bytes: u64,
    /// And from this age on.
    pub part_age: Duration,
    /// The most spool files that are open at a time.
    pub open_max: usize,
    /// The most bytes of all spool files.
    pub spool_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batch_rows: 1024,
            batch_bytes: 4 << 20,
            batch_wait: Duration::from_millis(100),
            record_rows_max: 16_384,
            record_bytes_max: 16 << 20,
            part_bytes: 64 << 20,
            part_age: Duration::from_secs(600),
            open_max: 64,
            spool_bytes_max: 1 << 30,
        }
    }
}

/// What writer and store tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// All spool files.
    pub(super) files: SpoolFiles,
    /// The log is as large as it may be, and is to stop there.
    pub(super) is_full: AtomicBool,
    /// Hardly anything is free on the disk.
    pub(super) is_short: AtomicBool,
}

/// Writes records to the spool, as one thread calls it.
#[derive(Debug)]
pub struct Writer {
    spool: PathBuf,
    host: String,
    bounds: Bounds,
    shared: Arc<Shared>,
    /// The file whose lock says that this spool is ours.
    lock: Option<(File, Identity)>,
    buffers: HashMap<(Arc<str>, u64), Buffer>,
    /// Bytes of the tensors of all rows that are collected.
    bytes: usize,
    /// Spool files that nothing more is written to.
    sealed: Vec<PathBuf>,
    /// Until when nothing is tried, and why.
    resting: Option<(Instant, Loss)>,
    /// What is wrong with writing, until something is written again.
    problem: Option<String>,
    /// Why what is written is not brought to the disk.
    unsynced: Option<String>,
    /// Spool files that were no longer there while they were written to.
    vanished: u64,
}

/// What is collected for one file.
#[derive(Debug)]
struct Buffer {
    /// The name of the file that is made for the rows that wait, should they need one.
    name: PartName,
    rows: Rows,
    schema: arrow_schema::SchemaRef,
    /// Records whose rows are collected, by account.
    records: u64,
    account: Arc<Account>,
    /// Since when the oldest row waits.
    since: Instant,
    file: Option<OpenFile>,
    begun: Instant,
    used: Instant,
}

impl Writer {
    /// A writer for the log in `directory`, of the gateway on `host`. Nothing has to be there, and nothing need be
    /// writable: that is looked at when something is to be written.
    #[must_use]
    pub fn new(directory: &Path, host: &str, bounds: Bounds) -> Self {
        let host = super::part::host_of(host);
        let mut writer = Self {
            spool: directory.join(SPOOL).join(&host),
            host,
            bounds,
            shared: Arc::default(),
            lock: None,
            buffers: HashMap::new(),
            bytes: 0,
            sealed: Vec::new(),
            resting: None,
            problem: None,
            unsynced: None,
            vanished: 0,
        };
        if let Err(error) = writer.prepare() {
            writer.note(&error);
        }
        writer
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn spool(&self) -> &Path {
        &self.spool
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Takes in a record that waited ([`Account::queued`]). It is written or lost by now, or when the batch is.
    pub fn take(&mut self, layout: &Arc<Layout>, record: &Record<'_>, clock: SystemTime, now: Instant) {
        let is_large =
            record.examples() > self.bounds.record_rows_max || record.bytes() > self.bounds.record_bytes_max;
        if is_large {
            return layout.account.lost(Loss::TooLarge, 1);
        }
        let hour = hour_of(record.at);
        let key = (layout.fingerprint.clone(), hour);
        let buffer = self.buffers.entry(key.clone()).or_insert_with(|| {
            let name = PartName::new(&layout.model, record.at, &self.host, clock, record.id);
            Buffer {
                name,
                rows: Rows::new(layout),
                schema: layout.arrow.clone(),
                records: 0,
                account: layout.account.clone(),
                since: now,
                file: None,
                begun: now,
                used: now,
            }
        });
        if buffer.rows.count() == 0 {
            buffer.since = now;
            buffer.name = PartName::new(&layout.model, record.at, &self.host, clock, record.id);
        }
        buffer.rows.push(layout, record);
        buffer.records += 1;
        self.bytes += record.bytes();
        if buffer.rows.count() >= self.bounds.batch_rows {
            self.write(&key, now);
        } else if self.bytes >= self.bounds.batch_bytes {
            self.keys(|buffer| buffer.records > 0).iter().for_each(|key| self.write(key, now));
        }
    }

    /// Writes what has waited for long enough, and makes parts due that are large or old enough.
    pub fn tick(&mut self, now: Instant) {
        let Bounds { batch_wait, part_age, .. } = self.bounds;
        let due = |buffer: &Buffer| buffer.rows.count() > 0 && now.duration_since(buffer.since) >= batch_wait;
        for key in self.keys(due) {
            self.write(&key, now);
        }
        let old = |buffer: &Buffer| buffer.file.is_some() && now.duration_since(buffer.begun) >= part_age;
        for key in self.keys(old) {
            self.seal(&key);
        }
        self.buffers.retain(|_, buffer| buffer.rows.count() > 0 || buffer.file.is_some());
    }

    /// Writes all that is collected, and seals all files.
    pub fn finish(&mut self, now: Instant) {
        for key in self.keys(|_| true) {
            self.write(&key, now);
            self.seal(&key);
        }
        self.buffers.clear();
    }

    /// Sees to it that all that is written is on the disk.
    pub fn sync(&mut self) {
        let synced: io::Result<()> =
            self.buffers.values_mut().filter_map(|buffer| buffer.file.as_mut()).try_for_each(OpenFile::sync);
        // One whose folder is gone is found by the next look.
        let failed = synced.err().filter(|error| error.kind() != io::ErrorKind::NotFound);
        self.unsynced = failed.map(|error| self.said(&error));
    }

    /// Looks whether what is written to still lies below the directory, which people may have moved away, deleted or
    /// replaced. What does not is let go, and the directory made anew; where something was wrong it is tried whether
    /// writing works again. To be called now and then, also where nothing comes.
    pub fn look(&mut self) {
        let gone = |file: &OpenFile| !file.is_there().unwrap_or(true);
        for buffer in self.buffers.values_mut() {
            if let Some(file) = buffer.file.take_if(|file| gone(file)) {
                self.vanished += 1;
                self.shared.files.forget(file.path());
            }
        }
        if self.problem.is_none() && self.holds_lock() {
            return;
        }
        match self.prepare().and_then(|()| self.probe()) {
            Ok(()) => self.problem = None,
            Err(error) => self.note(&error),
        }
    }

    /// Whether the spool can be written to.
    fn probe(&self) -> io::Result<()> {
        #[cfg(debug_assertions)]
        super::fault::before_write()?;
        let Some((lock, _)) = &self.lock else { return Ok(()) };
        lock.set_len(0)?;
        lock.write_all_at(b"\n", 0)
    }

    /// Spool files that nothing more is written to, each given once.
    pub fn sealed(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.sealed)
    }

    /// What is wrong at the moment.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref().or(self.unsynced.as_deref())
    }

    /// How many spool files were no longer below the directory while they were written to. Their rows count as written:
    /// they are wherever the files are.
    #[must_use]
    pub fn vanished(&self) -> u64 {
        self.vanished
    }

    fn keys(&self, wanted: impl Fn(&Buffer) -> bool) -> Vec<(Arc<str>, u64)> {
        let wanted = self.buffers.iter().filter(|(_, buffer)| wanted(buffer));
        wanted.map(|(key, _)| key.clone()).collect()
    }

    /// Writes what is collected of a buffer.
    fn write(&mut self, key: &(Arc<str>, u64), now: Instant) {
        let Some(mut buffer) = self.buffers.remove(key) else { return };
        let (records, rows) = (buffer.records, buffer.rows.count() as u64);
        buffer.records = 0;
        self.bytes -= buffer.rows.bytes();
        if records > 0 {
            match self.try_write(&mut buffer, now) {
                Ok(()) => buffer.account.written(records, rows),
                Err(loss) => buffer.account.lost(loss, records),
            }
        }
        let is_large = buffer.file.as_ref().is_some_and(|file| file.length() >= self.bounds.part_bytes);
        self.buffers.insert(key.clone(), buffer);
        if is_large {
            self.seal(key);
        }
    }

    fn try_write(&mut self, buffer: &mut Buffer, now: Instant) -> Result<(), Loss> {
        let batch = buffer.rows.finish();
        if let Some((until, loss)) = self.resting
            && now < until
        {
            return Err(loss);
        }
        if self.shared.is_full.load(Relaxed) {
            return Err(Loss::LogFull);
        }
        if self.shared.is_short.load(Relaxed) {
            return Err(Loss::DiskReserve);
        }
        if self.shared.files.bytes() >= self.bounds.spool_bytes_max {
            return Err(Loss::SpoolFull);
        }
        let message = batch.and_then(|batch| batch_message(&batch)).map_err(|error| {
            self.problem = Some(format!("rows cannot be encoded: {error}"));
            Loss::Failed
        })?;
        self.append(buffer, &message, now).map_err(|error| {
            let loss = Loss::of(&error);
            self.note(&error);
            self.resting = Some((now + REST, loss));
            loss
        })?;
        self.problem = None;
        Ok(())
    }

    /// Adds a message to the file of a buffer, or to a new one where it has none or that is no longer in its place.
    fn append(&mut self, buffer: &mut Buffer, message: &[u8], now: Instant) -> io::Result<()> {
        if let Some(file) = buffer.file.take() {
            let appended = self.append_to(file, buffer, message, now);
            if appended.as_ref().is_ok_and(|is_there| *is_there) || appended.is_err() {
                return appended.map(drop);
            }
        }
        self.prepare()?;
        self.make_room();
        let first = schema_message(&buffer.schema).map_err(io::Error::other)?;
        let file = OpenFile::create(&self.spool.join(buffer.name.spool_file()), &first)?;
        self.shared.files.grow(file.path(), file.length());
        buffer.begun = now;
        if self.append_to(file, buffer, message, now)? { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Whether the file was still in its place. Where it was not, the message is not in it either.
    fn append_to(
        &mut self,
        mut file: OpenFile,
        buffer: &mut Buffer,
        message: &[u8],
        now: Instant,
    ) -> io::Result<bool> {
        match file.append(message) {
            Ok(()) => {
                self.shared.files.grow(file.path(), message.len() as u64);
                buffer.used = now;
                buffer.file = Some(file);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.vanished += 1;
                self.shared.files.forget(file.path());
                Ok(false)
            }
            // What was written to it before is there.
            Err(error) => {
                self.sealed.push(file.path().to_owned());
                Err(error)
            }
        }
    }

    /// Nothing more is written to the file of a buffer.
    fn seal(&mut self, key: &(Arc<str>, u64)) {
        let Some(file) = self.buffers.get_mut(key).and_then(|buffer| buffer.file.take()) else { return };
        self.sealed.push(file.path().to_owned());
    }

    /// Seals the file that was written to longest ago, where there are as many as may be.
    fn make_room(&mut self) {
        let open = || self.buffers.iter().filter(|(_, buffer)| buffer.file.is_some());
        // The one that is made has been taken out.
        if open().count() < self.bounds.open_max {
            return;
        }
        let longest_ago = open().min_by_key(|(_, buffer)| buffer.used).map(|(key, _)| key.clone());
        if let Some(key) = longest_ago {
            self.seal(&key);
        }
    }

    /// Sees to it that the spool is there and nobody else's. What another process left in it is sealed.
    fn prepare(&mut self) -> io::Result<()> {
        if self.holds_lock() {
            return Ok(());
        }
        // The one that was held may lie in the same place again.
        self.lock = None;
        self.sealed.retain(|path| path.exists());
        self.shared.files.retain(|path| path.exists());
        fs::create_dir_all(&self.spool)?;
        let lock = File::create(self.spool.join(LOCK))?;
        lock.try_lock().map_err(|_| {
            let what = format!("another gateway on this host writes to {}", self.spool.display());
            io::Error::new(io::ErrorKind::ResourceBusy, what)
        })?;
        let open: Vec<&Path> =
            self.buffers.values().filter_map(|buffer| Some(buffer.file.as_ref()?.path())).collect();
        for file in names(&self.spool)? {
            let path = self.spool.join(&file);
            if file.ends_with(TEMPORARY) {
                // It was to become a part that is made anew.
                fs::remove_file(&path)?;
            } else if PartName::of_spool_file(&file, &self.host).is_some()
                && !open.contains(&path.as_path())
                && !self.sealed.contains(&path)
            {
                self.shared.files.set(&path, fs::metadata(&path)?.len());
                self.sealed.push(path);
            }
        }
        let identity = Identity::of(&lock.metadata()?);
        self.lock = Some((lock, identity));
        Ok(())
    }

    /// Whether the spool is there, and ours.
    fn holds_lock(&self) -> bool {
        let path = self.spool.join(LOCK);
        self.lock.as_ref().is_some_and(|(_, identity)| identity.is_at(&path).unwrap_or(true))
    }

    fn note(&mut self, error: &io::Error) {
        self.problem = Some(self.said(error));
    }

    fn said(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.spool.display())
    }
}

/// How files end that become parts when they are whole.
pub(super) const TEMPORARY: &str = ".tmp";
