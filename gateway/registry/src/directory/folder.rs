//! Folders and files opened so that nothing outside the registry's root can be meant.
//!
//! A folder is held open, and what is in it is opened relative to it, never by a path that is put
//! together. The kernel refuses every symbolic link on the way (`openat2`); on kernels without that
//! call each part of a name is opened by itself, which refuses links as well.

use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::digest::{Digest, Digester};
use crate::file_fault::{FileError, FileFault};

/// Bytes that are read and hashed at a time, while they are in the processor's cache.
const CHUNK: usize = 256 << 10;

/// A folder that is open.
pub(super) struct Folder {
    fd: OwnedFd,
    /// Its path below the root, for messages alone.
    path: String,
}

/// Something in a folder.
pub(super) struct Entry {
    /// The name as the system has it.
    pub(super) raw: CString,
    /// The name as text; what is not UTF-8 becomes a character that no valid name has.
    pub(super) name: String,
    pub(super) kind: EntryKind,
}

/// What an entry is. Links are not followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Folder,
    Symlink,
    Other,
}

/// A limit on a file's size, with its key.
#[derive(Clone, Copy)]
pub(super) struct SizeLimit {
    pub(super) bytes: u64,
    pub(super) key: &'static str,
}

/// Whether a file may have other names. A file of the layout may: whole registries are copied by
/// links. What a model, a manifest or a configuration names may not: it chose the name, and the
/// other one may be outside the registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Any,
    One,
}

impl Folder {
    /// Opens the registry's root. The path is the operator's own, and may be a link.
    pub(super) fn root(path: &Path) -> Result<Self, Errno> {
        let fd = rustix::fs::openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, path: String::new() })
    }

    /// Opens a folder of this one.
    pub(super) fn folder(&self, name: impl rustix::path::Arg) -> Result<Self, FileError> {
        let shown = name.to_string_lossy().into_owned();
        match open(self.fd.as_fd(), name, OFlags::DIRECTORY) {
            Ok(fd) => Ok(Self { fd, path: self.path_of(&shown) }),
            Err(errno) => Err(self.error(&shown, fault(errno))),
        }
    }

    /// Opens a file of this folder or of one below it.
    pub(super) fn file(&self, name: &str, limit: SizeLimit, links: Links) -> Result<OpenFile, FileError> {
        // Without O_NONBLOCK the opening of a pipe waits for a writer.
        let file = match open(self.fd.as_fd(), name, OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(fd) => File::from(fd),
            Err(errno) => return Err(self.error(name, fault(errno))),
        };
        let status = Status::of(&file).map_err(|errno| self.error(name, fault(errno)))?;
        let fault = if status.kind != FileType::RegularFile {
            FileFault::NotAFile
        } else if links == Links::One && status.links > 1 {
            FileFault::HardLink { links: status.links }
        } else if status.size > limit.bytes {
            FileFault::TooLarge { size: status.size, limit: limit.bytes, key: limit.key }
        } else {
            return Ok(OpenFile { file, status, path: self.path_of(name) });
        };
        Err(self.error(name, fault))
    }

    /// What is in this folder, by name, without what begins with a dot.
    pub(super) fn entries(&self, max: usize) -> Result<Vec<Entry>, FileError> {
        let names = self.names(max)?.into_iter().filter(|(raw, _)| !raw.as_bytes().starts_with(b"."));
        let entry = |(raw, kind): (CString, FileType)| {
            let kind = match kind {
                FileType::Directory => EntryKind::Folder,
                FileType::Symlink => EntryKind::Symlink,
                _ => EntryKind::Other,
            };
            Entry { name: raw.to_string_lossy().into_owned(), raw, kind }
        };
        Ok(names.map(entry).collect())
    }

    /// Everything in this folder with what the system says about it, by name.
    pub(super) fn statuses(&self, max: usize) -> Result<Vec<(CString, Status)>, FileError> {
        let mut statuses = Vec::new();
        for (raw, _) in self.names(max)? {
            match rustix::fs::statat(&self.fd, &raw, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => statuses.push((raw, Status::from_stat(&stat))),
                Err(Errno::NOENT) => {} // it has gone since
                Err(errno) => return Err(self.error(&raw.to_string_lossy(), fault(errno))),
            }
        }
        Ok(statuses)
    }

    /// The names in this folder, ordered, with the kind of each. Of more than `max` it is an error:
    /// which of them are read would be chance.
    pub(super) fn names(&self, max: usize) -> Result<Vec<(CString, FileType)>, FileError> {
        let system = |errno| self.error("", fault(errno));
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(system)? {
            let entry = entry.map_err(system)?;
            let raw = entry.file_name();
            if matches!(raw.to_bytes(), b"." | b"..") {
                continue;
            }
            if names.len() >= max {
                return Err(self.error("", FileFault::TooManyEntries { limit: max }));
            }
            let kind = match entry.file_type() {
                // Some file systems do not say.
                FileType::Unknown => match rustix::fs::statat(&self.fd, raw, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(_) => continue, // it has gone since
                },
                kind => kind,
            };
            names.push((raw.to_owned(), kind));
        }
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(names)
    }

    /// What the system says about this folder itself.
    pub(super) fn status(&self) -> Result<Status, FileError> {
        Status::of(&self.fd).map_err(|errno| self.error("", fault(errno)))
    }

    /// The number by which the system knows the kind of file system that this folder is in.
    // The field's type differs between architectures.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    pub(super) fn file_system(&self) -> Result<u32, FileError> {
        let stat = rustix::fs::fstatfs(&self.fd).map_err(|errno| self.error("", fault(errno)))?;
        Ok(stat.f_type as u32)
    }

    /// The path of something in this folder, for messages.
    pub(super) fn path_of(&self, name: &str) -> String {
        match (self.path.is_empty(), name.is_empty()) {
            (true, true) => ".".into(),
            (true, false) => name.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}/{name}", self.path),
        }
    }

    fn error(&self, name: &str, fault: FileFault) -> FileError {
        FileError { file: self.path_of(name), fault }
    }
}

