//! Triton's model configuration, `config.pbtxt`, as far as it is honoured here.
//!
//! A registry that Triton serves serves as it is. What a configuration asks for and does not get is
//! named in a warning; what cannot be served at all (another backend) is a problem.

mod outline;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pointsman_core::VersionNumber;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::card::{PRIORITY_LEVELS_MAX, QUEUE_MAX, WORKERS_MAX};
use crate::location;
use crate::problem::Problem;
use schema::model_instance_group::Kind;
use schema::model_version_policy::PolicyChoice;
use schema::{ModelConfig, ModelDynamicBatching, ModelInstanceGroup, ModelVersionPolicy};

/// What a `config.pbtxt` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TritonConfig {
    /// The most rows that may be run at once; 0 says that the model has no batch dimension.
    pub max_batch_size: Option<usize>,
    /// Which versions are loaded.
    pub policy: Option<VersionPolicy>,
    /// Worker threads of each version: the instances on the CPU.
    pub workers: Option<usize>,
    /// Requests that may wait for each version.
    pub queue_max: Option<usize>,
    /// How requests are to be joined.
    pub batching: Option<DynamicBatching>,
    /// Whether answers are kept for equal requests.
    pub response_cache: bool,
    /// Inputs that a request may leave out.
    pub optional_inputs: BTreeSet<String>,
    /// Names of the classes of an output, by the output's name.
    pub labels: BTreeMap<String, Arc<[String]>>,
    /// The file of a version, where it is not `model.onnx`.
    pub model_file: Option<String>,
}

/// Which versions Triton would load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionPolicy {
    /// This many of the highest.
    Latest(usize),
    /// All there are.
    All,
    /// These.
    Specific(Vec<VersionNumber>),
}

/// How requests are to be joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DynamicBatching {
    /// Sizes that a batch is best sent off with.
    pub preferred_rows: Vec<u64>,
    /// How long a request may wait for others.
    pub queue_delay_max: Duration,
    /// How many priorities there are, and that of a request which says none.
    pub priorities: Option<(usize, usize)>,
}

impl TritonConfig {
    /// Reads a configuration of the model in the folder named `folder`, with what its owner should
    /// know. Labels stand in files of their own, which are not read here.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn parse(file: &str, folder: &str, bytes: &[u8]) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        read(file, folder, bytes).map(|read| (read.config, read.warnings))
    }
}

/// A configuration that was read, with what is still to be done and said about it.
#[derive(Debug)]
pub(crate) struct ReadConfig {
    pub(crate) config: TritonConfig,
    /// Files of labels in the model's folder, by output. They are read by who has the folder.
    pub(crate) label_files: BTreeMap<String, String>,
    pub(crate) warnings: Vec<Problem>,
}

/// Reads a configuration of the model in the folder named `folder`.
///
/// # Errors
/// Every problem of the file.
pub(crate) fn read(file: &str, folder: &str, bytes: &[u8]) -> Result<ReadConfig, Vec<Problem>> {
    let one = |what: String, remedy: &str| vec![Problem::new(file, what, remedy)];
    let Some(schema) = SCHEMA.clone() else {
        return Err(one("cannot be read: the schema is damaged".into(), "build the gateway again"));
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(one("is not UTF-8".into(), "save it as UTF-8 text"));
    };
    const SYNTAX: &str = "mend the protobuf text";
    let outline = outline::outline(text, &schema)
        .map_err(|broken| one(format!("line {}: {}", broken.line, broken.what), SYNTAX))?;
    let mut message = DynamicMessage::new(schema);
    for (line, field) in &outline.fields {
        message
            .merge_text_format(field)
            .map_err(|error| one(format!("line {line}, in the field that starts there: {error}"), SYNTAX))?;
    }
    let config = message.transcode_to::<ModelConfig>().map_err(|error| one(error.to_string(), SYNTAX))?;

    let mut reading = Reading { file, problems: Vec::new(), warnings: Vec::new() };
    if !outline.unknown.is_empty() {
        reading.warn(format!("sets {}, which is not honoured", outline.unknown.join(", ")));
    }
    let (config, label_files) = reading.config(folder, config);
    if reading.problems.is_empty() {
        Ok(ReadConfig { config, label_files, warnings: reading.warnings })
    } else {
        Err(reading.problems)
    }
}

/// The description of `ModelConfig`, made by the build from `proto/triton_config.proto`.
static SCHEMA: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    let bytes = include_bytes!(concat!(env!("OUT_DIR"), "/triton_config.bin"));
    DescriptorPool::decode(&bytes[..]).ok()?.get_message_by_name("inference.ModelConfig")
});

