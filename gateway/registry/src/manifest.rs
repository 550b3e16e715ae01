//! The manifest of a version, `manifest.toml`: what its files must be, and where it comes from.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::digest::Digest;
use crate::location;
use crate::problem::Problem;
use crate::table::{self, Keys};

/// What `manifest.toml` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// The digest of each file of the version; `None` where the manifest has no `[files]`.
    pub files: Option<BTreeMap<String, Digest>>,
    /// When the model was trained, as it stands there.
    pub trained_at: Option<String>,
    /// Who approved the version.
    pub approved_by: Option<String>,
    /// Where it comes from: code, data, parameters.
    pub lineage: Table,
    /// What was measured in training.
    pub metrics: Table,
}

impl Manifest {
    /// Reads a manifest. Unknown keys are refused: a misspelt `[files]` would switch the check of
    /// the digests off.
    ///
    /// # Errors
    /// Every problem of the file.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let table = table::parse(file, bytes).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let mut keys = Keys::new(file, table, &mut problems);
        let manifest = Self {
            files: files(&mut keys),
            trained_at: keys.take("trained_at", "give a date and time, or a text", date),
            approved_by: keys.text("approved_by"),
            lineage: keys.table("lineage").unwrap_or_default(),
            metrics: keys.table("metrics").unwrap_or_default(),
        };
        keys.refuse_rest();
        if problems.is_empty() { Ok(manifest) } else { Err(problems) }
    }
}

fn date(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Datetime(date) => Some(date.to_string()),
        _ => None,
    }
}

fn files(keys: &mut Keys<'_>) -> Option<BTreeMap<String, Digest>> {
    let mut files = BTreeMap::new();
    for (name, value) in keys.table("files")? {
        let key = format!("files.{name}");
        if location::check(&name).is_err() {
            keys.report(&key, "is no path inside the version's folder", "name a file of this version");
        } else if let Some(digest) = value.as_str().and_then(Digest::parse) {
            files.insert(name, digest);
        } else {
            keys.refuse(&key, &value, "give \"sha256:\" and 64 hexadecimal digits");
        }
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_manifest_is_read() {
        let text = format!(
            "trained_at = 2026-03-01T12:00:00Z\napproved_by = \"ada\"\n[files]\n\"model.onnx\" = \"{DIGEST}\"\n\
             [lineage]\nrecipe = \"models/recipe\"\n[lineage.parameters]\ndepth = 3\n[metrics]\nauc = 0.77\n"
        );
        let manifest = Manifest::parse("iris/1/manifest.toml", text.as_bytes()).expect("a good manifest");
        assert_eq!(manifest.trained_at.as_deref(), Some("2026-03-01T12:00:00Z"));
        assert_eq!(manifest.approved_by.as_deref(), Some("ada"));
        assert_eq!(manifest.files.expect("has [files]")["model.onnx"].to_string(), DIGEST);
        assert_eq!(manifest.lineage["parameters"]["depth"].as_integer(), Some(3));
        assert_eq!(manifest.metrics["auc"].as_float(), Some(0.77));
        assert_eq!(Manifest::parse("x", b"").expect("empty").files, None);
    }

    #[test]
    fn bad_digests_names_and_keys_are_all_named() {
        let text =
            format!("[file]\n[files]\na = \"md5:00\"\n\"../b\" = \"{DIGEST}\"\n\"/c\" = \"{DIGEST}\"\n");
        let problems = Manifest::parse("iris/1/manifest.toml", text.as_bytes()).expect_err("a bad manifest");
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "iris/1/manifest.toml: key files.../b is no path inside the version's folder; name a file of this version",
                "iris/1/manifest.toml: key files./c is no path inside the version's folder; name a file of this version",
                "iris/1/manifest.toml: key files.a = \"md5:00\"; give \"sha256:\" and 64 hexadecimal digits",
                "iris/1/manifest.toml: key file is unknown; the keys here are files, trained_at, approved_by, lineage, metrics",
            ]
        );
    }
}
