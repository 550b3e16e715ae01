//! `pointsman baseline build`: profiles training data, and what a version answers to it; or rows of a sample log.

mod rows;
mod schema;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use pointsman_core::{OutputTensor, RunInputs, Schema, Session, Signature, Tensor};
use pointsman_observe::profile::{Baseline, Example, Layout, Learner, Profile};
use pointsman_observe::table::Table;
use pointsman_registry::{ModelListing, VersionListing};
use sha2::{Digest as _, Sha256};

use self::rows::Mapping;
use crate::End;
use crate::cli::{BaselineVerb, Build};
use crate::files::Files;
use crate::logged::{Between, LoggedVersion};
use crate::sweep::find;

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// `pointsman baseline`.
pub(crate) fn run(verb: &BaselineVerb) -> End {
    let BaselineVerb::Build(arguments) = verb;
    match build(arguments) {
        Ok(()) => End::Done,
        Err(problem) => {
            eprintln!("pointsman: {problem}");
            End::Refused
        }
    }
}

/// What is profiled, pass by pass.
struct Passes<'a> {
    arguments: &'a Build,
    data: &'a Path,
    signature: &'a Signature,
    session: Option<Box<dyn Session>>,
    /// Rows that the first pass found, so that the second one knows how far it is.
    rows: Option<u64>,
}

fn build(arguments: &Build) -> Result<(), String> {
    if let Some(file) = arguments.schema.as_ref().filter(|file| !arguments.force && file.exists()) {
        return Err(format!(
            "--schema {}: it is there already, and a person may have edited it; name another file, or write over it by \
             --force",
            file.display()
        ));
    }
    // Said here, as `clap` asks for no --log where there is a table, which --log excludes.
    if arguments.log.is_none() && (arguments.since.is_some() || arguments.until.is_some()) {
        return Err("--since and --until are for rows of a sample log (--log): a table is read whole".into());
    }
    let config = arguments.settings().config().map_err(|problems| problems.join("\n"))?;
    let files = Files::open(&config)?;
    let (model, version) = find(&files, &arguments.model, arguments.version)?;
    let name = format!("{}/{}", model.name, version.number);
    eprintln!("{name}: loading it");
    let warm =
        files.loader.bring_up(&files.job(model, version)).map_err(|e| format!("{name}: {}", e.fault))?;
    let signature = warm.signature().clone();
    let schema = files.job(model, version).settings.schema;
    let (layout, profile, source) = match (&arguments.log, &arguments.data) {
        (Some(log), _) => {
            let logged = LoggedVersion {
                model: model.name.clone(),
                version: version.number.get(),
                signature: &signature,
                schema: schema.as_deref(),
                log,
            };
            let between = Between::read(arguments.since.as_deref(), arguments.until.as_deref())?;
            let (layout, profile) = logged.profile(between)?;
            (layout, profile, format!("{} (sample log)", file_name(log)))
        }
        (None, Some(data)) => {
            let session = (!arguments.inputs_only).then(|| warm.into_session()).flatten();
            let mut passes = Passes { arguments, data, signature: &signature, session, rows: None };
            let (layout, profile) = passes.profile(schema.as_deref())?;
            (layout, profile, file_name(data))
        }
        (None, None) => return Err("name the training data, or a sample log by --log".into()),
    };
    let made_at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let baseline = Baseline::of(&signature, &layout, &profile, &made_at, &source);
    write(arguments, &config.models, (model, version), &baseline.json())?;
    let learnt = schema::learned(&layout, &profile, schema.as_deref());
    write_schema(arguments, &config.models, model, schema.is_some(), &learnt)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Passes<'_> {
    /// The profile of all rows, with cells that are made from them.
    fn profile(&mut self, schema: Option<&Schema>) -> Result<(Layout, Profile), String> {
        let mut learner = Learner::new(self.signature, schema, true);
        let rows = self.pass("looking for bins", |example| learner.add(example))?;
        if rows == 0 {
            return Err(format!("{}: it has no rows below the names of its columns", self.data.display()));
        }
        self.rows = Some(rows);
        let layout = learner.layout(self.signature, schema);
        let mut profile = Profile::new(&layout);
        self.pass("counting", |example| profile.add(&layout, example))?;
        Ok((layout, profile))
    }

    /// Shows all rows, with their answers, to `take`; how many there were.
    fn pass(&mut self, what: &str, mut take: impl FnMut(&Example<'_>)) -> Result<u64, String> {
        let (Build { batch, rows: most, .. }, data) = (self.arguments, self.data);
        let odd = |e: String| format!("{}: {e}", data.display());
        let most = most.unwrap_or(u64::MAX);
        let batch = usize::try_from(*batch).unwrap_or(usize::MAX);
        let mut table = Table::open(data, batch).map_err(|e| odd(e.to_string()))?;
        let mapping = Mapping::new(self.signature, table.names()).map_err(odd)?;
        if self.rows.is_none() {
            mapping.notes().iter().for_each(|note| eprintln!("note: {note}"));
        }
        let outputs: Vec<usize> = (0..self.signature.outputs.len()).collect();
        let (mut done, mut told) = (0, Instant::now());
        while done < most
            && let Some(cells) = table.next(batch).map_err(|e| odd(e.to_string()))?
        {
            let part = mapping.inputs(&cells, usize::try_from(most - done).unwrap_or(usize::MAX));
            let (inputs, rows) = part.map_err(|e| odd(e.at(done)))?;
            let answers = self.answers(&inputs, &outputs)?;
            take(&Example { inputs: &inputs, outputs: answers.as_deref(), rows });
            done += rows;
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let of = self.rows.map_or_else(String::new, |rows| format!(" of {rows}"));
                let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
                eprint!("{what}: {done}{of} rows{end}");
            }
        }
        Ok(done)
    }

    /// What the version answers; nothing where it is not asked.
    fn answers(
        &mut self,
        inputs: &[Option<Tensor>],
        outputs: &[usize],
    ) -> Result<Option<Vec<OutputTensor>>, String> {
        let Some(session) = &mut self.session else { return Ok(None) };
        let ran = session.run(RunInputs { tensors: inputs, outputs });
        let ran = ran.map_err(|e| {
            format!(
                "the version does not run on this data: {e}; a smaller --batch, or --inputs-only, may help"
            )
        })?;
        let specs = &self.signature.outputs;
        let named = ran.into_iter().zip(specs).map(|(tensor, spec)| OutputTensor {
            name: spec.name.clone(),
            tensor,
            labels: spec.labels.clone(),
        });
        Ok(Some(named.collect()))
    }
}

