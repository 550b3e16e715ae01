//! Models whose tensors do not hold what they declare.

use super::proto::{FLOAT, INT64, Message, bare, floats, graph, int64s, model, node, simple, tensor};
use super::{BadModel, Expected};

/// A model that adds this tensor, `w`, to its input.
fn adds(weights: Message) -> Vec<u8> {
    simple([node("Add", &["x", "w"], &["y"])], [weights])
}

/// A model that adds one weight of four, which stands at this place.
fn sparse(places: Message) -> Vec<u8> {
    let sparse = Message::new().with(1, floats("w", &[1], &[1.0])).with(2, places).number(3, 4);
    model(&graph([node("Add", &["x", "w"], &["y"])], []).with(15, sparse)).bytes()
}

/// The same models without their fault.
pub(super) fn sound() -> Vec<(&'static str, Vec<u8>)> {
    vec![("tensor", adds(floats("w", &[4], &[1.0; 4]))), ("sparse", sparse(int64s("i", &[3])))]
}

pub(super) fn all() -> Vec<BadModel> {
    let look = Expected::look;
    let raw = [0; 16];
    let answers = [("weights-nan", f32::NAN), ("weights-infinite", f32::INFINITY)];
    let answers = answers.map(|(name, value)| {
        BadModel::new(name, adds(floats("w", &[4], &[value; 4])), Expected::contained("OK"))
    });
    let refused = [
        ("dimension-negative", tensor("w", FLOAT, &[-4], &raw), "has the dimension -4"),
        (
            "dimension-smallest",
            tensor("w", FLOAT, &[i64::MIN], &raw),
            "has the dimension -9223372036854775808",
        ),
        ("dimension-largest", tensor("w", FLOAT, &[i64::MAX], &raw), "overflows"),
        ("dimensions-overflow", tensor("w", FLOAT, &[1 << 32, 1 << 32], &raw), "overflows"),
        ("dimensions-wrap", tensor("w", FLOAT, &[4, (1 << 62) + 1], &raw), "overflows"),
        ("dimensions-of-terabytes", bare("w", FLOAT, &[1 << 40]), "takes 1099511627776 elements"),
        ("data-short", tensor("w", FLOAT, &[4], &raw[..15]), "takes 16 bytes by its dimensions, and has 15"),
        ("data-long", tensor("w", FLOAT, &[4], &[0; 17]), "takes 16 bytes by its dimensions, and has 17"),
        ("data-twice", tensor("w", FLOAT, &[4], &raw).with(4, raw), "holds its data twice"),
        ("data-none", bare("w", FLOAT, &[4]), "takes 4 elements by its dimensions, and has 0"),
        ("datatype-0", tensor("w", 0, &[4], &raw), "has the unknown datatype 0"),
        ("datatype-99", tensor("w", 99, &[4], &raw), "has the unknown datatype 99"),
        ("texts-of-a-gigabyte", bare("w", 8, &[1 << 30]), "takes 1073741824 elements"),
        ("texts-raw", tensor("w", 8, &[4], &raw), "holds texts as raw bytes"),
    ];
    let refused = refused.map(|(name, weights, words)| BadModel::new(name, adds(weights), look(words)));
    let others = [
        BadModel::new(
            "datatype-of-another-operator",
            adds(int64s("w", &[1, 2, 3, 4])),
            Expected::engine("bound to different types"),
        ),
        BadModel::new("sparse-index-outside", sparse(int64s("i", &[99])), Expected::engine("onnxruntime:")),
        BadModel::new("sparse-index-negative", sparse(int64s("i", &[-1])), Expected::engine("onnxruntime:")),
        BadModel::new(
            "sparse-index-missing",
            sparse(tensor("i", INT64, &[0], &[])),
            Expected::engine("onnxruntime:"),
        ),
    ];
    [&answers[..], &refused[..], &others[..]].concat()
}
