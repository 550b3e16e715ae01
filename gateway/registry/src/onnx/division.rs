//! Which integer divisions a request can make fatal.
//!
//! On x86-64 the smallest integer divided by -1 is a fault of the processor: the quotient does not
//! fit. ONNX Runtime (1.31.1, as measured) does not check for it, and the process ends with SIGFPE.
//! That is so for `Div` and for `Mod` without `fmod`, of INT32 and INT64: narrower integers are
//! divided as INT32, where the quotient fits, and unsigned ones have no -1. Division by zero is checked.
//!
//! So values are followed through the graph: their element type, the numbers that they may be, and
//! whether those depend on the numbers of a request. It is one pass in the order of the file, which is
//! the order of execution; what is not followed may be anything, and what has no known type counts as
//! integers. Where no request has a part in it, a division counts only where one of its two numbers
//! stands in the file and is such a one: constants are divided on loading, and that ends the process too.

mod constant;
mod element;
mod operator;
mod range;
mod value;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use operator::Operation;
use range::{Range, kind};
use value::{Source, Value};

use super::domain_name;
use super::functions::Functions;
use super::schema::{
    AttributeProto, FunctionProto, GraphProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto,
};
use super::walk::DOMAINS;
use crate::problem::one_line;

/// The most nodes that are named.
pub(super) const NAMED_MAX: usize = 100;
/// From this form of the file on, a request may replace an initializer that is an input as well.
const IR_VERSION_WITH_DEFAULTS: i64 = 4;

/// The nodes whose division a request can make fatal, by their names.
pub(super) fn of_requests(graph: &GraphProto, functions: &Functions<'_>, ir_version: i64) -> Vec<String> {
    let replaceable = ir_version >= IR_VERSION_WITH_DEFAULTS;
    let mut dataflow =
        Dataflow { functions, replaceable, constants: HashMap::new(), place: Vec::new(), found: Vec::new() };
    let mut scope = Scope::default();
    for input in &graph.input {
        scope.values.insert(&input.name, Value::any(declared(input)));
    }
    dataflow.graph(graph, scope);
    dataflow.found
}

/// The pass over a model.
struct Dataflow<'a> {
    functions: &'a Functions<'a>,
    /// Whether inputs come before initializers of the same name.
    replaceable: bool,
    /// What is known of tensors of the file, by their addresses: each is looked at once.
    constants: HashMap<usize, Value>,
    /// The nodes around what is looked at.
    place: Vec<String>,
    found: Vec<String>,
}

/// The names that nodes of one graph or function see.
#[derive(Default)]
struct Scope<'a, 's> {
    values: HashMap<&'a str, Value>,
    /// Element types that the graph says of its values.
    declared: HashMap<&'a str, i32>,
    /// Attributes of the call that the nodes of a function refer to.
    attributes: HashMap<&'a str, &'a AttributeProto>,
    outer: Option<&'s Scope<'a, 's>>,
}

impl<'a> Scope<'a, '_> {
    /// What a name stands for; nothing for the empty one, which leaves an input out.
    fn value(&self, name: &str) -> Option<Value> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(&value) = here.values.get(name) {
                return Some(value);
            }
            scope = here.outer;
        }
        (!name.is_empty()).then(|| Value::any(None))
    }

    /// An attribute, or what it refers to.
    fn attribute(&self, attribute: &'a AttributeProto) -> Option<&'a AttributeProto> {
        if attribute.ref_attr_name.is_empty() {
            return Some(attribute);
        }
        let mut scope = Some(self);
        while let Some(here) = scope {
            if let Some(referred) = here.attributes.get(attribute.ref_attr_name.as_str()) {
                return Some(referred);
            }
            scope = here.outer;
        }
        None
    }
}

impl<'a> Dataflow<'a> {
    /// Follows a graph; gives its outputs.
    fn graph(&mut self, graph: &'a GraphProto, mut scope: Scope<'a, '_>) -> Vec<Value> {
        let dense = graph.initializer.iter().map(|tensor| (tensor, false));
        let halves = graph.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
        for (tensor, is_sparse) in dense.chain(halves.map(|values| (values, true))) {
            if !(self.replaceable && scope.values.contains_key(tensor.name.as_str())) {
                scope.values.insert(&tensor.name, self.constant(tensor, is_sparse));
            }
        }
        let infos = graph.value_info.iter().chain(&graph.output);
        scope.declared = infos.filter_map(|info| Some((info.name.as_str(), declared(info)?))).collect();
        self.nodes(&graph.node, &mut scope);
        graph.output.iter().map(|output| known(scope.value(&output.name))).collect()
    }

    fn nodes(&mut self, nodes: &'a [NodeProto], scope: &mut Scope<'a, '_>) {
        for (index, node) in nodes.iter().enumerate() {
            let mut operation = self.operation(node, scope);
            let called = self.functions.called(node);
            let has_graphs =
                node.attribute.iter().any(|attribute| !attribute.graphs.is_empty() || attribute.g.is_some());
            if called.is_some() || has_graphs {
                self.place.push(label(node, index));
                operation.bodies = self.bodies(node, &operation, scope);
            }
            let of_call = called.map(|function| self.call(function, &operation));
            if called.is_some() || has_graphs {
                self.place.pop();
            }
            let declared = |name: &str| scope.declared.get(name).copied();
            if self.found.len() < NAMED_MAX
                && may_be_fatal(&operation, node.output.first().and_then(|o| declared(o)))
            {
                self.place.push(label(node, index));
                self.found.push(one_line(&self.place.join("/")));
                self.place.pop();
            }
            for (index, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let value = match &of_call {
                    Some(outputs) => known(outputs.get(index).copied()),
                    None => operation.output(index),
                };
                let value = match (value.kind, declared(name)) {
                    (None, kind @ Some(_)) => Value { kind, range: value.range.within(kind), ..value },
                    _ => value,
                };
                scope.values.insert(name, value);
            }
        }
    }

