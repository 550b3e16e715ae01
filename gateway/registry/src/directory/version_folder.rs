//! A look at the folder of one version: which state it is in and whether all of it is there. No file
//! of it is read but its manifest.

use std::collections::BTreeSet;
use std::time::SystemTime;

use pointsman_core::VersionNumber;
use rustix::fs::FileType;

use super::card_limit;
use super::folder::{Folder, Links, Status};
use crate::file_fault::{FileError, FileFault};
use crate::leftover::Leftover;
use crate::limits::Limits;
use crate::listing::{FolderState, Traces, Unfinished, VersionListing};
use crate::manifest::Manifest;
use crate::problem::{Problem, one_line};
use crate::stamp::{Stamp, Stamper};

/// The model's file, where a Triton configuration names no other.
pub(super) const MODEL: &str = "model.onnx";
pub(super) const MANIFEST: &str = "manifest.toml";
/// What withdraws a version, in its folder, or a model, in the model's. It need hold nothing.
pub(super) const TOMBSTONE: &str = "tombstone";

/// Lists the version `number` of the model in `model`, whose file is `model_file`. A folder that
/// cannot be looked at is unsettled, with the reason.
pub(super) fn list(
    model: &Folder,
    number: VersionNumber,
    model_file: &str,
    limits: &Limits,
) -> VersionListing {
    let looked =
        model.folder(number.to_string()).and_then(|folder| Ok((Contents::of(&folder, limits)?, folder)));
    match looked {
        Ok((contents, folder)) => contents.listing(number, &folder, model_file, limits),
        Err(error) => {
            let reason = error.to_string();
            let mut stamper = Stamper::default();
            stamper.add(reason.as_bytes());
            VersionListing {
                number,
                stamp: stamper.finish(),
                bytes: 0,
                folder: FolderState::Unsettled { reason },
                traces: Traces::default(),
            }
        }
    }
}

/// The state that the folder of a version is in.
pub(super) fn stamp(folder: &Folder, model_file: &str, limits: &Limits) -> Result<Stamp, FileError> {
    Ok(Contents::of(folder, limits)?.stamp(model_file))
}

/// All that lies in a version's folder, at any depth, by the paths' order. Links are not followed.
struct Contents {
    folder: Status,
    entries: Vec<Found>,
}

/// One thing in the folder of a version.
struct Found {
    /// Its path below the folder.
    path: Vec<u8>,
    status: Status,
}

impl Contents {
    fn of(folder: &Folder, limits: &Limits) -> Result<Self, FileError> {
        let mut contents = Self { folder: folder.status()?, entries: Vec::new() };
        contents.add(folder, b"", limits)?;
        // Folders that are still to be looked into are found on the way.
        let mut next = 0;
        while let Some(found) = contents.entries.get(next) {
            if found.status.kind == FileType::Directory {
                let path = found.path.clone();
                if path.iter().filter(|&&b| b == b'/').count() + 1 > limits.depth_max {
                    let file = folder.path_of(&String::from_utf8_lossy(&path));
                    return Err(FileError { file, fault: FileFault::TooDeep { limit: limits.depth_max } });
                }
                contents.add(&folder.folder(path.as_slice())?, &path, limits)?;
            }
            next += 1;
        }
        contents.entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(contents)
    }

    /// Adds what is in the folder at `path`.
    fn add(&mut self, folder: &Folder, path: &[u8], limits: &Limits) -> Result<(), FileError> {
        let left = limits.entries_max.saturating_sub(self.entries.len());
        let statuses = folder.statuses(left).map_err(|mut error| {
            if let FileFault::TooManyEntries { limit } = &mut error.fault {
                *limit = limits.entries_max;
            }
            error
        })?;
        for (name, status) in statuses {
            let path =
                if path.is_empty() { name.into_bytes() } else { [path, b"/", name.as_bytes()].concat() };
            self.entries.push(Found { path, status });
        }
        Ok(())
    }

    fn stamp(&self, model_file: &str) -> Stamp {
        let mut stamper = Stamper::default();
        stamper.add(model_file.as_bytes());
        add_status(&mut stamper, &self.folder);
        self.entries.iter().for_each(|found| found.add_to(&mut stamper));
        stamper.finish()
    }

    fn bytes(&self) -> u64 {
        let files = self.entries.iter().filter(|found| found.status.kind == FileType::RegularFile);
        files.fold(0, |sum, found| sum.saturating_add(found.status.size))
    }

