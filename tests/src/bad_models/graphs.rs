//! Models whose graph is none: versions, names, wiring, nesting, sizes.

use super::proto::{
    BOOL, FLOAT, INT64, Message, body, floats, graph, info, int, int64s, loose, model, node, node_of, opset,
    set, simple, subgraph, tensor, text,
};
use super::{BadModel, Contained, Expected};

/// What the others are wrong variants of: `y = x + w`.
pub(super) fn good() -> Vec<u8> {
    simple([node("Add", &["x", "w"], &["y"])], [weights()])
}

fn weights() -> Message {
    floats("w", &[4], &[1.0, 2.0, 3.0, 4.0])
}

/// The good graph in a model of these versions.
fn versions(ir: Option<i64>, opsets: &[(&str, i64)]) -> Vec<u8> {
    let message = ir.map_or(Message::new(), |ir| Message::new().number(1, ir));
    let graph = graph([node("Add", &["x", "w"], &["y"])], [weights()]);
    message.with(7, graph).with_all(8, opsets.iter().map(|&(domain, version)| opset(domain, version))).bytes()
}

/// A graph with this many nodes in a row.
fn row(nodes: usize) -> Vec<u8> {
    let names = |i: usize| match i {
        0 => "x".to_owned(),
        _ if i == nodes => "y".to_owned(),
        _ => format!("v{i}"),
    };
    let all = (0..nodes).map(|i| node("Neg", &[&names(i)], &[&names(i + 1)]));
    simple(all, [])
}

/// A branch, and one that is as good as empty.
fn branches(then: &Message) -> [Message; 2] {
    let other = body([node("Abs", &["x"], &["e"])], [], [loose("e", FLOAT)]);
    [subgraph("then_branch", then), subgraph("else_branch", &other)]
}

/// An `If` inside an `If`, and so on.
fn nested(levels: usize) -> Vec<u8> {
    let mut inner = body([node("Neg", &["x"], &["o"])], [], [loose("o", FLOAT)]);
    for _ in 0..levels {
        let choice = set(node("If", &["c"], &["o"]), branches(&inner));
        inner = body([choice], [], [loose("o", FLOAT)]);
    }
    let choice = set(node("If", &["c"], &["y"]), branches(&inner));
    simple([choice], [tensor("c", BOOL, &[], &[1])])
}

/// A `Loop` that goes on for `trips` rounds.
fn rounds(trips: &str) -> Message {
    let round = body(
        [node("Identity", &["go"], &["on"]), node("Neg", &["v"], &["next"])],
        [info("i", INT64, &[]), info("go", BOOL, &[]), info("v", FLOAT, &[4])],
        [info("on", BOOL, &[]), info("next", FLOAT, &[4])],
    );
    set(node("Loop", &[trips, "yes", "w"], &["z"]), [subgraph("body", &round)])
}

/// What says that a loop goes on.
fn yes() -> Message {
    tensor("yes", BOOL, &[], &[1])
}

/// A loop that does not end, whatever it is given. With a declared shape zeros can be run to warm it.
fn endless(inputs: [Message; 1]) -> Vec<u8> {
    let nodes = [rounds("trips"), node("Add", &["x", "z"], &["y"])];
    let constants = [int64s("trips", &[1 << 62]), yes(), weights()];
    model(&body(nodes, inputs, [loose("y", FLOAT)]).with_all(5, constants)).bytes()
}

/// A function whose `ConvTranspose` takes its group from the call, under another name.
fn group_by_reference() -> Vec<u8> {
    let refers = Message::new().with(1, "group").with(21, "parts").number(20, 2);
    let inner = set(node("ConvTranspose", &["a", "b"], &["q"]), [refers]);
    let function = function("F0", [inner]).with(4, "b").with(6, "parts");
    let call = set(node_of("own", "F0", &["x", "w"], &["y"]), [int("parts", 0)]);
    let weights = floats("w", &[1, 1, 2, 2], &[1.0; 4]);
    let graph = body([call], [info("x", FLOAT, &[1, 1, 4, 4])], [loose("y", FLOAT)]).with(5, weights);
    model(&graph).with(8, opset("own", 1)).with(25, function).bytes()
}

/// A function of one input and one output in a domain of its own.
fn function(name: &str, nodes: impl IntoIterator<Item = Message>) -> Message {
    let function = Message::new().with(1, name).with(4, "a").with(5, "q").with_all(7, nodes);
    function.with(9, opset("", 17)).with(9, opset("own", 1)).with(10, "own")
}