    fn operation(&mut self, node: &'a NodeProto, scope: &Scope<'a, '_>) -> Operation<'a> {
        let attributes = node.attribute.iter();
        let attributes: Vec<_> =
            attributes.filter_map(|own| Some((own.name.as_str(), scope.attribute(own)?))).collect();
        let mut tensor = None;
        if matches!(node.op_type.as_str(), "Constant" | "ConstantOfShape")
            && let Some((_, attribute)) = attributes.first()
        {
            let sparse = || {
                attribute.sparse_tensor.as_ref().and_then(|sparse: &SparseTensorProto| sparse.values.as_ref())
            };
            let dense = attribute.t.as_ref().map(|tensor| (tensor, false));
            let found = dense.or_else(|| sparse().map(|values| (values, true)));
            tensor = found.map(|(tensor, is_sparse)| self.constant(tensor, is_sparse));
        }
        Operation {
            domain: domain_name(&node.domain),
            name: &node.op_type,
            inputs: node.input.iter().map(|name| scope.value(name)).collect(),
            attributes,
            tensor,
            bodies: Vec::new(),
        }
    }

    /// Follows the graphs inside a node, which may be run any number of times.
    fn bodies(
        &mut self,
        node: &'a NodeProto,
        operation: &Operation<'a>,
        scope: &Scope<'a, '_>,
    ) -> Vec<Vec<Value>> {
        let graphs = node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
        let body = |graph: &'a GraphProto| {
            let mut inner = Scope { outer: Some(scope), ..Scope::default() };
            for (index, input) in graph.input.iter().enumerate() {
                let kind = declared(input).or_else(|| operation.input(index)?.kind);
                // The first input of a Loop's body counts its rounds.
                let value = if operation.name == "Loop" && index == 0 {
                    Value { kind: Some(kind::INT64), range: Range::NOT_NEGATIVE, source: Source::Computed }
                } else {
                    Value::any(kind)
                };
                inner.values.insert(&input.name, value);
            }
            self.graph(graph, inner)
        };
        graphs.map(body).collect()
    }

    /// Follows the function that a node calls; gives its outputs.
    fn call(&mut self, function: &'a FunctionProto, operation: &Operation<'a>) -> Vec<Value> {
        let defaults = function.attribute_proto.iter().map(|attribute| (attribute.name.as_str(), attribute));
        let mut scope = Scope {
            attributes: defaults.chain(operation.attributes.iter().copied()).collect(),
            ..Scope::default()
        };
        for (index, name) in function.input.iter().enumerate() {
            scope.values.insert(name, known(operation.input(index)));
        }
        let infos = function.value_info.iter();
        scope.declared = infos.filter_map(|info| Some((info.name.as_str(), declared(info)?))).collect();
        self.nodes(&function.node, &mut scope);
        if DOMAINS.contains(&domain_name(&function.domain)) {
            // A runtime may prefer an operator of its own that has this name.
            return Vec::new();
        }
        function.output.iter().map(|name| known(scope.value(name))).collect()
    }

    fn constant(&mut self, tensor: &'a TensorProto, is_sparse: bool) -> Value {
        let address = std::ptr::from_ref(tensor).addr();
        let look = || if is_sparse { constant::sparse(tensor) } else { constant::value(tensor) };
        *self.constants.entry(address).or_insert_with(look)
    }
}

/// Whether a node may divide the smallest integer by -1. `declared` is the element type that the
/// graph says of its output.
fn may_be_fatal(operation: &Operation<'_>, declared: Option<i32>) -> bool {
    let divides = match (operation.domain, operation.name) {
        ("ai.onnx", "Div") => true,
        ("ai.onnx", "Mod") => !operation.is_c_remainder(),
        _ => false,
    };
    let (true, Some(dividend), Some(divisor)) = (divides, operation.input(0), operation.input(1)) else {
        return false;
    };
    // Both have one type: where either is known not to divide so, neither does.
    let kinds = [dividend.kind, divisor.kind].into_iter().flatten();
    if kinds.clone().any(|known| !matches!(known, kind::INT32 | kind::INT64)) {
        return false;
    }
    let kind = kinds.clone().next().or(declared);
    matches!(kind, None | Some(kind::INT32 | kind::INT64))
        && dividend.range.has_smallest(kind)
        && divisor.range.minus_one
        && [dividend, divisor].iter().any(|value| value.source != Source::Computed)
}

fn known(value: Option<Value>) -> Value {
    value.unwrap_or(Value::any(None))
}

/// The element type that a graph says of a value.
fn declared(info: &ValueInfoProto) -> Option<i32> {
    let tensor = info.r#type.as_ref()?.tensor_type.as_ref()?;
    Some(tensor.elem_type).filter(|&kind| kind != 0)
}

/// What a node is called in messages.
pub(super) fn label(node: &NodeProto, index: usize) -> String {
    if node.name.is_empty() { format!("{} #{index}", one_line(&node.op_type)) } else { one_line(&node.name) }
}
