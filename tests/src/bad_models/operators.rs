//! Models whose operators are given what they cannot take.

use super::proto::{
    FLOAT, INT64, Message, body, floats, info, int, int64s, ints, loose, model, node, node_of, opset, reals,
    set, simple, tensor, text, texts,
};
use super::{BadModel, Contained, Expected};

/// One node of `x` and the constants `k`, `w`.
fn one(node: Message, constants: impl IntoIterator<Item = Message>) -> Vec<u8> {
    simple([node], constants)
}

/// A convolution of an image with this attribute.
fn convolution(attribute: Message) -> Vec<u8> {
    let node = set(node("Conv", &["x", "w"], &["y"]), [attribute]);
    let (x, y) = (info("x", FLOAT, &[1, 1, 4, 4]), loose("y", FLOAT));
    model(&body([node], [x], [y]).with(5, floats("w", &[1, 1, 2, 2], &[1.0; 4]))).bytes()
}

/// Trees of one feature; leaves are nodes 1 and 2, a branch is node 0.
fn trees(features: &[i64], on_true: &[i64], on_false: &[i64], targets: &[i64]) -> Vec<u8> {
    let modes: Vec<&str> =
        (0..features.len()).map(|node| if node == 0 { "BRANCH_LEQ" } else { "LEAF" }).collect();
    let (zeros, values) = (vec![0; features.len()], vec![0.5; features.len()]);
    let ids: Vec<i64> = (0_i64..).take(features.len()).collect();
    let attributes = [
        int("n_targets", 1),
        ints("nodes_featureids", features),
        ints("nodes_truenodeids", on_true),
        ints("nodes_falsenodeids", on_false),
        ints("nodes_nodeids", &ids),
        ints("nodes_treeids", &zeros),
        reals("nodes_values", &values),
        texts("nodes_modes", &modes),
        ints("target_ids", targets),
        ints("target_nodeids", &[1, 2]),
        ints("target_treeids", &[0, 0]),
        reals("target_weights", &[1.0, 2.0]),
        text("post_transform", "NONE"),
    ];
    let node = set(node_of("ai.onnx.ml", "TreeEnsembleRegressor", &["x"], &["y"]), attributes);
    model(&body([node], [info("x", FLOAT, &[1, 4])], [loose("y", FLOAT)])).bytes()
}

fn machine(vectors: &[i64]) -> Vec<u8> {
    let attributes = [
        ints("classlabels_ints", &[0, 1]),
        reals("coefficients", &[1.0]),
        reals("kernel_params", &[1.0, 0.0, 3.0]),
        text("kernel_type", "RBF"),
        text("post_transform", "NONE"),
        reals("rho", &[0.0]),
        reals("support_vectors", &[1.0; 4]),
        ints("vectors_per_class", vectors),
    ];
    let node = set(node_of("ai.onnx.ml", "SVMClassifier", &["x"], &["label", "y"]), attributes);
    model(&body([node], [info("x", FLOAT, &[1, 4])], [loose("y", FLOAT)])).bytes()
}

/// Heads of an attention; the set of operators that has it needs a newer form of the file.
fn attention(heads: i64) -> Vec<u8> {
    let attributes = [int("q_num_heads", heads), int("kv_num_heads", heads)];
    let node = set(node("Attention", &["x", "x", "x"], &["y"]), attributes);
    with_attention(body([node], [info("x", FLOAT, &[1, 2, 4])], [loose("y", FLOAT)]))
}

/// An attention whose number of heads a request decides.
fn open_attention() -> Vec<u8> {
    let node = node("Attention", &["x", "x", "x"], &["y"]);
    with_attention(body([node], [info("x", FLOAT, &[1, -1, 2, 4])], [loose("y", FLOAT)]))
}

fn with_attention(graph: Message) -> Vec<u8> {
    Message::new().number(1, 10).with(7, graph).with(8, opset("", 23)).bytes()
}

/// A quotient of two constants, beside a path from `x` to `y`.
fn quotient(dividend: &[i64], divisor: &[i64]) -> Vec<u8> {
    let cast = set(node("Cast", &["q"], &["f"]), [int("to", FLOAT)]);
    let nodes = [node("Div", &["k", "d"], &["q"]), cast, node("Add", &["x", "f"], &["y"])];
    simple(nodes, [int64s("k", dividend), int64s("d", divisor)])
}

/// A node that takes a shape or indices, given these.
fn given(operator: &str, numbers: &[i64]) -> Vec<u8> {
    one(node(operator, &["x", "k"], &["y"]), [int64s("k", numbers)])
}

/// More elements than there is memory for.
const HUGE: i64 = 1 << 40;

/// An image for the input `x`, and what becomes of a run with it.
const IMAGE: Expected = Expected::Contained(Contained {
    request: r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,1,4,4],"data":[1,2,3,4,1,2,3,4,1,2,3,4,1,2,3,4]}]}"#,
    code: "SESSION_FAILED",
});
/// A row for the input `x`, and what becomes of a run with it.
const ROW: Expected = Expected::Contained(Contained {
    request: r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}"#,
    code: "SESSION_FAILED",
});

/// The same models without their fault.
pub(super) fn sound() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("convolution", convolution(int("group", 1))),
        ("attention", attention(1)),
        ("quotient", quotient(&[i64::MIN], &[2])),
        ("trees", trees(&[0, 0, 0], &[1, 0, 0], &[2, 0, 0], &[0, 0])),
        ("machine", machine(&[1, 0])),
        ("reshape", given("Reshape", &[2, -1])),
    ]
}