/// A model that calls the first of these functions.
fn calls(functions: impl IntoIterator<Item = Message>) -> Vec<u8> {
    let graph = graph([node_of("own", "F0", &["x"], &["y"])], []);
    model(&graph).with(8, opset("own", 1)).with_all(25, functions).bytes()
}

/// Functions that each call the next one twice.
fn doubling(levels: usize) -> Vec<u8> {
    let one = |level: usize| {
        let next = format!("F{}", level + 1);
        let call = |from: &str, to: &str| {
            if level + 1 == levels {
                node("Neg", &[from], &[to])
            } else {
                node_of("own", &next, &[from], &[to])
            }
        };
        function(&format!("F{level}"), [call("a", "t"), call("t", "q")])
    };
    calls((0..levels).map(one))
}

/// Functions that each call the next one once.
fn chain(levels: usize) -> Vec<u8> {
    let one = |level: usize| {
        let next = format!("F{}", level + 1);
        let last = level + 1 == levels;
        let inner = if last { node("Neg", &["a"], &["q"]) } else { node_of("own", &next, &["a"], &["q"]) };
        function(&format!("F{level}"), [inner])
    };
    calls((0..levels).map(one))
}

/// A model of one node, and the weights `w`.
fn one(node: Message) -> Vec<u8> {
    simple([node], [weights()])
}

/// The same models without their fault.
pub(super) fn sound() -> Vec<(&'static str, Vec<u8>)> {
    let trips = int64s("trips", &[3]);
    vec![
        ("versions", versions(Some(8), &[("", 17)])),
        ("row", row(100)),
        ("nested", nested(5)),
        ("loop", simple([rounds("trips"), node("Add", &["x", "z"], &["y"])], [trips, yes(), weights()])),
        ("doubling", doubling(5)),
        ("chain", chain(20)),
    ]
}

pub(super) fn all() -> Vec<BadModel> {
    [of_versions(), of_wiring(), of_sizes(), of_loops_and_functions(), of_signatures()].concat()
}

fn of_versions() -> Vec<BadModel> {
    let look = Expected::look;
    vec![
        BadModel::new(
            "no-graph",
            Message::new().number(1, 8).with(8, opset("", 17)).bytes(),
            look("has no graph"),
        ),
        BadModel::new("no-ir-version", versions(None, &[("", 17)]), look("has no IR version")),
        BadModel::new("ir-version-0", versions(Some(0), &[("", 17)]), look("has IR version 0")),
        BadModel::new(
            "ir-version-huge",
            versions(Some(i64::MAX), &[("", 17)]),
            look("has IR version 9223372036854775807"),
        ),
        BadModel::new("no-opset", versions(Some(8), &[]), look("imports no operator set")),
        BadModel::new("opset-0", versions(Some(8), &[("", 0)]), look("imports version 0")),
        BadModel::new("opset-999", versions(Some(8), &[("", 999)]), look("imports version 999")),
    ]
}

fn of_wiring() -> Vec<BadModel> {
    let (look, engine) = (Expected::look, Expected::engine);
    vec![
        BadModel::new(
            "unknown-domain",
            one(node_of("my.ops", "Magic", &["x"], &["y"])),
            look("domain my.ops"),
        ),
        BadModel::new(
            "custom-operator",
            one(node_of("com.microsoft", "MyOwn", &["x"], &["y"])),
            engine("MyOwn"),
        ),
        BadModel::new("unknown-operator", one(node("Magic", &["x"], &["y"])), engine("Magic")),
        BadModel::new("node-without-inputs", one(node("Add", &[], &["y"])), engine("Add")),
        BadModel::new(
            "two-of-one-name",
            simple([node("Neg", &["x"], &["y"]), node("Abs", &["x"], &["y"])], []),
            engine("Duplicate definition"),
        ),
        BadModel::new(
            "cycle",
            simple([node("Add", &["x", "y"], &["z"]), node("Add", &["x", "z"], &["y"])], []),
            engine("not acyclic"),
        ),
        BadModel::new("undefined-input", one(node("Neg", &["nothing"], &["y"])), engine("nothing")),
        BadModel::new(
            "undefined-type",
            model(&body([node("Neg", &["x"], &["y"])], [Message::new().with(1, "x")], [loose("y", FLOAT)]))
                .bytes(),
            engine("type"),
        ),
        BadModel::new(
            "unknown-element-type",
            model(&body([node("Neg", &["x"], &["y"])], [loose("x", 99)], [loose("y", 99)])).bytes(),
            engine("type"),
        ),
        BadModel::new(
            "attribute-of-another-type",
            one(set(node("Concat", &["x", "x"], &["y"]), [text("axis", "zero")])),
            engine("axis"),
        ),
        BadModel::new(
            "group-0",
            one(set(node("ConvTranspose", &["x", "w"], &["y"]), [int("group", 0)])),
            look("sets group"),
        ),
    ]
}

