//! What of a value is written: the policy of a column, applied before any byte is stored.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use pointsman_core::{ColumnKind, ColumnSchema, Elements, Redaction};
use sha2::{Digest, Sha256};

/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Bytes of a hash that are written: enough to tell 2^64 values apart.
const HASH_LEN: usize = 16;
/// What stands for a text that is none of those there are.
const OTHER: &str = "other";

/// The key by which values are hashed, so that nobody without it can find a value by trying.
#[derive(Clone)]
pub struct HashKey {
    mac: Hmac<Sha256>,
    id: Arc<str>,
}

impl HashKey {
    /// One of these 32 bytes, which are to be random and secret.
    #[must_use]
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        let id = hex(&Sha256::digest(bytes)[..4]);
        // It takes keys of any length.
        #[allow(clippy::expect_used)]
        let mac = Hmac::new_from_slice(&bytes).expect("a key of any length");
        Self { mac, id: id.into() }
    }

    /// Tells the key from others, and nothing of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What stands for a value: the first 128 bits of HMAC-SHA-256 (RFC 2104), in hexadecimal.
    #[must_use]
    pub fn hash(&self, value: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(value);
        hex(&mac.finalize().into_bytes()[..HASH_LEN])
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is written of a column's values.
#[derive(Clone, Debug)]
pub(super) enum Redactor {
    /// Numbers as they are.
    Number,
    /// The nearest multiple of this.
    Round(f64),
    /// The bin, by these inner edges: bin `i` is from above edge `i - 1` up to edge `i`.
    Bin(Arc<[f64]>),
    /// Texts as they are.
    Text,
    /// So many characters of a text.
    Truncate(usize),
    /// A text that is one of these, or that it is none.
    Listed(Arc<[String]>),
    /// A keyed hash.
    Hash(HashKey),
}

impl Redactor {
    /// What the schema says of a column, or what its kind does: numbers are kept, texts are not. Nothing where nothing is
    /// written.
    ///
    /// # Errors
    /// A sentence, where the policy is of no use for such values: then nothing is written of them.
    pub(super) fn of(
        kind: ColumnKind,
        schema: Option<&ColumnSchema>,
        key: &HashKey,
    ) -> Result<Option<Self>, String> {
        let is_text = kind == ColumnKind::String;
        let of_no_use = |what: &str| Err(format!("{what} is of no use for values of kind {}", kind.name()));
        Ok(Some(match schema.and_then(|schema| schema.log.as_ref()) {
            None if is_text => return Ok(None),
            Some(Redaction::Drop) => return Ok(None),
            Some(Redaction::Keep) if is_text => Self::Text,
            None | Some(Redaction::Keep) => Self::Number,
            Some(Redaction::Hash) => Self::Hash(key.clone()),
            Some(Redaction::Bucketise) => {
                let bins = schema.and_then(|schema| schema.bins.clone());
                let values = schema.and_then(|schema| schema.values.clone());
                match (is_text, bins, values) {
                    (false, Some(bins), _) => Self::Bin(bins),
                    (true, _, Some(values)) => Self::Listed(values),
                    (false, ..) => return of_no_use("log = \"bucketise\" without bins"),
                    (true, ..) => return of_no_use("log = \"bucketise\" without values"),
                }
            }
            Some(Redaction::Round(step)) if !is_text && step.is_finite() && *step > 0.0 => Self::Round(*step),
            Some(Redaction::Round(step)) => return of_no_use(&format!("rounding to {step}")),
            Some(Redaction::Truncate(length)) if is_text => Self::Truncate(*length),
            Some(Redaction::Truncate(_)) => return of_no_use("truncating"),
        }))
    }

    /// What it does to values, in one word; nothing where it leaves them as they are.
    pub(super) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Number | Self::Text => None,
            Self::Round(_) => Some("round"),
            Self::Bin(_) | Self::Listed(_) => Some("bucketise"),
            Self::Truncate(_) => Some("truncate"),
            Self::Hash(_) => Some("hash"),
        }
    }

    /// What is written of a text. The bytes are shown as UTF-8, with a replacement character for what is none.
    pub(super) fn text(&self, bytes: &[u8], write: impl FnOnce(&str)) {
        match self {
            Self::Text => write(&String::from_utf8_lossy(bytes)),
            Self::Truncate(length) => {
                let text = String::from_utf8_lossy(bytes);
                write(text.char_indices().nth(*length).map_or(&*text, |(end, _)| &text[..end]));
            }
            Self::Listed(values) => {
                let known = values.iter().find(|value| value.as_bytes() == bytes);
                write(known.map_or(OTHER, String::as_str));
            }
            Self::Hash(key) => write(&key.hash(bytes)),
            Self::Number | Self::Round(_) | Self::Bin(_) => {}
        }
    }

    /// The hash of a number, by its decimal digits.
    pub(super) fn number_hash(key: &HashKey, elements: &Elements<'_>, index: usize) -> String {
        match elements.whole(index) {
            Some(whole) => key.hash(whole.to_string().as_bytes()),
            None => key.hash(elements.get(index).to_string().as_bytes()),
        }
    }
}