/// A regular file that is open and within its limit.
pub(super) struct OpenFile {
    file: File,
    status: Status,
    path: String,
}

impl OpenFile {
    /// Its size.
    pub(super) fn size(&self) -> u64 {
        self.status.size
    }

    /// Reads it whole, with its digest.
    pub(super) fn read(self) -> Result<(Vec<u8>, Digest), FileError> {
        let mut bytes = vec![0; self.length()?];
        let digest = self.fill(&mut bytes)?;
        Ok((bytes, digest))
    }

    /// Reads it whole into memory that can be shared, with its digest. There is no second copy.
    pub(super) fn read_shared(self) -> Result<(Arc<[u8]>, Digest), FileError> {
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, self.length()?).collect();
        let digest = self.fill(Arc::make_mut(&mut bytes))?;
        Ok((bytes, digest))
    }

    /// Its digest alone.
    pub(super) fn digest(mut self) -> Result<Digest, FileError> {
        let mut digester = Digester::default();
        let mut left = self.status.size;
        let mut chunk = vec![0; CHUNK];
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            self.exactly(&mut chunk[..length], &mut digester)?;
            left -= length as u64;
        }
        self.unchanged()?;
        Ok(digester.finish())
    }

    fn length(&self) -> Result<usize, FileError> {
        usize::try_from(self.status.size).map_err(|_| {
            let limit = usize::MAX as u64;
            self.error(FileFault::TooLarge { size: self.status.size, limit, key: "address space" })
        })
    }

    fn fill(mut self, bytes: &mut [u8]) -> Result<Digest, FileError> {
        let mut digester = Digester::default();
        for chunk in bytes.chunks_mut(CHUNK) {
            self.exactly(chunk, &mut digester)?;
        }
        self.unchanged()?;
        Ok(digester.finish())
    }

    fn exactly(&mut self, chunk: &mut [u8], digester: &mut Digester) -> Result<(), FileError> {
        self.file.read_exact(chunk).map_err(|error| {
            self.error(match error.kind() {
                ErrorKind::UnexpectedEof => FileFault::Changed,
                _ => FileFault::System { reason: error.to_string() },
            })
        })?;
        digester.update(chunk);
        Ok(())
    }

    /// Half of an old file and half of a new one would be neither.
    fn unchanged(&self) -> Result<(), FileError> {
        let now = Status::of(&self.file).map_err(|errno| self.error(fault(errno)))?;
        let same = now.size == self.status.size && now.modified == self.status.modified;
        if same { Ok(()) } else { Err(self.error(FileFault::Changed)) }
    }

    fn error(&self, fault: FileFault) -> FileError {
        FileError { file: self.path.clone(), fault }
    }
}

/// What the system says about a file or folder.
#[derive(Clone, Copy)]
pub(super) struct Status {
    pub(super) kind: FileType,
    pub(super) size: u64,
    pub(super) links: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Seconds and nanoseconds of the last writing.
    pub(super) modified: (i128, i128),
    /// The same of the last change of any kind, which no tool can set.
    pub(super) changed: (i128, i128),
}

impl Status {
    fn of(fd: impl AsFd) -> Result<Self, Errno> {
        rustix::fs::fstat(fd).map(|stat| Self::from_stat(&stat))
    }

