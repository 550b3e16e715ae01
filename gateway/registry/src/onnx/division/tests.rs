//! Small graphs, and whether a request can make a division of theirs fatal.

use super::kind::{BOOL, FLOAT, INT8, INT32, INT64, UINT64};
use crate::onnx::sample::{self, graph_of, int64s, node, tensor_info, with};
use crate::onnx::schema::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::onnx::{OnnxFault, look};

/// The divisions found in a model of these nodes, whose inputs are `x` and `y` of an element type.
fn found(kind: i32, nodes: &[NodeProto], constants: &[TensorProto]) -> Vec<String> {
    divisions(&model(kind, nodes, constants))
}

fn divisions(model: &ModelProto) -> Vec<String> {
    look(&sample::encode(model)).expect("a sound model").integer_division
}

fn model(kind: i32, nodes: &[NodeProto], constants: &[TensorProto]) -> ModelProto {
    graph_of(GraphProto {
        node: nodes.to_vec(),
        input: vec![tensor_info("x", kind), tensor_info("y", kind)],
        initializer: constants.to_vec(),
        ..GraphProto::default()
    })
}

fn number(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(i), ..AttributeProto::default() }
}

fn body(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: name.into(), g: Some(graph), ..AttributeProto::default() }
}

#[test]
fn a_request_can_make_it_fatal() {
    let divide = |a: &str, b: &str| node("Div", &[a, b], &["q"]);
    for (what, nodes, constants) in [
        ("both given", vec![divide("x", "y")], vec![]),
        ("given by -1", vec![divide("x", "c")], vec![int64s("c", &[2, -1])]),
        ("the smallest by given", vec![divide("c", "x")], vec![int64s("c", &[i64::MIN])]),
        ("behind Neg", vec![node("Neg", &["x"], &["n"]), divide("n", "y")], vec![]),
        // The smallest integer has no positive counterpart.
        ("behind Abs", vec![node("Abs", &["x"], &["n"]), divide("n", "c")], vec![int64s("c", &[-1])]),
        ("behind Add", vec![node("Add", &["x", "c"], &["n"]), divide("n", "y")], vec![int64s("c", &[1])]),
        (
            "a difference of shapes",
            vec![
                node("Shape", &["x"], &["s"]),
                node("Shape", &["y"], &["t"]),
                node("Sub", &["s", "t"], &["d"]),
                divide("x", "d"),
            ],
            vec![],
        ),
        ("not yet computed", vec![divide("late", "y"), node("Identity", &["x"], &["late"])], vec![]),
        (
            "half clipped",
            vec![node("Clip", &["y", "", "c"], &["n"]), divide("x", "n")],
            vec![int64s("c", &[9])],
        ),
        ("chosen", vec![node("Where", &["b", "y", "c"], &["n"]), divide("x", "n")], vec![int64s("c", &[2])]),
        // It ends the process on loading, when constants are computed.
        ("constants", vec![divide("c", "d")], vec![int64s("c", &[i64::MIN]), int64s("d", &[-1])]),
        (
            "constants in a way that is not followed",
            vec![node("CumSum", &["c", "z"], &["n"]), divide("n", "d")],
            vec![int64s("c", &[i64::MIN]), int64s("d", &[-1]), int64s("z", &[0])],
        ),
        (
            "of texts",
            vec![
                NodeProto { attribute: vec![number("to", INT64.into())], ..node("Cast", &["t"], &["n"]) },
                divide("n", "y"),
            ],
            vec![],
        ),
    ] {
        assert_eq!(found(INT64, &nodes, &constants).len(), 1, "{what}");
    }
    assert_eq!(found(INT32, &[node("Mod", &["x", "y"], &["r"])], &[]), ["Mod #0"]);
}

