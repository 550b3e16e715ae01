//! SHA-256 digests of files and of whole versions.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads the form of manifests, `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let mut bytes = [0; 32];
        if hex.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The digest of named files: of each name and digest in the order of the names, so that it
    /// changes with any of them.
    pub(crate) fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, Digest)>) -> Self {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_unstable();
        let mut digester = Digester::default();
        for (name, digest) in files {
            digester.update(name.as_bytes());
            digester.update(&[0]);
            digester.update(&digest.0);
        }
        digester.finish()
    }

    /// Its first 64 bits.
    pub(crate) fn first_bytes(self) -> u64 {
        self.0.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

/// The value of a hexadecimal digit of either case.
pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Builds a digest from pieces.
#[derive(Default)]
pub(crate) struct Digester(Sha256);

impl Digester {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_form_round_trips() {
        let mut digester = Digester::default();
        digester.update(b"abc");
        let digest = digester.finish();
        let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::parse(text), Some(digest));
        assert_eq!(Digest::parse(&text.to_uppercase().replace("SHA", "sha")), Some(digest));
        for bad in ["", "sha256:", &text[7..], &text[..70], &format!("{text}0"), &text.replace('b', "g")] {
            assert_eq!(Digest::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_digest_of_files_follows_names_and_contents_but_not_their_order() {
        let (a, b) = (Digest([1; 32]), Digest([2; 32]));
        let digest = Digest::of_files([("x", a), ("y", b)]);
        assert_eq!(digest, Digest::of_files([("y", b), ("x", a)]));
        assert_ne!(digest, Digest::of_files([("x", b), ("y", a)]));
        assert_ne!(digest, Digest::of_files([("x", a)]));
    }
}
