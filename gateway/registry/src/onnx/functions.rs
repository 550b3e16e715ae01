//! The operators that a model defines itself: how far they unfold.
//!
//! A runtime puts the body of a function in the place of each call. Functions that call each other
//! make of a few hundred bytes as many nodes as one likes, or never end.

use std::collections::HashMap;

use super::domain_name;
use super::fault::OnnxFault;
use super::schema::{FunctionProto, GraphProto, ModelProto, NodeProto};
use super::walk::NODES_MAX;

/// The deepest that calls and the graphs around them may lie in each other.
const CALLS_DEEP_MAX: usize = 64;

/// Functions by domain, name and overload.
#[derive(Default)]
pub(super) struct Functions<'a> {
    by_name: HashMap<(&'a str, &'a str, &'a str), usize>,
    all: &'a [FunctionProto],
}

/// What a function becomes when it is unfolded.
#[derive(Clone, Copy)]
struct Unfolded {
    nodes: usize,
    depth: usize,
}

/// One call: the function, and the graphs that lie around it.
struct Call {
    function: usize,
    depth: usize,
}

/// A function whose calls are being followed.
struct Open {
    function: usize,
    calls: Vec<Call>,
    unfolded: Unfolded,
}

impl<'a> Functions<'a> {
    /// The functions of a model.
    ///
    /// # Errors
    /// Where they call themselves, or unfold to more than a runtime should be given.
    pub(super) fn of(model: &'a ModelProto, graph: &'a GraphProto) -> Result<Self, OnnxFault> {
        let key = |function: &'a FunctionProto| {
            (domain_name(&function.domain), function.name.as_str(), function.overload.as_str())
        };
        let by_name = model.functions.iter().enumerate().map(|(index, function)| (key(function), index));
        let functions = Self { by_name: by_name.collect(), all: &model.functions };
        if !functions.all.is_empty() {
            functions.check(graph)?;
        }
        Ok(functions)
    }

    /// The function that a node calls, if it calls one.
    pub(super) fn called(&self, node: &NodeProto) -> Option<&'a FunctionProto> {
        self.all.get(self.index(node)?)
    }

    fn index(&self, node: &NodeProto) -> Option<usize> {
        let key = (domain_name(&node.domain), node.op_type.as_str(), node.overload.as_str());
        self.by_name.get(&key).copied()
    }

    /// Follows the calls of every function and of the graph, each function once, without a recursion.
    fn check(&self, graph: &GraphProto) -> Result<(), OnnxFault> {
        let mut known: Vec<Option<Unfolded>> = vec![None; self.all.len()];
        let mut is_open = vec![false; self.all.len()];
        for first in 0..self.all.len() {
            if known[first].is_some() {
                continue;
            }
            is_open[first] = true;
            let mut open = vec![self.open(first)];
            while let Some(caller) = open.last_mut() {
                let Some(call) = caller.calls.last() else {
                    known[caller.function] = Some(caller.unfolded);
                    is_open[caller.function] = false;
                    open.pop();
                    continue;
                };
                if let Some(called) = known[call.function] {
                    caller.unfolded = caller.unfolded.with(call, called)?;
                    caller.calls.pop();
                } else if is_open[call.function] {
                    return Err(OnnxFault::Recursion { function: self.all[call.function].name.clone() });
                } else {
                    let called = call.function;
                    is_open[called] = true;
                    open.push(self.open(called));
                }
            }
        }
        let mut whole = Unfolded { nodes: 0, depth: 0 };
        for call in self.calls(&graph.node).0 {
            if let Some(called) = known[call.function] {
                whole = whole.with(&call, called)?;
            }
        }
        Ok(())
    }

    fn open(&self, function: usize) -> Open {
        let (calls, nodes) = self.calls(&self.all[function].node);
        Open { function, calls, unfolded: Unfolded { nodes, depth: 0 } }
    }

    /// The calls among these nodes and in the graphs inside them, and how many nodes there are.
    fn calls(&self, nodes: &[NodeProto]) -> (Vec<Call>, usize) {
        let mut calls = Vec::new();
        let mut count = 0;
        let mut open = vec![(nodes, 0)];
        while let Some((nodes, depth)) = open.pop() {
            count += nodes.len();
            for node in nodes {
                calls.extend(self.index(node).map(|function| Call { function, depth }));
                let graphs =
                    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
                open.extend(graphs.map(|graph| (&graph.node[..], depth + 1)));
            }
        }
        (calls, count)
    }
}

impl Unfolded {
    fn with(self, call: &Call, called: Self) -> Result<Self, OnnxFault> {
        let nodes = self.nodes.saturating_add(called.nodes);
        let depth = self.depth.max(call.depth + 1 + called.depth);
        if nodes > NODES_MAX {
            return Err(OnnxFault::TooManyUnfolded { limit: NODES_MAX });
        }
        if depth > CALLS_DEEP_MAX {
            return Err(OnnxFault::CallsTooDeep { limit: CALLS_DEEP_MAX });
        }
        Ok(Self { nodes, depth })
    }
}
