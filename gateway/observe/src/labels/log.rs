//! What is known of labels, written line by line, so that it is there after a crash.
//!
//! Files of JSON lines, `labels-<number>.jsonl`, of which only the last is written to. A line is whole or it is not there:
//! what breaks off at the end of the last file was never acknowledged, and is cut off when it is opened again. Pairs are
//! written as they were joined, prediction and label together, so that figures come back without joining anything again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pointsman_core::{Answer, RequestId};
use pointsman_stats::Inclusion;
use serde::{Deserialize, Serialize};

use super::prediction::{Joined, Label, Source};
use super::said::{Said, Value};
use crate::quality::Day;

/// The longest line that is read, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// The most bytes of lines that could not be written and wait for the next time.
const OWED_BYTES_MAX: usize = 4 << 20;
/// The part of all bytes that one file takes.
const FILES: u64 = 8;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelLogLimits {
    /// The most bytes of all files. Past it the oldest file goes.
    pub bytes_max: u64,
    /// How long a file stays after it was written to last.
    pub keep: Duration,
}

/// Why labels could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct LabelLogError {
    path: PathBuf,
    error: std::io::Error,
}

/// How often something was predicted on one day, since this was written last.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// Of what version.
    pub source: Arc<Source>,
    /// The arm.
    pub arm: Arc<str>,
    /// The day, from 1970 on.
    pub day: u32,
    /// What was predicted.
    pub sums: Day,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum LogLine {
    /// A prediction with its label.
    Joined(Joined),
    /// A label that waits for its prediction.
    Waiting(Said),
    /// One that waited in vain: the request and its row.
    Unfound(RequestId, u32),
    /// How often something was predicted.
    Predicted(Predicted),
}