    // The fields' types differ between architectures: on some of them a conversion changes nothing.
    #[allow(clippy::useless_conversion)]
    fn from_stat(stat: &Stat) -> Self {
        Self {
            kind: FileType::from_raw_mode(stat.st_mode),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            links: u64::from(stat.st_nlink),
            device: u64::from(stat.st_dev),
            inode: u64::from(stat.st_ino),
            modified: (i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec)),
            changed: (i128::from(stat.st_ctime), i128::from(stat.st_ctime_nsec)),
        }
    }

    /// The later of its two times; nothing where they are none that a clock shows.
    pub(super) fn newest(&self) -> Option<SystemTime> {
        let (seconds, nanoseconds) = self.modified.max(self.changed);
        let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    }
}

fn fault(errno: Errno) -> FileFault {
    match errno {
        Errno::NOENT => FileFault::Missing,
        Errno::LOOP | Errno::XDEV => FileFault::Symlink,
        Errno::NOTDIR => FileFault::NotAFolder,
        // A socket, or a device without a driver.
        Errno::NXIO | Errno::NODEV => FileFault::NotAFile,
        errno => FileFault::System { reason: std::io::Error::from(errno).to_string() },
    }
}

/// Opens something below `folder` for reading, following no link.
fn open(folder: BorrowedFd<'_>, name: impl rustix::path::Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
    /// How often a name is tried again while folders are being moved about.
    const TRIES: usize = 16;
    let name = name.into_c_str()?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    for _ in 0..TRIES {
        match rustix::fs::openat2(folder, &*name, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {
                return open_by_parts(folder, name.to_bytes(), flags | OFlags::NOFOLLOW);
            }
            opened => return opened,
        }
    }
    Err(Errno::AGAIN)
}

/// As [`open`], part by part.
fn open_by_parts(folder: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut parts = name.split(|&b| b == b'/');
    let last = parts.next_back().unwrap_or_default();
    let mut inner: Option<OwnedFd> = None;
    for part in parts {
        let within = inner.as_ref().map_or(folder, |fd| fd.as_fd());
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        inner = Some(open_part(within, part, flags)?);
    }
    open_part(inner.as_ref().map_or(folder, |fd| fd.as_fd()), last, flags)
}

fn open_part(folder: BorrowedFd<'_>, part: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    if part == b".." || part.is_empty() {
        return Err(Errno::XDEV);
    }
    match rustix::fs::openat(folder, part, flags, Mode::empty()) {
        // A link to a folder, opened as a folder, is reported as none.
        Err(Errno::NOTDIR) => {
            let stat = rustix::fs::statat(folder, part, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            Err(if is_link { Errno::LOOP } else { Errno::NOTDIR })
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_ways_of_opening_refuse_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path();
        std::fs::create_dir_all(path.join("sub")).expect("a folder");
        std::fs::write(path.join("sub/file"), "x").expect("a file");
        symlink("sub", path.join("folder_link")).expect("a link");
        symlink("sub/file", path.join("file_link")).expect("a link");
        symlink("/etc", path.join("outward")).expect("a link");
        let root = Folder::root(path).expect("opens");
        for (name, expected) in [
            ("sub/file", None),
            ("./sub/./file", None),
            ("file_link", Some(Errno::LOOP)),
            ("folder_link/file", Some(Errno::LOOP)),
            ("outward/passwd", Some(Errno::LOOP)),
            ("sub/../sub/file", None),
            ("../x", Some(Errno::XDEV)),
            ("none", Some(Errno::NOENT)),
            ("sub/file/x", Some(Errno::NOTDIR)),
        ] {
            let by_kernel = open(root.fd.as_fd(), name, OFlags::NONBLOCK).err();
            assert_eq!(by_kernel, expected, "{name}");
            if name.contains("..") {
                // Without the kernel's help no `..` is followed, even where it would stay inside.
                assert!(open_by_parts(root.fd.as_fd(), name.as_bytes(), OFlags::NOFOLLOW).is_err());
            } else {
                let by_parts = open_by_parts(root.fd.as_fd(), name.as_bytes(), OFlags::NOFOLLOW).err();
                assert_eq!(by_parts, expected, "{name}");
            }
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("file"), "abc").expect("a file");
        let root = Folder::root(dir.path()).expect("opens");
        let limit = SizeLimit { bytes: 10, key: "test" };
        let open = || root.file("file", limit, Links::One).expect("opens");
        for content in ["", "abcd", "ab"] {
            let file = open();
            std::fs::write(dir.path().join("file"), content).expect("written");
            assert_eq!(file.read().expect_err("changed").fault, FileFault::Changed);
        }
        let file = open();
        std::fs::write(dir.path().join("file"), "xy").expect("written");
        // A file system's clock may not have moved on between the two: the size is the same.
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
        file.file.try_clone().and_then(|f| f.set_modified(later)).unwrap_or_default();
        assert_eq!(file.read_shared().expect_err("changed").fault, FileFault::Changed);
    }
}
