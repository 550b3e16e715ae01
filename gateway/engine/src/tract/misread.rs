//! Operators that tract runs and gets wrong: they are refused like those that it lacks.

use tract_onnx::pb::{GraphProto, NodeProto};

/// The name of the first operator of the graph, or of one inside it, that tract misreads.
pub(super) fn misread(graph: &GraphProto) -> Option<&'static str> {
    graph.node.iter().find_map(|node| {
        if scores_one_of_two_classes(node) {
            return Some("TreeEnsembleClassifier (two classes by one score)");
        }
        let inner = node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
        inner.into_iter().find_map(misread)
    })
}

/// Whether the trees score one class and the other gets the rest, as LightGBM and scikit-learn write
/// binary classifiers. tract 0.23.9 gives the right probabilities and the label of the wrong class:
/// it looks for the highest of the scores before the second one is made.
fn scores_one_of_two_classes(node: &NodeProto) -> bool {
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    let labels = attribute("classlabels_int64s").map_or(0, |a| a.ints.len())
        + attribute("classlabels_strings").map_or(0, |a| a.strings.len());
    node.op_type == "TreeEnsembleClassifier"
        && labels == 2
        && attribute("class_ids").is_some_and(|a| a.ints.iter().all(|&id| id == a.ints[0]))
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::AttributeProto;

    use super::*;

    fn classifier(labels: &[i64], ids: &[i64]) -> NodeProto {
        let ints = |name: &str, ints: &[i64]| AttributeProto {
            name: name.into(),
            ints: ints.to_vec(),
            ..AttributeProto::default()
        };
        NodeProto {
            op_type: "TreeEnsembleClassifier".into(),
            attribute: vec![ints("classlabels_int64s", labels), ints("class_ids", ids)],
            ..NodeProto::default()
        }
    }

    fn found(node: NodeProto) -> bool {
        let graph = GraphProto { node: vec![node], ..GraphProto::default() };
        misread(&graph).is_some()
    }

    #[test]
    fn binary_classifiers_with_one_score_are_found() {
        assert!(found(classifier(&[0, 1], &[0, 0, 0])));
        assert!(found(classifier(&[0, 1], &[1, 1])));
        assert!(!found(classifier(&[0, 1], &[0, 1])));
        assert!(!found(classifier(&[0, 1, 2], &[0, 0])));
        assert!(!found(NodeProto { op_type: "Add".into(), ..classifier(&[0, 1], &[0]) }));
    }

    #[test]
    fn inner_graphs_are_looked_at() {
        let inner = GraphProto { node: vec![classifier(&[0, 1], &[0])], ..GraphProto::default() };
        let branch = AttributeProto { g: Some(inner), ..AttributeProto::default() };
        assert!(found(NodeProto { op_type: "If".into(), attribute: vec![branch], ..NodeProto::default() }));
    }
}