/// Writes the baseline, and says what is to be done about the manifest.
fn write(
    arguments: &Build,
    models: &Path,
    (model, version): (&ModelListing, &VersionListing),
    text: &str,
) -> Result<(), String> {
    let folder = models.join(model.name.as_str()).join(version.number.to_string());
    let path = arguments.out.clone().unwrap_or_else(|| folder.join("baseline.json"));
    put(&path, text)?;
    println!("{}: {} bytes", path.display(), text.len());
    if arguments.out.is_none() {
        let manifest = folder.join("manifest.toml");
        let lists_files = std::fs::read_to_string(&manifest).is_ok_and(|text| text.contains("[files]"));
        if lists_files {
            let digest = Sha256::digest(text.as_bytes());
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            println!(
                "{} lists the version's files: let it have this line below [files], in place of an older one:\n\
                 \"baseline.json\" = \"sha256:{digest}\"",
                manifest.display()
            );
        }
    }
    Ok(())
}

/// Writes the schema where one is asked for, or there is none yet.
fn write_schema(
    arguments: &Build,
    models: &Path,
    model: &ModelListing,
    has_one: bool,
    schema: &Schema,
) -> Result<(), String> {
    let own = || models.join(model.name.as_str()).join("schema.toml");
    let path = match &arguments.schema {
        Some(path) => path.clone(),
        None if has_one || arguments.out.is_some() || own().exists() => return Ok(()),
        None => own(),
    };
    put(&path, &pointsman_registry::schema_text(schema))?;
    println!("{}: what was learned, to be edited by a person; nothing is refused by it", path.display());
    Ok(())
}

/// Writes a file in one step.
fn put(path: &Path, text: &str) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut staged = PathBuf::from(path).into_os_string();
    staged.push(".new");
    std::fs::write(&staged, text).map_err(failed)?;
    std::fs::rename(&staged, path).map_err(failed)
}
