//! Tells from the first bytes what else a file may be, so that the reason names the mistake.

use super::fault::OnnxFault;

const WRONG_FORMAT: &str = "export it to ONNX";
const PACKED: &str = "unpack it";

/// How a file begins, what it then is, and what to do about it.
const KINDS: [(&[u8], &str, &str); 12] = [
    (b"version https://git-lfs", "a git-LFS pointer", "run `git lfs pull`"),
    (b"<?xml", "an XML page", "download the file itself: this is an error page"),
    (b"{\"", "JSON", "download the file itself: this may be an error message"),
    (b"\x1f\x8b", "gzip", PACKED),
    (b"\x28\xb5\x2f\xfd", "zstd", PACKED),
    (b"PK\x03\x04", "a zip archive (PyTorch, Keras)", WRONG_FORMAT),
    (b"\x80\x02", "a Python pickle", WRONG_FORMAT),
    (b"\x80\x03", "a Python pickle", WRONG_FORMAT),
    (b"\x80\x04", "a Python pickle", WRONG_FORMAT),
    (b"\x80\x05", "a Python pickle", WRONG_FORMAT),
    (b"\x89HDF", "HDF5 (Keras)", WRONG_FORMAT),
    (b"\x7fELF", "a program", WRONG_FORMAT),
];

/// Refuses what is no ONNX model by its first bytes.
pub(super) fn check(model: &[u8]) -> Result<(), OnnxFault> {
    if model.is_empty() {
        return Err(OnnxFault::Empty);
    }
    if model.get(4..8) == Some(b"ORTM") {
        let remedy = "serve the .onnx file that it was made from";
        return Err(OnnxFault::SomethingElse { kind: "in ONNX Runtime's own format (.ort)", remedy });
    }
    let text = model.trim_ascii_start();
    if starts_with_tag(text) {
        let remedy = "download the file itself: this is an error or login page";
        return Err(OnnxFault::SomethingElse { kind: "an HTML page", remedy });
    }
    match KINDS.iter().find(|(start, ..)| model.starts_with(start)) {
        Some(&(_, kind, remedy)) => Err(OnnxFault::SomethingElse { kind, remedy }),
        None => Ok(()),
    }
}

fn starts_with_tag(text: &[u8]) -> bool {
    let starts = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    starts(b"<!doctype") || starts(b"<html") || starts(b"<head") || starts(b"<body")
}
