//! Reading one version whole: its files into memory, their digests against the manifest, and only
//! then a look at what they hold.

use std::collections::BTreeMap;

use bytes::Bytes;
use pointsman_core::{ModelFiles, ModelName, VersionNumber};

use super::folder::{Folder, Links, OpenFile, SizeLimit};
use super::version_folder::{self, MANIFEST, MODEL};
use super::{card_limit, scan};
use crate::digest::Digest;
use crate::file_fault::{FileError, FileFault};
use crate::golden::GoldenCases;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::onnx;
use crate::stamp::Stamp;
use crate::version::{ReadError, VersionFiles};

const GOLDEN: &str = "golden.json";
const BASELINE: &str = "baseline.json";

/// Reads a version below `root`. Where its folder is another one afterwards, whatever was found is
/// of neither.
pub(super) fn read(
    root: &Folder,
    model: &ModelName,
    version: VersionNumber,
    limits: &Limits,
) -> Result<VersionFiles, ReadError> {
    let before = Opened::open(root, model, version, limits)?;
    let read = before.read(limits);
    match Opened::open(root, model, version, limits) {
        Ok(after) if after.stamp == before.stamp => read,
        _ => Err(FileError { file: before.folder.path_of(""), fault: FileFault::Changed }.into()),
    }
}

/// The folder of a version, with the state it was in when it was opened.
struct Opened {
    folder: Folder,
    model_file: String,
    stamp: Stamp,
}

impl Opened {
    fn open(
        root: &Folder,
        model: &ModelName,
        version: VersionNumber,
        limits: &Limits,
    ) -> Result<Self, ReadError> {
        let model_folder = root.folder(model.as_str())?;
        let written = |problems| ReadError::Written { problems };
        let model_file = scan::model_file(&model_folder, model, limits).map_err(written)?;
        let model_file = model_file.unwrap_or_else(|| MODEL.to_owned());
        let folder = model_folder.folder(version.to_string())?;
        let stamp = version_folder::stamp(&folder, &model_file, limits)?;
        Ok(Self { folder, model_file, stamp })
    }

    fn read(&self, limits: &Limits) -> Result<VersionFiles, ReadError> {
        let Self { folder, model_file, .. } = self;
        let mut staging = Staging::open(folder, limits)?;
        let limit = SizeLimit { bytes: limits.model_bytes_max, key: "model_bytes_max" };
        let (bytes, digest) = staging.file(model_file, limit, Links::Any)?.read()?;
        staging.verify(model_file, digest)?;
        let mut served = vec![(model_file.clone(), digest)];

        let bytes = Bytes::from(bytes);
        let onnx = onnx::look(&bytes)
            .map_err(|fault| ReadError::Onnx { file: folder.path_of(model_file), fault })?;
        let mut external = Vec::with_capacity(onnx.external.len());
        for (name, &needed) in &onnx.external {
            let limit = SizeLimit { bytes: limits.version_bytes_max, key: "version_bytes_max" };
            let file = staging.file(name, limit, Links::One)?;
            if file.size() < needed {
                let found = file.size();
                return Err(ReadError::ExternalShort { file: folder.path_of(name), needed, found });
            }
            let (data, digest) = file.read_shared()?;
            staging.verify(name, digest)?;
            served.push((name.clone(), digest));
            external.push((name.clone(), data));
        }

        let golden = staging.golden()?;
        let baseline = staging.baseline()?;
        staging.verify_rest()?;
        let digest = Digest::of_files(served.iter().map(|(name, digest)| (name.as_str(), *digest)));
        Ok(VersionFiles {
            files: ModelFiles { model: bytes, external, declared: onnx.declared.clone() },
            digest,
            stamp: self.stamp,
            digests: staging.digests,
            manifest: staging.manifest,
            golden,
            baseline,
            onnx,
        })
    }
}

/// A version's folder while it is read: what may still be read, and what has been.
struct Staging<'a> {
    folder: &'a Folder,
    limits: &'a Limits,
    bytes_left: u64,
    manifest: Option<Manifest>,
    digests: BTreeMap<String, Digest>,
}