pub(super) fn all() -> Vec<BadModel> {
    [of_sizes(), of_values(), of_attributes(), of_divisions(), of_trees()].concat()
}

fn of_sizes() -> Vec<BadModel> {
    let engine = Expected::engine;
    let (rejected, failed) = (Expected::contained("INPUT_REJECTED"), Expected::contained("SESSION_FAILED"));
    vec![
        BadModel::new(
            "constant-of-terabytes",
            one(node("ConstantOfShape", &["k"], &["y"]), [int64s("k", &[HUGE])]),
            failed,
        ),
        BadModel::new("expand-to-terabytes", given("Expand", &[HUGE, 4]), failed),
        BadModel::new("tile-to-terabytes", given("Tile", &[HUGE]), rejected),
        BadModel::new(
            "resize-to-terabytes",
            one(node("Resize", &["x", "", "k"], &["y"]), [floats("k", &[4], &[1.0, 1.0, 1e6, 1e6])]),
            IMAGE,
        ),
        BadModel::new(
            "resize-by-nan",
            one(node("Resize", &["x", "", "k"], &["y"]), [floats("k", &[4], &[1.0, 1.0, f32::NAN, -1.0])]),
            engine("ScalesValidation"),
        ),
    ]
}

fn of_values() -> Vec<BadModel> {
    let (engine, rejected) = (Expected::engine, Expected::contained("INPUT_REJECTED"));
    vec![
        BadModel::new("gather-outside", given("Gather", &[99]), rejected),
        BadModel::new("gather-far-below", given("Gather", &[i64::MIN]), rejected),
        BadModel::new("reshape-two-open", given("Reshape", &[-1, -1]), engine("Reshape")),
        BadModel::new("reshape-overflow", given("Reshape", &[1 << 62, 4, -1]), engine("Reshape")),
        BadModel::new(
            "slice-by-0",
            one(node("Slice", &["x", "k", "k", "k", "k"], &["y"]), [int64s("k", &[0])]),
            rejected,
        ),
        BadModel::new(
            "text-for-a-number",
            one(
                node("Add", &["x", "k"], &["y"]),
                [Message::new().number(1, 1).number(2, 8).with(8, "k").with(6, "a")],
            ),
            engine("tensor(string)"),
        ),
        BadModel::new(
            "flag-for-a-number",
            one(node("Add", &["x", "k"], &["y"]), [tensor("k", 9, &[1], &[7])]),
            engine("tensor(bool)"),
        ),
    ]
}

fn of_attributes() -> Vec<BadModel> {
    let engine = Expected::engine;
    vec![
        BadModel::new(
            "convolution-group-0",
            convolution(int("group", 0)),
            Expected::look("sets group of operator Conv to 0"),
        ),
        BadModel::new("convolution-stride-0", convolution(ints("strides", &[0, 0])), engine("strides")),
        BadModel::new("convolution-dilation-0", convolution(ints("dilations", &[0, 0])), engine("dilations")),
        BadModel::new("convolution-pads-negative", convolution(ints("pads", &[-9; 4])), engine("pads")),
        BadModel::new(
            "convolution-pads-huge",
            convolution(ints("pads", &[1 << 62; 4])),
            engine("onnxruntime panicked while loading it"),
        ),
        BadModel::new(
            "attention-heads-0",
            attention(0),
            Expected::look("sets q_num_heads of operator Attention to 0"),
        ),
    ]
}

fn of_divisions() -> Vec<BadModel> {
    let refused = Expected::Refused { gate: "integer_division", words: "(Div #0)" };
    let division = model(&body(
        [node("Div", &["a", "b"], &["q"])],
        [info("a", INT64, &[1]), info("b", INT64, &[1])],
        [loose("q", INT64)],
    ));
    vec![
        BadModel::new("division-of-constants", quotient(&[i64::MIN], &[-1]), refused),
        BadModel::new("division-by-constant-0", quotient(&[1], &[0]), Expected::engine("Div")),
        BadModel::new("division-of-a-request", division.bytes(), refused),
        BadModel::new(
            "attention-with-heads-of-a-request",
            open_attention(),
            Expected::Refused { gate: "integer_division", words: "(Attention #0)" },
        ),
    ]
}

fn of_trees() -> Vec<BadModel> {
    let engine = Expected::engine;
    vec![
        BadModel::new(
            "tree-calls-itself",
            trees(&[0, 0, 0], &[0, 0, 0], &[0, 0, 0], &[0, 0]),
            engine("TreeEnsemble"),
        ),
        BadModel::new(
            "tree-node-outside",
            trees(&[0, 0, 0], &[99, 0, 0], &[2, 0, 0], &[0, 0]),
            engine("TreeEnsemble"),
        ),
        BadModel::new(
            "tree-feature-outside",
            trees(&[100_000_000, 0, 0], &[1, 0, 0], &[2, 0, 0], &[0, 0]),
            ROW,
        ),
        BadModel::new(
            "tree-feature-past-32-bits",
            trees(&[HUGE, 0, 0], &[1, 0, 0], &[2, 0, 0], &[0, 0]),
            engine("TreeEnsemble"),
        ),
        BadModel::new(
            "tree-target-outside",
            trees(&[0, 0, 0], &[1, 0, 0], &[2, 0, 0], &[1_000_000_000, 0]),
            engine("TreeEnsemble"),
        ),
        BadModel::new("machine-vectors-outside", machine(&[HUGE, -5]), engine("must be non-negative")),
    ]
}
