//! A look at all the models of a directory: their names, versions, cards and configurations.

use std::sync::Arc;

use pointsman_core::{ModelName, Schema, VersionNumber};

use super::card_limit;
use super::folder::{Entry, EntryKind, Folder, Links};
use super::version_folder::{self, MODEL, TOMBSTONE};
use crate::card::Card;
use crate::file_fault::{FileError, FileFault};
use crate::limits::Limits;
use crate::listing::{ModelListing, Scan};
use crate::problem::Problem;
use crate::schema::read_schema;
use crate::triton::{self, TritonConfig};

const CARD: &str = "model.toml";
const CONFIG: &str = "config.pbtxt";
const SCHEMA: &str = "schema.toml";
/// Names that a path of the V2 protocol takes for itself: `/v2/models/stats`.
const RESERVED: [&str; 1] = ["stats"];
/// The most labels of one file.
const LABELS_MAX: usize = 100_000;

/// Looks at everything below `root`. What is wrong with one model is said with it, and changes
/// nothing for the others.
pub(super) fn scan(root: &Folder, limits: &Limits) -> Result<Scan, FileError> {
    let mut scan = Scan::default();
    for entry in root.entries(limits.entries_max)? {
        let found = match entry.kind {
            EntryKind::Other => continue,
            EntryKind::Symlink => {
                Err(FileError { file: entry.name.clone(), fault: FileFault::Symlink }.into())
            }
            EntryKind::Folder => model(root, &entry, limits),
        };
        match found {
            Ok(None) => {}
            Ok(Some(_)) if scan.models.len() >= limits.models_max => {
                let what = format!("there are more than {} models (models_max)", limits.models_max);
                let remedy = "this one and those after it are left out: raise the limit, or remove models";
                scan.problems.push(Problem::new(&entry.name, what, remedy));
                break;
            }
            Ok(Some(listing)) => scan.models.push(listing),
            Err(problem) => scan.problems.push(problem),
        }
    }
    Ok(scan)
}