    /// The newest time stamp of the folder and all that is in it.
    fn newest(&self) -> Option<SystemTime> {
        newest(std::iter::once(&self.folder).chain(self.entries.iter().map(|found| &found.status)))
    }

    fn listing(
        &self,
        number: VersionNumber,
        folder: &Folder,
        model_file: &str,
        limits: &Limits,
    ) -> VersionListing {
        let files = listed(folder, limits);
        let unfinished = self.unfinished(files.as_ref());
        let there: BTreeSet<&[u8]> = self.entries.iter().map(|found| found.path.as_slice()).collect();
        let has = |name: &str| there.contains(plain(name).as_bytes());
        let needed = std::iter::once(model_file).chain(files.iter().flatten().map(String::as_str));
        let missing = needed.into_iter().find(|name| !has(name)).map(|name| (name, FileFault::Missing));
        let empty = self.entries.iter().find(|found| found.path == MANIFEST.as_bytes() && found.is_empty());
        let lacking = missing.or(empty.map(|_| (MANIFEST, FileFault::Empty)));
        let state = if has(TOMBSTONE) {
            FolderState::Tombstone
        } else if let Some((name, fault)) = lacking {
            let error = FileError { file: folder.path_of(name), fault };
            FolderState::Unsettled { reason: error.to_string() }
        } else {
            match unfinished.iter().find(|(leftover, _)| files.is_none() && *leftover == Leftover::Copy) {
                // Nothing says whether the file that it was to become is the right one.
                Some((_, found)) => {
                    let file = folder.path_of(&found.shown());
                    let remedy =
                        "finish the copy and remove it, or list the version's files in manifest.toml";
                    let problem = Problem::new(&file, "is what an unfinished copy leaves", remedy);
                    FolderState::Unsettled { reason: problem.to_string() }
                }
                None => FolderState::Complete,
            }
        };
        let traces = Traces {
            proven: files.is_some(),
            newest: self.newest(),
            unfinished: unfinished.first().map(|(_, first)| {
                let mut stamper = Stamper::default();
                unfinished.iter().for_each(|(_, found)| found.add_to(&mut stamper));
                Unfinished {
                    file: one_line(&folder.path_of(&first.shown())),
                    stamp: stamper.finish(),
                    newest: newest(unfinished.iter().map(|(_, found)| &found.status)),
                }
            }),
        };
        VersionListing { number, stamp: self.stamp(model_file), bytes: self.bytes(), folder: state, traces }
    }

    /// What has, or lies below, the name of an unfinished file, without what the manifest lists.
    fn unfinished(&self, listed: Option<&BTreeSet<String>>) -> Vec<(Leftover, &Found)> {
        let leftover = |found: &Found| {
            let path = found.shown();
            let is_listed = listed.is_some_and(|listed| listed.contains(&path));
            if is_listed { None } else { path.split('/').find_map(Leftover::of) }
        };
        self.entries.iter().filter_map(|found| Some((leftover(found)?, found))).collect()
    }
}

impl Found {
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }

    fn is_empty(&self) -> bool {
        self.status.kind == FileType::RegularFile && self.status.size == 0
    }

    fn add_to(&self, stamper: &mut Stamper) {
        stamper.add(&self.path);
        add_status(stamper, &self.status);
    }
}

fn add_status(stamper: &mut Stamper, status: &Status) {
    stamper.add(&status.kind.as_raw_mode().to_le_bytes());
    stamper.add(&status.inode.to_le_bytes());
    stamper.add(&status.size.to_le_bytes());
    for (seconds, nanoseconds) in [status.modified, status.changed] {
        stamper.add(&seconds.to_le_bytes());
        stamper.add(&nanoseconds.to_le_bytes());
    }
}

/// The newest time stamp of all; nothing where one of them is none.
fn newest<'s>(statuses: impl Iterator<Item = &'s Status>) -> Option<SystemTime> {
    statuses.map(Status::newest).reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten()
}

/// The files that the version's manifest lists; nothing where it lists none, or cannot be read: what
/// is wrong with it is said when the version is read.
fn listed(folder: &Folder, limits: &Limits) -> Option<BTreeSet<String>> {
    let (bytes, _) = folder.file(MANIFEST, card_limit(limits), Links::Any).ok()?.read().ok()?;
    let files = Manifest::parse(MANIFEST, &bytes).ok()?.files?;
    Some(files.keys().map(|name| plain(name)).collect())
}

/// A path without the parts that lead nowhere: `./w` is `w`.
fn plain(path: &str) -> String {
    path.split('/').filter(|part| *part != ".").collect::<Vec<_>>().join("/")
}
