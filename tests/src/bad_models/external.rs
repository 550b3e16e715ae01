//! Models whose weights lie in another file, or say so.

use super::proto::{FLOAT, Message, bare, node, simple};
use super::{BadModel, Content, Expected};

/// A model with four weights where these keys say.
fn elsewhere(entries: &[(&str, &str)]) -> Vec<u8> {
    let entry = |&(key, value): &(&str, &str)| Message::new().with(1, key).with(2, value);
    let weights = bare("w", FLOAT, &[4]).with_all(13, entries.iter().map(entry)).number(14, 1);
    simple([node("Add", &["x", "w"], &["y"])], [weights])
}

pub(super) fn all() -> Vec<BadModel> {
    let weights = || Content::Bytes(vec![0; 16]);
    let at = |name, location, expected| BadModel::new(name, elsewhere(&[("location", location)]), expected);
    let outside = Expected::look("external data of tensor 'w' names the file");
    let with = |name, key, value, words| {
        let model = elsewhere(&[("location", "w.bin"), (key, value)]);
        BadModel::new(name, model, words).beside("w.bin", weights())
    };
    let look = Expected::look;
    vec![
        at("weights-above", "../w.bin", outside),
        at("weights-up-and-down", "a/../w.bin", outside),
        at("weights-absolute", "/etc/passwd", outside),
        at("weights-of-a-device", "/dev/zero", outside),
        at("weights-of-a-process", "/proc/self/environ", outside),
        at("weights-in-memory", "*/_ORT_MEM_ADDR_/*", outside),
        at("weights-nowhere", "", outside),
        at("weights-missing", "w.bin", Expected::registry("w.bin")),
        at("weights-linked", "w.bin", Expected::registry("symbolic link"))
            .beside("w.bin", Content::Link("/etc/passwd")),
        at("weights-linked-to-a-device", "w.bin", Expected::registry("symbolic link"))
            .beside("w.bin", Content::Link("/dev/zero")),
        at("weights-in-a-linked-folder", "data/w.bin", Expected::registry("symbolic link"))
            .beside("data", Content::LinkedFolder("w.bin")),
        at("weights-of-two-names", "w.bin", Expected::registry("hard link"))
            .beside("w.bin", Content::TwoNames(vec![0; 16])),
        at("weights-piped", "w.bin", Expected::registry("file")).beside("w.bin", Content::Pipe),
        at("weights-short", "w.bin", Expected::registry("has 15 bytes, and the model needs 16"))
            .beside("w.bin", Content::Bytes(vec![0; 15])),
        BadModel::new("weights-of-no-file", elsewhere(&[("offset", "0")]), look("names no file")),
        with("weights-offset-negative", "offset", "-1", look("has offset '-1'")),
        with(
            "weights-offset-behind",
            "offset",
            "17",
            Expected::registry("has 16 bytes, and the model needs 33"),
        ),
        with("weights-offset-huge", "offset", "18446744073709551615", look("ends past the largest file")),
        with("weights-length-negative", "length", "-1", look("has length '-1'")),
        with("weights-length-petabyte", "length", "1125899906842624", look("its length is 1125899906842624")),
        with("weights-key-unknown", "compression", "zip", look("has the unknown key 'compression'")),
        with("weights-key-dunder", "__class__", "x", look("has the unknown key '__class__'")),
        with("weights-key-twice", "location", "w.bin", look("has the key 'location' twice")),
    ]
}