impl<'a> Staging<'a> {
    fn open(folder: &'a Folder, limits: &'a Limits) -> Result<Self, ReadError> {
        let mut staging = Self {
            folder,
            limits,
            bytes_left: limits.version_bytes_max,
            manifest: None,
            digests: BTreeMap::new(),
        };
        if let Some(file) = present(staging.file(MANIFEST, card_limit(limits), Links::Any))? {
            if file.size() == 0 {
                // A copy over an older version begins so. It does not say that there are no digests.
                return Err(FileError { file: folder.path_of(MANIFEST), fault: FileFault::Empty }.into());
            }
            let (bytes, _) = file.read()?;
            let manifest = Manifest::parse(&folder.path_of(MANIFEST), &bytes);
            staging.manifest = Some(manifest.map_err(|problems| ReadError::Written { problems })?);
        }
        Ok(staging)
    }

    /// Opens a file of the version, within its own limit and that of all files together.
    fn file(&mut self, name: &str, limit: SizeLimit, links: Links) -> Result<OpenFile, FileError> {
        let file = self.folder.file(name, limit, links)?;
        match self.bytes_left.checked_sub(file.size()) {
            Some(left) => self.bytes_left = left,
            None => {
                let limit = self.limits.version_bytes_max;
                let size = limit - self.bytes_left + file.size();
                let fault = FileFault::TooLarge { size, limit, key: "version_bytes_max" };
                return Err(FileError { file: self.folder.path_of(""), fault });
            }
        }
        Ok(file)
    }

    /// Holds a file's digest against the manifest. Where a manifest lists the files, one that is
    /// not listed does not belong to the version.
    fn verify(&mut self, name: &str, found: Digest) -> Result<(), ReadError> {
        let file = || self.folder.path_of(name);
        if let Some(files) = self.manifest.as_ref().and_then(|manifest| manifest.files.as_ref()) {
            match files.get(name) {
                None => return Err(ReadError::Unlisted { file: file() }),
                Some(&expected) if expected != found => {
                    return Err(ReadError::Digest { file: file(), expected, found });
                }
                Some(_) => {}
            }
        }
        self.digests.insert(name.to_owned(), found);
        Ok(())
    }

    fn golden(&mut self) -> Result<Option<GoldenCases>, ReadError> {
        let limit = SizeLimit { bytes: self.limits.golden_bytes_max, key: "golden_bytes_max" };
        let Some(file) = present(self.file(GOLDEN, limit, Links::Any))? else {
            return Ok(None);
        };
        let (bytes, digest) = file.read()?;
        self.verify(GOLDEN, digest)?;
        let cases = GoldenCases::parse(&self.folder.path_of(GOLDEN), &bytes);
        cases.map(Some).map_err(|problem| ReadError::Written { problems: vec![problem] })
    }

    fn baseline(&mut self) -> Result<Option<Bytes>, ReadError> {
        let limit = SizeLimit { bytes: self.limits.baseline_bytes_max, key: "baseline_bytes_max" };
        let Some(file) = present(self.file(BASELINE, limit, Links::Any))? else {
            return Ok(None);
        };
        let (bytes, digest) = file.read()?;
        self.verify(BASELINE, digest)?;
        Ok(Some(bytes.into()))
    }

    /// Verifies what the manifest lists and nothing here reads: with all of it there and as listed,
    /// the version is complete.
    fn verify_rest(&mut self) -> Result<(), ReadError> {
        let listed = self.manifest.iter().filter_map(|manifest| manifest.files.as_ref()).flatten();
        let rest: Vec<String> =
            listed.map(|(name, _)| name.clone()).filter(|name| !self.digests.contains_key(name)).collect();
        for name in rest {
            let limit = SizeLimit { bytes: self.limits.version_bytes_max, key: "version_bytes_max" };
            let digest = self.file(&name, limit, Links::One)?.digest()?;
            self.verify(&name, digest)?;
        }
        Ok(())
    }
}

/// A file that need not be there.
fn present(opened: Result<OpenFile, FileError>) -> Result<Option<OpenFile>, FileError> {
    match opened {
        Err(FileError { fault: FileFault::Missing, .. }) => Ok(None),
        opened => opened.map(Some),
    }
}
