//! Attention whose number of heads a request decides.
//!
//! `Attention` of opset 23 takes queries, keys and values of rank 4, `[batch, heads, length, size]`, and needs as many
//! heads of queries as of keys, or a multiple. ONNX Runtime (1.31.1, as measured) divides the one number by the other
//! before it looks at them: a request of shape `[1, 0, 2, 4]` ends the process with SIGFPE. Heads that the file fixes
//! are safe, and so are those of rank 3, which stand in attributes (`walk.rs` refuses zeros there).
//!
//! Only what comes straight from a request is looked at: heads in the middle of a graph are made by a reshape to a
//! size that stands in the file.

use std::collections::BTreeMap;

use pointsman_core::{Dim, TensorSpec};

use super::division::{NAMED_MAX, label};
use super::domain_name;
use super::schema::{GraphProto, NodeProto};

/// The place of the heads in a shape of rank 4.
const HEADS: usize = 1;
/// Attributes that say how many heads there are; with both of them the shapes do not matter.
const NUMBERS: [&str; 2] = ["q_num_heads", "kv_num_heads"];
/// Queries, keys and values are the first inputs.
const INPUTS: usize = 3;

/// The nodes whose number of heads a request decides, by their names.
pub(super) fn of_requests(graph: &GraphProto, inputs: &[TensorSpec]) -> Vec<String> {
    let inputs: BTreeMap<&str, &TensorSpec> = inputs.iter().map(|input| (&*input.name, input)).collect();
    let open = |node: &&NodeProto| {
        let given = node.input.iter().take(INPUTS).filter_map(|name| inputs.get(name.as_str()));
        is_attention(node) && given.into_iter().any(|input| has_open_heads(input))
    };
    let nodes = graph.node.iter().enumerate();
    let found = nodes.filter(|(_, node)| open(node)).take(NAMED_MAX);
    found.map(|(index, node)| label(node, index)).collect()
}

fn is_attention(node: &NodeProto) -> bool {
    node.op_type == "Attention"
        && domain_name(&node.domain) == "ai.onnx"
        && !NUMBERS.iter().all(|name| node.attribute.iter().any(|attribute| attribute.name == *name))
}

fn has_open_heads(input: &TensorSpec) -> bool {
    match &input.shape {
        None => true,
        Some(dims) => dims.get(HEADS).is_some_and(|heads| !matches!(heads, Dim::Fixed(1..))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::look;
    use super::super::sample::{self, FLOAT, graph_of, node, tensor_info};
    use super::super::schema::tensor_shape_proto::{Dimension, dimension::Value};
    use super::super::schema::{AttributeProto, OperatorSetIdProto, TensorShapeProto, ValueInfoProto};
    use super::*;

    fn tensor(name: &str, dims: Option<&[i64]>) -> ValueInfoProto {
        let mut info = tensor_info(name, FLOAT);
        let tensor = info.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()).expect("a tensor");
        let dim = |&size: &i64| Dimension { value: Some(Value::DimValue(size)) };
        tensor.shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dim).collect() });
        info
    }

    fn found(domain: &str, operator: &str, dims: Option<&[i64]>) -> Vec<String> {
        let node = NodeProto { domain: domain.into(), ..node(operator, &["q", "k", "v"], &["y"]) };
        let fixed = Some(&[-1, 8, -1, 64][..]);
        let mut model = graph_of(GraphProto {
            node: vec![node],
            input: vec![tensor("q", fixed), tensor("k", dims), tensor("v", fixed)],
            ..GraphProto::default()
        });
        for domain in ["", "com.microsoft"] {
            model.opset_import.retain(|import| import.domain != domain);
            model.opset_import.push(OperatorSetIdProto { domain: domain.into(), version: 23 });
        }
        look(&sample::encode(&model)).expect("a sound model").integer_division
    }

    #[test]
    fn attributes_say_it_only_together() {
        let number =
            |name: &str| AttributeProto { name: name.into(), i: Some(8), ..AttributeProto::default() };
        for (attributes, is_open) in [
            (vec!["q_num_heads"], true),
            (vec!["kv_num_heads"], true),
            (vec!["q_num_heads", "kv_num_heads"], false),
        ] {
            let attribute = attributes.iter().map(|name| number(name)).collect();
            let node = NodeProto { attribute, ..node("Attention", &["x", "x", "x"], &["y"]) };
            let graph = GraphProto { node: vec![node], ..GraphProto::default() };
            let dims = vec![Dim::Dynamic(None); 4];
            let x = TensorSpec {
                name: "x".into(),
                datatype: pointsman_core::Datatype::Fp32,
                shape: Some(dims),
                optional: false,
                labels: None,
            };
            assert_eq!(of_requests(&graph, &[x]).len(), usize::from(is_open), "{attributes:?}");
        }
    }

    #[test]
    fn heads_that_a_request_decides_are_found_and_fixed_ones_are_not() {
        for (dims, is_open) in [
            (Some(&[-1, 8, -1, 64][..]), false),
            (Some(&[-1, -1, -1, 64]), true),
            (Some(&[1, 0, 2, 4]), true),
            (Some(&[1]), false), // no shape of an attention; the runtime refuses it
            (None, true),
        ] {
            let expected: &[&str] = if is_open { &["Attention #0"] } else { &[] };
            assert_eq!(found("", "Attention", dims), expected, "{dims:?}");
            assert_eq!(found("com.microsoft", "Attention", dims), [""; 0], "{dims:?}");
            assert_eq!(found("", "Mean", dims), [""; 0], "{dims:?}");
        }
    }
}
