//! A walk over all the graphs of a model: those inside attributes and functions too.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::external::External;
use super::fault::OnnxFault;
use super::schema::{AttributeProto, GraphProto, ModelProto, NodeProto};
use super::{Operator, domain_name, random, tensor};

/// Domains whose operators a runtime here may have. Which it has, it says itself on loading.
pub(super) const DOMAINS: [&str; 11] = [
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.dml",
    "com.microsoft.experimental",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
    "org.pytorch.aten",
];

/// The most nodes, and the most tensors of a graph, that a model may have in all. ONNX Runtime takes time
/// with the square of either: 100 000 take it up to half a minute, a million hours. The largest language
/// models have some ten thousand.
pub(super) const NODES_MAX: usize = 100_000;
const TENSORS_MAX: usize = 100_000;

/// Attributes that say into how many parts something falls. ONNX Runtime 1.31 divides by these before
/// it looks at them (`ConvTranspose`, `Attention`): a zero ends the process on loading.
const PARTS: [&str; 3] = ["group", "q_num_heads", "kv_num_heads"];

/// What the walk has seen.
pub(super) struct Walk<'a> {
    pub(super) operators: BTreeSet<Operator>,
    pub(super) random: BTreeSet<Operator>,
    pub(super) external: BTreeMap<String, u64>,
    /// Operators that the model defines itself.
    functions: BTreeSet<(&'a str, &'a str)>,
    nodes: usize,
    tensors: usize,
    /// Graphs that are still to be walked.
    open: Vec<&'a GraphProto>,
}

impl<'a> Walk<'a> {
    /// Walks all of a model.
    pub(super) fn over(model: &'a ModelProto, graph: &'a GraphProto) -> Result<Self, OnnxFault> {
        let functions = model.functions.iter().map(|f| (domain_name(&f.domain), f.name.as_str()));
        let mut walk = Self {
            operators: BTreeSet::new(),
            random: BTreeSet::new(),
            external: BTreeMap::new(),
            functions: functions.collect(),
            nodes: 0,
            tensors: 0,
            open: vec![graph],
        };
        for training in &model.training_info {
            walk.open.extend(&training.initialization);
            walk.open.extend(&training.algorithm);
        }
        for function in &model.functions {
            walk.nodes(&function.node, None)?;
            walk.attributes(&function.attribute_proto)?;
        }
        while let Some(graph) = walk.open.pop() {
            walk.graph(graph)?;
        }
        Ok(walk)
    }

    /// Whether an operator of this name is used that the model does not define itself.
    pub(super) fn uses(&self, name: &str) -> bool {
        self.operators.contains(&Operator { domain: domain_name("").to_owned(), name: name.to_owned() })
    }

    fn graph(&mut self, graph: &'a GraphProto) -> Result<(), OnnxFault> {
        self.tensors += graph.initializer.len() + graph.sparse_initializer.len();
        if self.tensors > TENSORS_MAX {
            return Err(OnnxFault::TooManyTensors { limit: TENSORS_MAX });
        }
        for initializer in &graph.initializer {
            let external = tensor::check(initializer)?;
            self.external(external);
        }
        for sparse in &graph.sparse_initializer {
            let external = tensor::check_sparse(sparse)?;
            self.external(external);
        }
        self.nodes(&graph.node, Some(graph))
    }

    fn nodes(&mut self, nodes: &'a [NodeProto], graph: Option<&'a GraphProto>) -> Result<(), OnnxFault> {
        self.nodes += nodes.len();
        if self.nodes > NODES_MAX {
            return Err(OnnxFault::TooManyNodes { limit: NODES_MAX });
        }
        let falses = LazyCell::new(|| random::falses(nodes, graph));
        for node in nodes {
            let domain = domain_name(&node.domain);
            let defined = self.functions.contains(&(domain, node.op_type.as_str()));
            if !defined && !DOMAINS.contains(&domain) {
                return Err(OnnxFault::UnknownDomain {
                    domain: domain.to_owned(),
                    operator: node.op_type.clone(),
                });
            }
            if !defined {
                check_parts(node)?;
                let operator = Operator { domain: domain.to_owned(), name: node.op_type.clone() };
                if random::draws(node, || &falses) {
                    self.random.insert(operator.clone());
                }
                self.operators.insert(operator);
            }
            self.attributes(&node.attribute)?;
        }
        Ok(())
    }

    fn attributes(&mut self, attributes: &'a [AttributeProto]) -> Result<(), OnnxFault> {
        for attribute in attributes {
            for value in attribute.t.iter().chain(&attribute.tensors) {
                let external = tensor::check(value)?;
                self.external(external);
            }
            for sparse in attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors) {
                let external = tensor::check_sparse(sparse)?;
                self.external(external);
            }
            self.open.extend(attribute.g.iter().chain(&attribute.graphs));
        }
        Ok(())
    }

    fn external(&mut self, places: impl IntoIterator<Item = External>) {
        for place in places {
            let bytes_min = self.external.entry(place.file).or_insert(0);
            *bytes_min = place.bytes_min.max(*bytes_min);
        }
    }
}

fn check_parts(node: &NodeProto) -> Result<(), OnnxFault> {
    for attribute in &node.attribute {
        let known = PARTS.iter().find(|&&name| name == attribute.name);
        if let (Some(&name), Some(found @ ..=0)) = (known, attribute.i) {
            let operator = crate::problem::one_line(&node.op_type);
            return Err(OnnxFault::Parts { operator, attribute: name, found });
        }
    }
    Ok(())
}
