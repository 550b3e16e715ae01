//! Being woken when something in the registry's folder changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::fs::FileType;

use super::folder::Folder;
use crate::file_fault::{FileError, FileFault};
use crate::limits::Limits;

/// File systems on which other hosts write without this one being told, by the numbers of statfs(2).
const REMOTE: [(u32, &str); 12] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xfe53_4d42, "SMB2"),
    (0xff53_4d42, "CIFS"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x5346_414f, "AFS"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
];

/// File events of a registry: they last as long as this value.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
    root: PathBuf,
    identity: (u64, u64),
    state: Arc<State>,
    limits: Limits,
}

/// What the events have shown.
#[derive(Debug, Default)]
struct State {
    /// The watched folder has gone or is called otherwise, or the system takes no more watches.
    lost: AtomicBool,
    /// There may be more folders than there were.
    grown: AtomicBool,
}

/// File events are not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("file events are not to be had, polling alone is used: {reason}")]
pub struct WatchError {
    reason: String,
}

impl WatchError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<FileError> for WatchError {
    fn from(error: FileError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<std::io::Error> for WatchError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<notify::Error> for WatchError {
    fn from(error: notify::Error) -> Self {
        match error.kind {
            notify::ErrorKind::MaxFilesWatch => {
                Self::new("the system has no more watches (raise fs.inotify.max_user_watches)")
            }
            _ => Self::new(error.to_string()),
        }
    }
}

impl Watch {
    /// Watches the folder that `root` leads to, and every folder in it.
    pub(super) fn start(
        root: &Path,
        wake: Box<dyn Fn() + Send + Sync>,
        limits: &Limits,
    ) -> Result<Self, WatchError> {
        let folder = Folder::root(root).map_err(std::io::Error::from)?;
        let kind = folder.file_system()?;
        if let Some((_, name)) = REMOTE.iter().find(|(number, _)| *number == kind) {
            return Err(WatchError::new(format!("{name} does not tell of what other hosts write")));
        }
        let identity = identity(&folder)?;
        bounded(&folder, limits)?;

        // Events name paths below the folder itself, whatever links lead to it.
        let path = std::fs::canonicalize(root)?;
        let state = Arc::new(State::default());
        let (seen, watched) = (state.clone(), path.clone());
        let tell = move |event: notify::Result<Event>| {
            if seen.note(&watched, &event) {
                wake();
            }
        };
        // A link would lead out of the registry.
        let config = notify::Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(tell, config)?;
        watcher.watch(&path, RecursiveMode::Recursive)?;
        Ok(Self { _watcher: watcher, root: root.to_owned(), identity, state, limits: limits.clone() })
    }

    /// Whether it still watches all of the folder that the registry's path leads to. A folder that
    /// was removed, renamed or replaced is not it, and one of more folders than are watched is not
    /// all: then another watch has to be asked for.
    #[must_use]
    pub fn holds(&self) -> bool {
        let Ok(folder) = Folder::root(&self.root) else { return false };
        let grown = self.state.grown.swap(false, Ordering::Relaxed);
        !self.state.lost.load(Ordering::Relaxed)
            && identity(&folder).is_ok_and(|identity| identity == self.identity)
            && (!grown || bounded(&folder, &self.limits).is_ok())
    }
}

impl State {
    /// Notes an event of the folder `root`, and says whether it is one to wake for.
    fn note(&self, root: &Path, event: &notify::Result<Event>) -> bool {
        let Ok(event) = event else {
            self.lost.store(true, Ordering::Relaxed);
            return true;
        };
        let is_root = event.paths.iter().any(|path| path == root);
        match event.kind {
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) if is_root => {
                self.lost.store(true, Ordering::Relaxed);
            }
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)) => {
                self.grown.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        // Reading changes nothing, or every look at the registry would call for another.
        !matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
    }
}

fn identity(folder: &Folder) -> Result<(u64, u64), FileError> {
    let status = folder.status()?;
    Ok((status.device, status.inode))
}

/// Sees to it that no more folders are watched than may be.
fn bounded(root: &Folder, limits: &Limits) -> Result<(), WatchError> {
    let mut found = 1;
    let mut left = vec![Vec::from(b".")];
    while let Some(path) = left.pop() {
        let names = match root.folder(path.as_slice()).and_then(|folder| folder.names(limits.entries_max)) {
            Err(FileError { fault: FileFault::Missing, .. }) => continue, // it has gone since
            names => names?,
        };
        let folders = names.into_iter().filter(|(_, kind)| *kind == FileType::Directory);
        left.extend(
            folders.inspect(|_| found += 1).map(|(name, _)| [&path, &b"/"[..], name.as_bytes()].concat()),
        );
        if found > limits.watches_max {
            let limit = limits.watches_max;
            return Err(WatchError::new(format!("there are more than {limit} folders (watches_max)")));
        }
    }
    Ok(())
}
