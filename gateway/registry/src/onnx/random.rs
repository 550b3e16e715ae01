//! Which operators draw random numbers: the same inputs have another answer in each run, so none may be kept.
//!
//! A seed changes nothing about that: it begins a sequence when the model is loaded, and each run takes the next
//! numbers of it. Dropout draws only while it trains, which one of its inputs says; where that is not a constant
//! `false` beside it, it counts as training.

use std::collections::HashSet;

use super::schema::{GraphProto, NodeProto, TensorProto};

/// Operators that draw in every run, or that may do anything.
const ALWAYS: [&str; 8] = [
    "ATen",
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Sampling",
];
/// Operators that draw while they train, with the place of the input that says so.
const IN_TRAINING: [(&str, usize); 4] =
    [("BiasDropout", 4), ("BitmaskBiasDropout", 4), ("BitmaskDropout", 2), ("Dropout", 2)];
/// `BOOL` in `TensorProto.DataType`.
const BOOL: i32 = 9;

/// Whether a node draws random numbers; `falses` are the names that say `false` there.
pub(super) fn draws<'a>(node: &NodeProto, falses: impl FnOnce() -> &'a HashSet<&'a str>) -> bool {
    if ALWAYS.contains(&node.op_type.as_str()) {
        return true;
    }
    let place = IN_TRAINING.iter().find(|(name, _)| *name == node.op_type).map(|(_, place)| *place);
    // Without a name the input is left out, and no training.
    let trains = place.and_then(|place| node.input.get(place)).filter(|name| !name.is_empty());
    trains.is_some_and(|name| !falses().contains(name.as_str()))
}

/// The constants among these nodes, and of their graph, that say `false`. An initializer that is an input as well may
/// be given otherwise by a request.
pub(super) fn falses<'a>(nodes: &'a [NodeProto], graph: Option<&'a GraphProto>) -> HashSet<&'a str> {
    let inputs: HashSet<&str> =
        graph.into_iter().flat_map(|graph| &graph.input).map(|input| input.name.as_str()).collect();
    let initializers = graph.into_iter().flat_map(|graph| &graph.initializer);
    let named = initializers.filter(|tensor| is_false(tensor)).map(|tensor| tensor.name.as_str());
    let made = nodes.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
        let value = node.attribute.iter().find(|attribute| attribute.name == "value")?.t.as_ref();
        value.filter(|tensor| is_false(tensor)).and(node.output.first()).map(String::as_str)
    });
    named.filter(|name| !inputs.contains(name)).chain(made).collect()
}

/// Whether a tensor says `false` and nothing else. Numbers of zero have bytes of zero in each of their forms.
fn is_false(tensor: &TensorProto) -> bool {
    let mut lists =
        tensor.raw_data.iter().chain(&tensor.int32_data).filter(|list| !list.is_empty()).peekable();
    tensor.data_type == BOOL && lists.peek().is_some() && lists.flatten().all(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::look;
    use super::super::sample::{encode, graph_of, node, tensor_info};
    use super::super::schema::{AttributeProto, FunctionProto, ModelProto};
    use super::*;

    fn drawing(model: &ModelProto) -> Vec<String> {
        look(&encode(model)).expect("sound").random.iter().map(ToString::to_string).collect()
    }

    fn of(nodes: Vec<NodeProto>) -> Vec<String> {
        drawing(&graph_of(GraphProto { node: nodes, ..GraphProto::default() }))
    }

    fn bool_tensor(name: &str, byte: &'static [u8]) -> TensorProto {
        let raw_data = Some(Bytes::from_static(byte));
        TensorProto { name: name.into(), data_type: BOOL, raw_data, ..TensorProto::default() }
    }

    #[test]
    fn what_draws_is_named_wherever_it_stands() {
        let drawn = of(vec![
            node("RandomNormal", &[], &["a"]),
            node("Mul", &["a", "a"], &["b"]),
            NodeProto { domain: "com.microsoft".into(), ..node("Sampling", &["b"], &["c"]) },
        ]);
        assert_eq!(drawn, ["ai.onnx.RandomNormal", "com.microsoft.Sampling"]);
        let inner = GraphProto { node: vec![node("Bernoulli", &["x"], &["y"])], ..GraphProto::default() };
        let branch =
            AttributeProto { name: "then_branch".into(), g: Some(inner), ..AttributeProto::default() };
        assert_eq!(
            of(vec![NodeProto { attribute: vec![branch], ..node("If", &["x"], &["y"]) }]),
            ["ai.onnx.Bernoulli"]
        );
        assert_eq!(of(vec![node("Softmax", &["x"], &["y"])]), [""; 0]);
    }

    #[test]
    fn functions_of_the_model_draw_by_what_they_hold() {
        let function = |name: &str, operator: &str| FunctionProto {
            name: name.into(),
            node: vec![node(operator, &["x"], &["y"])],
            ..FunctionProto::default()
        };
        let graph = GraphProto { node: vec![node("Multinomial", &["x"], &["y"])], ..GraphProto::default() };
        let own = |operator: &str| ModelProto {
            functions: vec![function("Multinomial", operator)],
            ..graph_of(graph.clone())
        };
        assert_eq!(drawing(&own("Abs")), [""; 0]);
        assert_eq!(drawing(&own("RandomUniformLike")), ["ai.onnx.RandomUniformLike"]);
    }

    #[test]
    fn dropout_draws_unless_it_surely_does_not_train() {
        let dropout = |inputs: &[&str]| node("Dropout", inputs, &["y"]);
        let constant = |tensor: TensorProto| {
            let value = AttributeProto { name: "value".into(), t: Some(tensor), ..AttributeProto::default() };
            NodeProto { attribute: vec![value], ..node("Constant", &[], &["t"]) }
        };
        let random = ["ai.onnx.Dropout"];
        assert_eq!(of(vec![dropout(&["x"])]), [""; 0]);
        assert_eq!(of(vec![dropout(&["x", "ratio", ""])]), [""; 0]);
        assert_eq!(of(vec![dropout(&["x", "", "t"])]), random);
        assert_eq!(of(vec![constant(bool_tensor("", &[0])), dropout(&["x", "", "t"])]), [""; 0]);
        assert_eq!(of(vec![constant(bool_tensor("", &[1])), dropout(&["x", "", "t"])]), random);
        let numbers = TensorProto { data_type: 2, ..bool_tensor("", &[0]) };
        assert_eq!(of(vec![constant(numbers), dropout(&["x", "", "t"])]), random);

        let graph = |tensor: TensorProto, inputs| GraphProto {
            node: vec![dropout(&["x", "", "t"])],
            initializer: vec![tensor],
            input: inputs,
            ..GraphProto::default()
        };
        assert_eq!(drawing(&graph_of(graph(bool_tensor("t", &[0]), Vec::new()))), [""; 0]);
        assert_eq!(drawing(&graph_of(graph(bool_tensor("t", &[1]), Vec::new()))), random);
        let replaceable = graph(bool_tensor("t", &[0]), vec![tensor_info("t", BOOL)]);
        assert_eq!(drawing(&graph_of(replaceable)), random);
        let listed = TensorProto {
            raw_data: None,
            int32_data: vec![Bytes::from_static(&[0])],
            ..bool_tensor("t", &[])
        };
        assert_eq!(drawing(&graph_of(graph(listed, Vec::new()))), [""; 0]);
    }
}
