//! Files that are no ONNX model, though they are called so.

use super::graphs::good;
use super::{BadModel, Content, Expected};

/// Bytes that follow no pattern, and are the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

pub(super) fn all() -> Vec<BadModel> {
    let look = Expected::look;
    let encrypted: Vec<u8> = good().iter().zip(noise(1 << 16)).map(|(byte, key)| byte ^ key).collect();
    let safetensors = [&16_u64.to_le_bytes()[..], br#"{"a":{"dtype":1}}"#].concat();
    vec![
        BadModel::new("no-bytes", "", look("is empty")),
        BadModel::new("one-byte", [8], look("is cut off")),
        BadModel::new("noise", noise(4096), look("is cut off, or no ONNX model")),
        BadModel::new("encrypted", encrypted, look("is cut off, or no ONNX model")),
        BadModel::new("program", b"\x7fELF\x02\x01\x01", look("is a program")),
        BadModel::new("html", "<!DOCTYPE html>\n<html><body>404</body></html>", look("is an HTML page")),
        BadModel::new(
            "xml",
            "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
            look("is an XML page"),
        ),
        BadModel::new("json", "{\"error\":\"not found\"}", look("is JSON")),
        BadModel::new(
            "lfs",
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            look("is a git-LFS pointer"),
        ),
        BadModel::new("gzip", [&[0x1f, 0x8b, 8, 0][..], &good()].concat(), look("is gzip")),
        BadModel::new("zip", b"PK\x03\x04archive/data.pkl", look("is a zip archive")),
        BadModel::new("pickle", b"\x80\x04\x95\x10\0\0\0\0\0\0\0", look("is a Python pickle")),
        BadModel::new("hdf5", b"\x89HDF\r\n\x1a\n", look("is HDF5")),
        BadModel::new("safetensors", safetensors, look("no ONNX model")),
        // A version of its schema, and a graph where ONNX has the producer's name.
        BadModel::new("saved-model", [8, 1, 18, 4, 10, 2, 34, 0], look("has no graph")),
        BadModel::new("ort-format", b"\x1c\0\0\0ORTM\0\0\0\0", look("is in ONNX Runtime's own format")),
        BadModel {
            name: "linked-model",
            files: vec![("model.onnx", Content::Link("/etc/hostname"))],
            expected: Expected::registry("symbolic link"),
        },
        BadModel {
            name: "piped-model",
            files: vec![("model.onnx", Content::Pipe)],
            expected: Expected::registry("file"),
        },
        BadModel {
            name: "no-model",
            files: vec![("notes.txt", Content::Bytes(b"soon".to_vec()))],
            expected: Expected::registry("model.onnx"),
        },
    ]
}