struct Reading<'a> {
    file: &'a str,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reading<'_> {
    fn warn(&mut self, what: impl AsRef<str>) {
        self.warnings.push(Problem::new(self.file, what, "remove it, or check that the model does without"));
    }

    fn refuse(&mut self, what: impl AsRef<str>, remedy: &str) {
        self.problems.push(Problem::new(self.file, what, remedy));
    }

    fn config(&mut self, folder: &str, config: ModelConfig) -> (TritonConfig, BTreeMap<String, String>) {
        self.identity(folder, &config);
        let model_file = (!config.default_model_filename.is_empty()).then_some(config.default_model_filename);
        if let Some(name) = &model_file
            && !is_plain(name)
        {
            self.refuse(
                format!("default_model_filename: {name:?}"),
                "give the name of a file in the version's folder",
            );
        }
        let mut label_files = BTreeMap::new();
        for output in config.output.into_iter().filter(|output| !output.label_filename.is_empty()) {
            if is_plain(&output.label_filename) {
                label_files.insert(output.name, output.label_filename);
            } else {
                self.refuse(
                    format!("label_filename: {:?}", output.label_filename),
                    "give the name of a file in the model's folder",
                );
            }
        }
        let optional = config.input.into_iter().filter(|input| input.optional);
        let batching = config.dynamic_batching;
        let read = TritonConfig {
            max_batch_size: self.max_batch_size(config.max_batch_size),
            policy: config.version_policy.and_then(|policy| self.policy(policy)),
            workers: self.workers(&config.instance_group),
            queue_max: batching.as_ref().and_then(|batching| self.queue_max(batching)),
            batching: batching.map(|batching| self.batching(batching)),
            response_cache: config.response_cache.is_some_and(|cache| cache.enable),
            optional_inputs: optional.map(|input| input.name).collect(),
            labels: BTreeMap::new(),
            model_file,
        };
        (read, label_files)
    }

    /// The configuration must be this model's, and the model one of ONNX.
    fn identity(&mut self, folder: &str, config: &ModelConfig) {
        if !config.name.is_empty() && config.name != folder {
            let remedy = "give the name of its folder, or leave it out";
            self.refuse(format!("name: {:?}, but the folder is '{folder}'", config.name), remedy);
        }
        let remedy =
            "only ONNX models are served here: backend is \"onnxruntime\", platform \"onnxruntime_onnx\"";
        if !matches!(config.backend.as_str(), "" | "onnxruntime") {
            self.refuse(format!("backend: {:?}", config.backend), remedy);
        }
        if !matches!(config.platform.as_str(), "" | "onnxruntime_onnx") {
            self.refuse(format!("platform: {:?}", config.platform), remedy);
        }
    }

    fn max_batch_size(&mut self, rows: i32) -> Option<usize> {
        let rows = usize::try_from(rows).ok();
        if rows.is_none() {
            self.refuse("max_batch_size is below zero", "give 0 or more");
        }
        rows
    }

    fn policy(&mut self, policy: ModelVersionPolicy) -> Option<VersionPolicy> {
        match policy.policy_choice? {
            // Left out, Triton takes one.
            PolicyChoice::Latest(latest) => Some(VersionPolicy::Latest(latest.num_versions.max(1) as usize)),
            PolicyChoice::All(_) => Some(VersionPolicy::All),
            PolicyChoice::Specific(specific) => {
                let number = |n: &i64| u64::try_from(*n).ok().and_then(VersionNumber::new);
                let versions: Option<Vec<_>> = specific.versions.iter().map(number).collect();
                if versions.is_none() {
                    self.refuse(
                        "version_policy.specific has a version below 1",
                        "versions are whole numbers from 1 on",
                    );
                }
                versions.map(VersionPolicy::Specific)
            }
        }
    }

    fn workers(&mut self, groups: &[ModelInstanceGroup]) -> Option<usize> {
        let mut workers = 0;
        for group in groups {
            match group.kind() {
                // Left out, Triton takes one.
                Kind::Auto | Kind::Cpu => workers += usize::try_from(group.count).unwrap_or(0).max(1),
                Kind::Gpu | Kind::Model => {
                    self.warn(format!(
                        "instance_group.kind: {}, but this gateway runs on the CPU",
                        group.kind().as_str_name()
                    ));
                }
            }
        }
        if workers > WORKERS_MAX {
            self.refuse(format!("instance_group.count is {workers} together"), "1024 is the most");
        }
        (workers > 0).then_some(workers)
    }

    fn queue_max(&mut self, batching: &ModelDynamicBatching) -> Option<usize> {
        let max = batching.default_queue_policy?.max_queue_size as usize;
        if max > QUEUE_MAX {
            self.warn(format!("max_queue_size: {max} is over the most there is, {QUEUE_MAX}"));
        }
        // For Triton 0 is a queue without end. Here every queue ends: the gateway's default then counts.
        (max > 0).then_some(max.min(QUEUE_MAX))
    }

    fn batching(&mut self, batching: ModelDynamicBatching) -> DynamicBatching {
        let sizes = batching.preferred_batch_size.iter();
        let mut preferred_rows: Vec<u64> =
            sizes.filter_map(|&rows| u64::try_from(rows).ok().filter(|&rows| rows > 0)).collect();
        preferred_rows.sort_unstable();
        if preferred_rows.len() < batching.preferred_batch_size.len() {
            self.refuse("preferred_batch_size has a size below 1", "give sizes from 1 on");
        }
        DynamicBatching {
            preferred_rows,
            queue_delay_max: Duration::from_micros(batching.max_queue_delay_microseconds),
            priorities: self.priorities(batching.priority_levels, batching.default_priority_level),
        }
    }

    fn priorities(&mut self, levels: u64, default: u64) -> Option<(usize, usize)> {
        let levels = usize::try_from(levels).unwrap_or(usize::MAX);
        if levels > PRIORITY_LEVELS_MAX {
            self.refuse("priority_levels is over the most there are", "give at most 64");
            return None;
        }
        let default = usize::try_from(default).unwrap_or(usize::MAX);
        if levels > 0 && !(1..=levels).contains(&default) {
            let said = format!("default_priority_level: {default}, and there are {levels} levels");
            self.refuse(said, "give one from 1 to priority_levels");
        }
        (levels > 0).then_some((levels, default))
    }
}

/// Whether a name is that of a file itself, without a folder.
fn is_plain(name: &str) -> bool {
    location::check(name).is_ok() && !name.contains('/') && name != "."
}

#[cfg(test)]
mod tests;