/// The model in a folder; nothing where the folder is none of a model.
fn model(root: &Folder, entry: &Entry, limits: &Limits) -> Result<Option<ModelListing>, Problem> {
    let folder = root.folder(entry.raw.as_c_str())?;
    let entries = folder.entries(limits.entries_max)?;
    let has = |name: &str| entries.iter().any(|e| e.name == name);
    // A link that is named like a version counts as one: reading it says why it does not serve.
    let versions = entries.iter().filter(|e| e.kind != EntryKind::Other);
    let mut versions: Vec<_> = versions.filter_map(|e| VersionNumber::parse(&e.name)).collect();
    let tombstone = has(TOMBSTONE);
    if versions.is_empty() && !has(CARD) && !has(CONFIG) && !tombstone {
        return if misplaced_model(&folder, &entries, limits) {
            let what = "holds a model, and no version";
            let remedy = format!("put its files into {}/1", entry.name);
            Err(Problem::new(&entry.name, what, &remedy))
        } else {
            Ok(None)
        };
    }
    let name = ModelName::new(&entry.name)
        .map_err(|error| Problem::new(&entry.name, error.to_string(), "rename the folder"))?;
    if RESERVED.contains(&name.as_str()) {
        let what = "the V2 protocol keeps this name for itself, no request can reach such a model";
        return Err(Problem::new(&entry.name, what, "rename the folder"));
    }

    let mut listing = ModelListing {
        name,
        card: Card::default(),
        config: None,
        schema: None,
        versions: Vec::new(),
        tombstone,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    other_entries(&folder, &entries, &mut listing.warnings);
    versions.sort_unstable();
    if versions.len() > limits.versions_max {
        let what = format!("has more than {} versions (versions_max)", limits.versions_max);
        let remedy = "the lowest are left out: remove old versions, or raise the limit";
        listing.warnings.push(Problem::new(&entry.name, what, remedy));
        versions.drain(..versions.len() - limits.versions_max);
    }
    if has(CARD) {
        match card(&folder, limits) {
            Ok(card) => listing.card = card,
            Err(problems) => listing.problems.extend(problems),
        }
    }
    if has(SCHEMA) {
        match schema(&folder, limits) {
            Ok(schema) => listing.schema = Some(Arc::new(schema)),
            Err(problems) => listing.problems.extend(problems),
        }
    }
    if has(CONFIG) {
        match config(&folder, &listing.name, limits) {
            Ok((config, warnings)) => {
                listing.config = Some(config);
                listing.warnings.extend(warnings);
            }
            Err(problems) => listing.problems.extend(problems),
        }
    }
    let model_file = listing.config.as_ref().and_then(|config| config.model_file.as_deref());
    let list = |number| version_folder::list(&folder, number, model_file.unwrap_or(MODEL), limits);
    listing.versions = versions.into_iter().map(list).collect();
    Ok(Some(listing))
}

/// Whether a folder without versions has a model in it all the same, or in a folder that is no version.
fn misplaced_model(folder: &Folder, entries: &[Entry], limits: &Limits) -> bool {
    let is_model = |entry: &Entry| entry.kind == EntryKind::Other && entry.name.ends_with(".onnx");
    let holds_one = |entry: &Entry| {
        let below = folder.folder(entry.raw.as_c_str()).and_then(|below| below.entries(limits.entries_max));
        below.is_ok_and(|below| below.iter().any(is_model))
    };
    entries.iter().any(|entry| is_model(entry) || (entry.kind == EntryKind::Folder && holds_one(entry)))
}

/// Names what looks like a version and is none.
fn other_entries(folder: &Folder, entries: &[Entry], warnings: &mut Vec<Problem>) {
    for entry in entries {
        let file = folder.path_of(&entry.name);
        if entry.kind == EntryKind::Symlink && VersionNumber::parse(&entry.name).is_none() {
            warnings.push(FileError { file, fault: FileFault::Symlink }.into());
        } else if entry.kind == EntryKind::Folder && VersionNumber::parse(&entry.name).is_none() {
            let remedy = "a version's folder is named by a whole number from 1 on, without leading zeros";
            warnings.push(Problem::new(&file, "is no version, and is left out", remedy));
        }
    }
}

fn card(folder: &Folder, limits: &Limits) -> Result<Card, Vec<Problem>> {
    let bytes = small_file(folder, CARD, Links::Any, limits).map_err(alone)?;
    Card::parse(&folder.path_of(CARD), &bytes)
}

fn schema(folder: &Folder, limits: &Limits) -> Result<Schema, Vec<Problem>> {
    let bytes = small_file(folder, SCHEMA, Links::Any, limits).map_err(alone)?;
    read_schema(&folder.path_of(SCHEMA), &bytes)
}

/// The model's Triton configuration with its labels, and what is to be said about it.
fn config(
    folder: &Folder,
    name: &ModelName,
    limits: &Limits,
) -> Result<(TritonConfig, Vec<Problem>), Vec<Problem>> {
    let bytes = small_file(folder, CONFIG, Links::Any, limits).map_err(alone)?;
    let mut read = triton::read(&folder.path_of(CONFIG), name.as_str(), &bytes)?;
    for (output, file) in read.label_files {
        let bytes = small_file(folder, &file, Links::One, limits).map_err(alone)?;
        let labels = labels(&folder.path_of(&file), &bytes).map_err(|problem| vec![problem])?;
        read.config.labels.insert(output, labels);
    }
    Ok((read.config, read.warnings))
}

/// One label on a line.
fn labels(file: &str, bytes: &[u8]) -> Result<Arc<[String]>, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::new(file, "is not UTF-8", "save it as UTF-8 text"))?;
    let labels: Arc<[String]> = text.lines().map(str::to_owned).collect();
    if labels.len() > LABELS_MAX {
        return Err(Problem::new(file, format!("has more than {LABELS_MAX} labels"), "shorten it"));
    }
    Ok(labels)
}

/// The name of the model file of each version, which a Triton configuration may say.
pub(super) fn model_file(
    folder: &Folder,
    name: &ModelName,
    limits: &Limits,
) -> Result<Option<String>, Vec<Problem>> {
    match small_file(folder, CONFIG, Links::Any, limits) {
        Err(FileError { fault: FileFault::Missing, .. }) => Ok(None),
        Err(error) => Err(alone(error)),
        Ok(bytes) => {
            let read = triton::read(&folder.path_of(CONFIG), name.as_str(), &bytes)?;
            Ok(read.config.model_file)
        }
    }
}

/// A file that people write, read whole.
fn small_file(folder: &Folder, name: &str, links: Links, limits: &Limits) -> Result<Vec<u8>, FileError> {
    let (bytes, _) = folder.file(name, card_limit(limits), links)?.read()?;
    Ok(bytes)
}

/// An error as the only problem there is.
fn alone(error: FileError) -> Vec<Problem> {
    vec![error.into()]
}