#[test]
fn no_request_can() {
    let divide = |a: &str, b: &str| node("Div", &[a, b], &["q"]);
    let cast = |from: &str, to: i32| NodeProto {
        attribute: vec![number("to", to.into())],
        ..node("Cast", &[from], &["n"])
    };
    for (what, nodes, constants) in [
        ("by a constant", vec![divide("x", "c")], vec![int64s("c", &[2, i64::MAX])]),
        ("by constants on both sides of -1", vec![divide("x", "c")], vec![int64s("c", &[-2, 2])]),
        ("a small constant by given", vec![divide("c", "x")], vec![int64s("c", &[7])]),
        ("by a shape", vec![node("Shape", &["y"], &["s"]), divide("x", "s")], vec![]),
        ("a shape by given", vec![node("Size", &["y"], &["s"]), divide("s", "x")], vec![]),
        (
            "shapes of attention heads",
            vec![
                node("Shape", &["x"], &["s"]),
                node("Gather", &["s", "c"], &["d"]),
                node("Sub", &["d", "c"], &["e"]),
                divide("e", "c"),
            ],
            vec![int64s("c", &[2])],
        ),
        ("by at least 1", vec![node("Max", &["y", "c"], &["n"]), divide("x", "n")], vec![int64s("c", &[1])]),
        ("clipped", vec![node("Clip", &["y", "c"], &["n"]), divide("x", "n")], vec![int64s("c", &[1])]),
        (
            "by a remainder",
            vec![node("Mod", &["y", "c"], &["n"]), node("Add", &["n", "d"], &["m"]), divide("x", "m")],
            vec![int64s("c", &[8]), int64s("d", &[1])],
        ),
        (
            "a small quotient",
            vec![divide("x", "c"), node("Div", &["q", "y"], &["p"])],
            vec![int64s("c", &[10])],
        ),
        ("places found", vec![node("NonZero", &["x"], &["n"]), divide("n", "y")], vec![]),
        ("the best by given", vec![node("ArgMax", &["x"], &["n"]), divide("n", "y")], vec![]),
        ("ranks", vec![node("TopK", &["x", "c"], &["v", "n"]), divide("n", "y")], vec![int64s("c", &[3])]),
        ("by a flag", vec![node("Equal", &["x", "y"], &["b"]), cast("b", INT64), divide("x", "n")], vec![]),
        ("bytes", vec![cast("x", INT8), cast("n", INT64), divide("n", "y")], vec![]),
        ("of floats", vec![cast("x", FLOAT), node("Sqrt", &["n"], &["m"]), divide("m", "n")], vec![]),
        (
            "as C does",
            vec![NodeProto { attribute: vec![number("fmod", 1)], ..node("Mod", &["x", "y"], &["r"]) }],
            vec![],
        ),
    ] {
        assert_eq!(found(INT64, &nodes, &constants), [] as [&str; 0], "{what}");
    }
    for kind in [FLOAT, BOOL, INT8, UINT64] {
        assert_eq!(found(kind, &[divide("x", "y")], &[]), [] as [&str; 0], "{kind}");
    }
}

#[test]
fn an_unknown_type_is_what_the_graph_says_and_else_whole() {
    // The label of a classifier is a number or a text: its attributes decide.
    let label = NodeProto { domain: "ai.onnx.ml".into(), ..node("LinearClassifier", &["x"], &["l", "s"]) };
    let nodes = [label.clone(), node("Div", &["l", "l"], &["q"])];
    let mut unknown = model(FLOAT, &nodes, &[]);
    assert_eq!(divisions(&unknown), ["Div #1"]);
    with(&mut unknown).value_info = vec![tensor_info("l", FLOAT)];
    assert_eq!(divisions(&unknown), [] as [&str; 0]);
    // Its scores are floats in any case.
    assert_eq!(found(INT64, &[label, node("Div", &["s", "s"], &["q"])], &[]), [] as [&str; 0]);
}

#[test]
fn an_initializer_that_is_an_input_can_be_replaced() {
    let mut model = model(INT64, &[node("Div", &["x", "c"], &["q"])], &[int64s("c", &[2])]);
    assert_eq!(divisions(&model), [] as [&str; 0]);
    with(&mut model).input.push(tensor_info("c", INT64));
    assert_eq!(divisions(&model), ["Div #0"]);
    // In old files every initializer is an input, and none can.
    model.ir_version = Some(3);
    assert_eq!(divisions(&model), [] as [&str; 0]);
}

#[test]
fn graphs_inside_see_what_is_around_them() {
    let inner = |divisor: &str| GraphProto {
        node: vec![NodeProto { name: "inner".into(), ..node("Div", &["x", divisor], &["q"]) }],
        output: vec![tensor_info("q", INT64)],
        ..GraphProto::default()
    };
    let choice = |divisor| NodeProto {
        name: "choice".into(),
        attribute: vec![body("then_branch", inner(divisor)), body("else_branch", inner("c"))],
        ..node("If", &["b"], &["z"])
    };
    assert_eq!(found(INT64, &[choice("y")], &[int64s("c", &[2])]), ["choice/inner"]);
    assert_eq!(found(INT64, &[choice("c")], &[int64s("c", &[2])]), [] as [&str; 0]);
    // Either branch's quotient is small, and so is what comes out.
    let after = [choice("c"), node("Div", &["z", "y"], &["p"])];
    assert_eq!(found(INT64, &after, &[int64s("c", &[2])]), [] as [&str; 0]);

    // What a loop carries may be anything after some rounds; its counter may not.
    let rounds = |divisor: &str| {
        let graph = GraphProto {
            input: vec![tensor_info("i", INT64), tensor_info("go", BOOL), tensor_info("carried", INT64)],
            node: vec![node("Div", &["x", divisor], &["q"])],
            output: vec![tensor_info("go", BOOL), tensor_info("q", INT64)],
            ..GraphProto::default()
        };
        [NodeProto { attribute: vec![body("body", graph)], ..node("Loop", &["c", "b", "c"], &["z"]) }]
    };
    assert_eq!(found(INT64, &rounds("carried"), &[int64s("c", &[2])]), ["Loop #0/Div #0"]);
    assert_eq!(found(INT64, &rounds("i"), &[int64s("c", &[2])]), [] as [&str; 0]);
}