/// The nearest multiple of a step.
pub(super) fn rounded(value: f64, step: f64) -> f64 {
    (value / step).round() * step
}

/// The bin of a value; nothing for NaN.
pub(super) fn bin(value: f64, edges: &[f64]) -> Option<i32> {
    let above = edges.partition_point(|edge| *edge < value);
    (!value.is_nan()).then(|| i32::try_from(above).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_other_implementations() {
        // hmac.new(bytes(range(32)), b"what do ya want", "sha256").hexdigest() of Python 3.11.
        let key = HashKey::new(std::array::from_fn(|i| i as u8));
        assert_eq!(key.hash(b"what do ya want"), HASHED);
        assert_ne!(key.hash(b""), key.hash(b"\0"));
        assert!(!format!("{key:?}").contains("mac"));
    }

    const HASHED: &str = "6f21a7e969d25d6c8cec88e50cd5c6cd";

    #[test]
    fn bins_are_closed_above_and_texts_are_cut_between_characters() {
        assert_eq!(
            [f64::NEG_INFINITY, 1.0, 1.5, 2.0, 9.0].map(|x| bin(x, &[1.0, 2.0])),
            [0, 0, 1, 1, 2].map(Some)
        );
        assert_eq!(bin(f64::NAN, &[1.0]), None);
        assert_eq!((rounded(7.4, 5.0), rounded(-7.6, 5.0), rounded(0.26, 0.25)), (5.0, -10.0, 0.25));
        let text = |redactor: &Redactor, bytes: &[u8]| {
            let mut written = String::new();
            redactor.text(bytes, |text| written.push_str(text));
            written
        };
        assert_eq!(text(&Redactor::Truncate(2), "äöü".as_bytes()), "äö");
        assert_eq!(text(&Redactor::Truncate(5), b"ab"), "ab");
        assert_eq!(text(&Redactor::Text, b"a\xff"), "a\u{fffd}");
        let listed = Redactor::Listed(vec!["red".to_owned()].into());
        assert_eq!((text(&listed, b"red"), text(&listed, b"teal")), ("red".into(), "other".into()));
    }

    #[test]
    fn a_policy_that_does_not_fit_writes_nothing_and_says_so() {
        let key = HashKey::new([1; KEY_LEN]);
        let of = |kind, log| {
            Redactor::of(kind, Some(&ColumnSchema { log: Some(log), ..ColumnSchema::default() }), &key)
        };
        for (kind, log) in [
            (ColumnKind::Float, Redaction::Truncate(3)),
            (ColumnKind::String, Redaction::Round(1.0)),
            (ColumnKind::Float, Redaction::Round(0.0)),
            (ColumnKind::Int, Redaction::Bucketise),
            (ColumnKind::String, Redaction::Bucketise),
        ] {
            assert!(of(kind, log.clone()).is_err_and(|what| what.contains("of no use")), "{log:?}");
        }
        assert!(matches!(Redactor::of(ColumnKind::String, None, &key), Ok(None)));
        assert!(matches!(Redactor::of(ColumnKind::Bool, None, &key), Ok(Some(Redactor::Number))));
    }
}
