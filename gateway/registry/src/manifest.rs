//! The manifest of a version, `manifest.toml`: what its files must be, and where it comes from.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman_core::shown;
use toml::value::{Datetime, Offset};
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
    /// Until when the data goes that it was trained on, as it stands there, or in `[lineage]`.
    pub data_until: Option<String>,
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
        let files = files(&mut keys);
        let trained_at = keys.take("trained_at", "give a date and time, or a text", date);
        let said = keys.take("data_until", "give a date, or a date and time", date);
        let approved_by = keys.text("approved_by");
        let lineage = keys.table("lineage").unwrap_or_default();
        let manifest = Self {
            files,
            trained_at,
            data_until: said.or_else(|| lineage.get("data_until").and_then(date)),
            approved_by,
            lineage,
            metrics: keys.table("metrics").unwrap_or_default(),
        };
        keys.refuse_rest();
        if problems.is_empty() { Ok(manifest) } else { Err(problems) }
    }
}

/// The moment that a date, or a date and time (RFC 3339), stands for; one without an offset is in UTC, and one without a
/// time is its beginning.
///
/// # Errors
/// What to write instead, where it is none from 1970 on.
pub fn read_moment(text: &str) -> Result<SystemTime, String> {
    let odd = || {
        format!("\"{}\" is no moment; give a date such as 2026-03-01, or 2026-03-01T12:00:00Z", shown(text))
    };
    let read: Datetime = text.parse().map_err(|_| odd())?;
    let date = read.date.ok_or_else(odd)?;
    let (hour, minute, second) =
        read.time.map_or((0, 0, 0), |time| (time.hour, time.minute, time.second.unwrap_or(0)));
    // Days of the calendar (Howard Hinnant, "chrono-compatible low-level date algorithms"): years begin in March.
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let year = i64::from(date.year) - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let offset = match read.offset {
        Some(Offset::Custom { minutes }) => i64::from(minutes),
        Some(Offset::Z) | None => 0,
    };
    let minutes = (days * 24 + i64::from(hour)) * 60 + i64::from(minute) - offset;
    let seconds = u64::try_from(minutes * 60 + i64::from(second)).map_err(|_| odd())?;
    Ok(UNIX_EPOCH + Duration::from_secs(seconds))
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
    fn moments_are_dates_or_dates_with_times() {
        let seconds =
            |text: &str| read_moment(text).map(|at| at.duration_since(UNIX_EPOCH).expect("after").as_secs());
        for (text, known) in [
            ("1970-01-01", 0),
            ("2013-11-01T00:00:00Z", 1_383_264_000),
            ("2013-11-01T02:30:00+02:30", 1_383_264_000),
            ("2013-10-31T20:00:00-04:00", 1_383_264_000),
            ("2024-02-29T12:00:01", 1_709_208_001),
        ] {
            assert_eq!(seconds(text), Ok(known), "{text}");
        }
        for text in ["", "yesterday", "12:00:00", "1969-12-31", "2013-13-01"] {
            assert!(read_moment(text).expect_err(text).contains("give a date"), "{text}");
        }
        let of_lineage = Manifest::parse("x", b"[lineage]\ndata_until = 2013-06-30").expect("good");
        assert_eq!(of_lineage.data_until.as_deref(), Some("2013-06-30"));
        let first =
            Manifest::parse("x", b"data_until = \"2014\"\n[lineage]\ndata_until = 2013-06-30").expect("good");
        assert_eq!(first.data_until.as_deref(), Some("2014"));
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
                "iris/1/manifest.toml: key file is unknown; the keys here are files, trained_at, data_until, approved_by, lineage, metrics",
            ]
        );
    }
}