/// The files, and the place to write.
#[derive(Debug)]
pub struct LabelLog {
    folder: PathBuf,
    limits: LabelLogLimits,
    file: File,
    path: PathBuf,
    number: u64,
    length: u64,
    /// The numbers of sources in the file.
    sources: HashMap<Arc<Source>, u32>,
    /// Lines that could not be written.
    owed: Vec<u8>,
    lost: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Source(SourceLine),
    Joined(JoinedLine),
    Waiting(WaitingLine),
    Unfound(UnfoundLine),
    Predicted(PredictedLine),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceLine {
    number: u32,
    model: Arc<str>,
    version: u64,
    is_shadow: bool,
    names: Option<Vec<String>>,
    classes: Option<usize>,
    slices: Vec<Arc<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinedLine {
    id: String,
    row: u32,
    source: u32,
    arm: Arc<str>,
    at: u64,
    label_at: u64,
    included: Inclusion,
    #[serde(default, skip_serializing_if = "is_not")]
    from_log: bool,
    answer: Answer,
    label: Label,
    #[serde(default, skip_serializing_if = "<[Arc<str>]>::is_empty")]
    slices: Box<[Arc<str>]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitingLine {
    id: String,
    row: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<f64>,
    at: Option<u64>,
    by: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnfoundLine {
    id: String,
    row: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PredictedLine {
    source: u32,
    arm: Arc<str>,
    day: u32,
    sums: Day,
}

// What serde calls takes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_not(yes: &bool) -> bool {
    !yes
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> LabelLogError + '_ {
    move |error| LabelLogError { path: path.into(), error }
}

/// The files of a folder with their numbers, the oldest first.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, LabelLogError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("labels-").and_then(|rest| rest.strip_suffix(".jsonl"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

impl LabelLog {
    /// Opens the files of a folder, which is made where it is missing. Every line that is there is shown to `visit`, the
    /// oldest first. Gives the number of lines that could not be read beside it.
    ///
    /// # Errors
    /// Where the folder or a file in it cannot be read or written.
    pub fn open(
        folder: &Path,
        limits: LabelLogLimits,
        mut visit: impl FnMut(LogLine),
    ) -> Result<(Self, u64), LabelLogError> {
        fs::create_dir_all(folder).map_err(at(folder))?;
        let all = files(folder)?;
        let mut unread = 0;
        for (_, path) in &all {
            unread += read(path, &mut visit)?;
        }
        // A file of its own for each start: what an earlier version wrote stays as it is.
        let number = all.last().map_or(1, |(number, _)| number + 1);
        let (path, file) = create(folder, number)?;
        let mut log = Self {
            folder: folder.into(),
            limits,
            file,
            path,
            number,
            length: 0,
            sources: HashMap::new(),
            owed: Vec::new(),
            lost: 0,
        };
        log.tidy();
        Ok((log, unread))
    }

    /// Writes lines, and lets them be on the disk before it returns.
    ///
    /// # Errors
    /// Where that fails. They are written with the next ones then, up to a bound.
    pub fn write(&mut self, lines: impl IntoIterator<Item = LogLine>) -> Result<(), LabelLogError> {
        for line in lines {
            self.owe(line);
        }
        if self.owed.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.owed).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line may be there: the next one must not continue it.
            let back =
                self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            drop(back);
            return Err(at(&self.path)(error));
        }
        self.length += self.owed.len() as u64;
        self.owed.clear();
        if self.length > self.limits.bytes_max / FILES {
            self.rotate()?;
        }
        Ok(())
    }

    /// Lines that were let go as they could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn owe(&mut self, line: LogLine) {
        let line = match line {
            LogLine::Joined(joined) => {
                let source = self.source(&joined.source);
                Line::Joined(JoinedLine {
                    id: joined.id.to_string(),
                    row: joined.row,
                    source,
                    arm: joined.arm,
                    at: joined.at_ms,
                    label_at: joined.label_at_ms,
                    included: joined.included,
                    from_log: joined.from_log,
                    answer: joined.answer,
                    label: joined.label,
                    slices: joined.slices,
                })
            }
            LogLine::Waiting(said) => {
                let (text, number) = match said.value {
                    Value::Text(text) => (Some(text), None),
                    Value::Number(number) => (None, Some(number)),
                };
                let (id, row) = (said.id.to_string(), said.row);
                Line::Waiting(WaitingLine { id, row, text, number, at: said.at_ms, by: said.source })
            }
            LogLine::Unfound(id, row) => Line::Unfound(UnfoundLine { id: id.to_string(), row }),
            LogLine::Predicted(Predicted { source, arm, day, sums }) => {
                let source = self.source(&source);
                Line::Predicted(PredictedLine { source, arm, day, sums })
            }
        };
        self.append(&line);
    }

    fn append(&mut self, line: &Line) {
        if self.owed.len() >= OWED_BYTES_MAX {
            self.lost += 1;
        } else if let Ok(text) = serde_json::to_vec(line) {
            self.owed.extend_from_slice(&text);
            self.owed.push(b'\n');
        }
    }

    /// The number of a source, which is said before the first line that has it.
    fn source(&mut self, source: &Arc<Source>) -> u32 {
        if let Some(number) = self.sources.get(source) {
            return *number;
        }
        let number = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.insert(source.clone(), number);
        self.append(&Line::Source(SourceLine {
            number,
            model: source.model.clone(),
            version: source.version,
            is_shadow: source.is_shadow,
            names: source.names.as_ref().map(|names| names.to_vec()),
            classes: source.classes,
            slices: source.slices.to_vec(),
        }));
        number
    }

    fn rotate(&mut self) -> Result<(), LabelLogError> {
        let (path, file) = create(&self.folder, self.number + 1)?;
        (self.path, self.file) = (path, file);
        self.number += 1;
        self.length = 0;
        self.sources.clear();
        self.tidy();
        Ok(())
    }

    /// Removes files that are too old or too many. One that stays for now goes the next time.
    fn tidy(&mut self) {
        let Ok(mut all) = files(&self.folder) else { return };
        all.retain(|(number, _)| *number < self.number);
        let about = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        };
        let sizes: Vec<(PathBuf, u64, SystemTime)> =
            all.into_iter().filter_map(|(_, path)| about(&path).map(|(len, at)| (path, len, at))).collect();
        let mut total: u64 = sizes.iter().map(|(_, length, _)| length).sum();
        for (path, length, modified) in sizes {
            let is_old = modified.elapsed().is_ok_and(|age| age > self.limits.keep);
            if length == 0 || is_old || total > self.limits.bytes_max - self.limits.bytes_max / FILES {
                total -= length;
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn create(folder: &Path, number: u64) -> Result<(PathBuf, File), LabelLogError> {
    let path = folder.join(format!("labels-{number:08}.jsonl"));
    let file = OpenOptions::new().create_new(true).append(true).open(&path).map_err(at(&path))?;
    // So that the file itself is there after the machine lost its power.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok((path, file))
}

/// Shows the lines of a file; gives the number of those that could not be read. One that breaks off at the end was never
/// acknowledged and is none.
fn read(path: &Path, visit: &mut impl FnMut(LogLine)) -> Result<u64, LabelLogError> {
    let mut reader = BufReader::new(File::open(path).map_err(at(path))?);
    let (mut unread, mut line) = (0, Vec::new());
    let mut sources: HashMap<u32, Arc<Source>> = HashMap::new();
    loop {
        line.clear();
        let taken = Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line);
        match taken {
            Ok(0) => return Ok(unread),
            Ok(_) if line.last() != Some(&b'\n') => {
                unread += u64::from(line.len() as u64 >= LINE_BYTES_MAX);
            }
            Ok(_) => {
                match serde_json::from_slice::<Line>(&line).ok().and_then(|line| known(line, &mut sources)) {
                    Some(Some(line)) => visit(line),
                    Some(None) => {}
                    None => unread += 1,
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(at(path)(error)),
        }
    }
}

/// What a line says; nothing within where it only names a source, and nothing where it makes no sense.
fn known(line: Line, sources: &mut HashMap<u32, Arc<Source>>) -> Option<Option<LogLine>> {
    match line {
        Line::Source(SourceLine { number, model, version, is_shadow, names, classes, slices }) => {
            let (names, slices) = (names.map(Into::into), slices.into());
            sources.insert(number, Arc::new(Source { model, version, is_shadow, names, classes, slices }));
            Some(None)
        }
        Line::Joined(joined) => {
            let source = sources.get(&joined.source)?.clone();
            Some(Some(LogLine::Joined(Joined {
                id: RequestId::parse(&joined.id)?,
                row: joined.row,
                at_ms: joined.at,
                label_at_ms: joined.label_at,
                included: joined.included,
                from_log: joined.from_log,
                source,
                arm: joined.arm,
                answer: joined.answer,
                label: joined.label,
                slices: joined.slices,
            })))
        }
        Line::Waiting(WaitingLine { id, row, text, number, at, by }) => {
            let value = text.map(Value::Text).or(number.map(Value::Number))?;
            let id = RequestId::parse(&id)?;
            Some(Some(LogLine::Waiting(Said { id, row, value, at_ms: at, source: by })))
        }
        Line::Unfound(UnfoundLine { id, row }) => Some(Some(LogLine::Unfound(RequestId::parse(&id)?, row))),
        Line::Predicted(PredictedLine { source, arm, day, sums }) => {
            let source = sources.get(&source)?.clone();
            Some(Some(LogLine::Predicted(Predicted { source, arm, day, sums })))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LabelLogLimits = LabelLogLimits { bytes_max: 1 << 20, keep: Duration::from_secs(3600) };

    fn source(version: u64) -> Arc<Source> {
        let names: Option<Arc<[String]>> = Some(["no".to_owned(), "yes".to_owned()].into());
        let slices: Arc<[Arc<str>]> = Arc::new(["origin".into()]);
        Arc::new(Source {
            model: "m".into(),
            version,
            is_shadow: version == 2,
            names,
            classes: Some(2),
            slices,
        })
    }

    fn joined(version: u64, row: u32) -> LogLine {
        LogLine::Joined(Joined {
            id: RequestId::parse("019ae2f0-6b1c-7d1e-8a55-0242ac120002").expect("an id"),
            row,
            at_ms: 1,
            label_at_ms: 2,
            included: Inclusion::new(0.25).expect("a probability"),
            from_log: version == 2,
            source: source(version),
            arm: "default".into(),
            answer: Answer::Class { class: 1, scores: [0.1 + 0.2].into() },
            label: Label::Class(0),
            slices: ["EWR".into()].into(),
        })
    }

    fn waiting() -> LogLine {
        let id = RequestId::parse("019ae2f0-6b1c-7d1e-8a55-0242ac120003").expect("an id");
        LogLine::Waiting(Said {
            id,
            row: 3,
            value: Value::Text("late".into()),
            at_ms: None,
            source: Some("t".into()),
        })
    }

    fn opened(folder: &Path, limits: LabelLogLimits) -> (LabelLog, Vec<LogLine>, u64) {
        let mut lines = Vec::new();
        let (log, unread) = LabelLog::open(folder, limits, |line| lines.push(line)).expect("a folder");
        (log, lines, unread)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut log, none, _) = opened(folder.path(), LIMITS);
        assert!(none.is_empty());
        let lines = [joined(1, 0), joined(2, 0), waiting(), joined(1, 1)];
        log.write(lines.clone()).expect("room");
        let (mut log, read, unread) = opened(folder.path(), LIMITS);
        assert_eq!((read, unread), (lines.to_vec(), 0));
        // Another start writes to another file, and both are read.
        log.write([joined(1, 2)]).expect("room");
        assert_eq!(opened(folder.path(), LIMITS).1.len(), 5);
    }

    #[test]
    fn what_breaks_off_is_not_there_and_harms_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        opened(folder.path(), LIMITS).0.write([joined(1, 0), joined(1, 1)]).expect("room");
        let (_, file) = files(folder.path()).expect("files").remove(0);
        let whole = fs::read(&file).expect("a file");
        for length in 0..whole.len() {
            fs::write(&file, &whole[..length]).expect("writable");
            let (mut lines, mut visit_count) = (Vec::new(), 0);
            let unread = read(&file, &mut |line| {
                lines.push(line);
                visit_count += 1;
            });
            assert_eq!(unread.expect("readable"), 0, "{length}");
            assert!(lines.iter().all(|line| [joined(1, 0), joined(1, 1)].contains(line)) && visit_count < 2);
        }
        // What is damaged within is counted, and what follows is read.
        let text = String::from_utf8(whole).expect("text").replacen("\"row\":0", "\"row\":x", 1);
        fs::write(&file, text).expect("writable");
        let (_, lines, unread) = opened(folder.path(), LIMITS);
        assert_eq!((lines, unread), (vec![joined(1, 1)], 1));
    }

    #[test]
    fn past_the_limit_the_oldest_file_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = LabelLogLimits { bytes_max: 16 << 10, ..LIMITS };
        let (mut log, ..) = opened(folder.path(), limits);
        for row in 0..400 {
            log.write([joined(1, row)]).expect("room");
        }
        let all = files(folder.path()).expect("files");
        let bytes: u64 = all.iter().map(|(_, path)| fs::metadata(path).expect("a file").len()).sum();
        assert!(bytes <= limits.bytes_max && bytes > limits.bytes_max / 2 && all.len() > 3, "{bytes}");
        let (_, lines, unread) = opened(folder.path(), limits);
        assert_eq!((lines.last(), unread), (Some(&joined(1, 399)), 0));
        // And what is old goes.
        let old = LabelLogLimits { keep: Duration::ZERO, ..limits };
        std::thread::sleep(Duration::from_millis(5));
        drop(opened(folder.path(), old));
        assert_eq!(files(folder.path()).expect("files").len(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "x").expect("writable");
        let error = LabelLog::open(&file, LIMITS, |_| {}).expect_err("no folder").to_string();
        assert!(error.contains("file"), "{error}");
    }
}