fn of_sizes() -> Vec<BadModel> {
    let look = Expected::look;
    let many = |count: usize| {
        let weights = (0..count).map(|i| floats(&format!("w{i}"), &[], &[0.0]));
        simple([node("Neg", &["x"], &["y"])], weights)
    };
    let metadata = |count: usize| {
        let entry = |i: usize| Message::new().with(1, format!("key{i}")).with(2, "value");
        model(&graph([node("Neg", &["x"], &["y"])], [])).with_all(14, (0..count).map(entry)).bytes()
    };
    vec![
        BadModel::new(
            "huge-dimensions",
            model(&body(
                [node("Neg", &["x"], &["y"])],
                [info("x", FLOAT, &[1 << 62, 1 << 62])],
                [info("y", FLOAT, &[1 << 62, 1 << 62])],
            ))
            .bytes(),
            Expected::contained("INPUT_MISMATCH"),
        ),
        BadModel::new("a-million-nodes", row(1_000_000), look("nodes")),
        BadModel::new("a-million-initializers", many(1_000_000), look("tensors")),
        BadModel::new("a-million-metadata", metadata(1_000_000), Expected::contained("OK")),
        BadModel::new("if-1000-deep", nested(1000), look("levels deep")),
    ]
}

fn of_loops_and_functions() -> Vec<BadModel> {
    let look = Expected::look;
    vec![
        BadModel::new(
            "loop-of-a-request",
            model(
                &body([rounds("trips")], [info("trips", INT64, &[])], [loose("z", FLOAT)])
                    .with_all(5, [yes(), weights()]),
            )
            .bytes(),
            Expected::Contained(Contained {
                request: r#"{"inputs":[{"name":"trips","datatype":"INT64","shape":[],"data":[4611686018427387904]}],"parameters":{"timeout":200000}}"#,
                code: "DEADLINE_EXCEEDED",
            }),
        ),
        BadModel::new(
            "loop-of-constants",
            endless([loose("x", FLOAT)]),
            Expected::Contained(Contained {
                request: r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[4],"data":[1,2,3,4]}],"parameters":{"timeout":200000}}"#,
                code: "DEADLINE_EXCEEDED",
            }),
        ),
        BadModel::new(
            "loop-in-the-warm-up",
            endless([info("x", FLOAT, &[4])]),
            Expected::Refused { gate: "warm_up", words: "took longer than" },
        ),
        BadModel::new(
            "group-0-by-reference",
            group_by_reference(),
            Expected::NeedsTrial { without: "the process ends with SIGFPE on loading" },
        ),
        BadModel::new(
            "function-calls-itself",
            calls([function("F0", [node_of("own", "F0", &["a"], &["q"])])]),
            look("calls itself"),
        ),
        BadModel::new("functions-unfold", doubling(40), look("functions are unfolded")),
        BadModel::new("functions-deep", chain(100), look("levels deep")),
    ]
}

fn of_signatures() -> Vec<BadModel> {
    vec![
        BadModel::new(
            "another-signature",
            model(&body([node("Neg", &["a"], &["b"])], [info("a", FLOAT, &[1, 2])], [loose("b", FLOAT)]))
                .bytes(),
            Expected::contained("INPUT_MISMATCH"),
        ),
        BadModel::new("another-output-shape", one(node("Shape", &["x"], &["y"])), Expected::engine("y")),
        BadModel::new(
            "declared-output-shape",
            model(&body([node("Neg", &["x"], &["y"])], [loose("x", FLOAT)], [info("y", FLOAT, &[7])]))
                .bytes(),
            Expected::contained("OK"),
        ),
    ]
}