/// A function that divides its first input by its second.
fn quotient(name: &str, nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: name.into(),
        domain: "own".into(),
        input: vec!["a".into(), "b".into()],
        output: vec!["q".into()],
        node: nodes,
        ..FunctionProto::default()
    }
}

fn call(name: &str, input: &[&str], output: &[&str]) -> NodeProto {
    NodeProto { domain: "own".into(), ..node(name, input, output) }
}

#[test]
fn functions_are_followed_for_each_call() {
    let mut calls = model(
        INT64,
        &[
            call("Quotient", &["x", "c"], &["half"]),
            call("Quotient", &["half", "y"], &["fine"]),
            NodeProto { name: "bad".into(), ..call("Quotient", &["x", "y"], &["z"]) },
        ],
        &[int64s("c", &[2])],
    );
    calls.functions = vec![quotient("Quotient", vec![node("Div", &["a", "b"], &["q"])])];
    assert_eq!(divisions(&calls), ["bad/Div #0"]);

    // An attribute of the call decides on the type.
    let refers =
        AttributeProto { name: "to".into(), ref_attr_name: "kind".into(), ..AttributeProto::default() };
    let cast = NodeProto { attribute: vec![refers], ..node("Cast", &["a"], &["n"]) };
    for (kind, expected) in [(FLOAT, 0), (INT64, 1)] {
        let typed =
            NodeProto { attribute: vec![number("kind", kind.into())], ..call("Typed", &["t"], &["z"]) };
        let mut calls = model(INT64, &[typed], &[]);
        calls.functions = vec![quotient("Typed", vec![cast.clone(), node("Div", &["n", "n"], &["q"])])];
        assert_eq!(divisions(&calls).len(), expected, "{kind}");
    }
}

#[test]
fn functions_unfold_to_a_bounded_size() {
    let chain = |length: usize, calls: usize| {
        let function = |index: usize| {
            let next = format!("F{}", index + 1);
            let last = index + 1 == length;
            let inner = if last { node("Neg", &["a"], &["q"]) } else { call(&next, &["a", "b"], &["q"]) };
            quotient(&format!("F{index}"), vec![inner; calls])
        };
        let mut model = model(INT64, &[call("F0", &["x", "y"], &["z"])], &[]);
        model.functions = (0..length).map(function).collect();
        look(&sample::encode(&model))
    };
    assert!(chain(64, 1).is_ok());
    assert_eq!(chain(65, 1), Err(OnnxFault::CallsTooDeep { limit: 64 }));
    assert!(chain(4, 10).is_ok());
    assert_eq!(chain(5, 10), Err(OnnxFault::TooManyUnfolded { limit: 100_000 }));
    assert_eq!(chain(40, 10), Err(OnnxFault::TooManyUnfolded { limit: 100_000 }));

    for called in ["Itself", "Other"] {
        let mut endless = model(INT64, &[node("Neg", &["x"], &["z"])], &[]);
        endless.functions = vec![
            quotient("Itself", vec![call(called, &["a", "b"], &["q"])]),
            quotient("Other", vec![call("Itself", &["a", "b"], &["q"])]),
        ];
        let fault = look(&sample::encode(&endless)).expect_err("endless");
        assert!(matches!(fault, OnnxFault::Recursion { .. }), "{fault}");
    }
}

#[test]
fn a_bounded_number_of_divisions_is_named() {
    let nodes = |count| vec![node("Div", &["x", "y"], &["q"]); count];
    assert_eq!(found(INT64, &nodes(100), &[]).len(), 100);
    assert_eq!(found(INT64, &nodes(101), &[]).len(), 100);
}

#[test]
fn deep_graphs_and_many_nodes_are_followed() {
    // The nested Ifs hold a Mul: a division beside them makes them be followed.
    let mut inner = GraphProto { node: vec![node("Div", &["x", "y"], &["q"])], ..GraphProto::default() };
    for _ in 0..30 {
        let choice = NodeProto { attribute: vec![body("then_branch", inner)], ..node("If", &["b"], &["q"]) };
        inner = GraphProto { node: vec![choice], ..GraphProto::default() };
    }
    let found = found(INT64, &inner.node, &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("/If #0/Div #0"), "{}", found[0]);

    let chain: Vec<NodeProto> =
        (0..50_000).map(|i| node("Div", &[&format!("v{i}"), "y"], &[&format!("v{}", i + 1)])).collect();
    assert_eq!(look(&sample::encode(&model(FLOAT, &chain, &[]))).expect("sound").integer_division.len(), 0);
}
