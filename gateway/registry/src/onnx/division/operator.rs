//! What an operator gives, by what it is given.

use super::constant;
use super::element::{element, is_whole};
use super::range::Range;
use super::value::{Source, Value};
use crate::onnx::schema::AttributeProto;

/// One node with all that decides what it gives.
pub(super) struct Operation<'a> {
    pub(super) domain: &'a str,
    pub(super) name: &'a str,
    /// What it is given; nothing where an optional input is left out.
    pub(super) inputs: Vec<Option<Value>>,
    /// By the names that they have here: an attribute of a function's node may stand at its call.
    pub(super) attributes: Vec<(&'a str, &'a AttributeProto)>,
    /// The tensor of a constant.
    pub(super) tensor: Option<Value>,
    /// What the graphs in its attributes give.
    pub(super) bodies: Vec<Vec<Value>>,
}

impl<'a> Operation<'a> {
    pub(super) fn input(&self, index: usize) -> Option<Value> {
        *self.inputs.get(index)?
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.attributes.iter().find(|(own, _)| *own == name).map(|(_, attribute)| *attribute)
    }

    /// What its output of this index may be.
    pub(super) fn output(&self, index: usize) -> Value {
        let value = match (self.domain, self.name) {
            ("ai.onnx", "Constant") => self.constant(),
            ("ai.onnx", "If") => self.branches(index),
            _ => None,
        };
        value.unwrap_or_else(|| self.computed(index))
    }

    fn constant(&self) -> Option<Value> {
        self.tensor.or_else(|| self.attribute("value_int")?.i.map(constant::number))
    }

    /// What either branch gives. Which one it is may say something of the condition.
    fn branches(&self, index: usize) -> Option<Value> {
        let outputs: Option<Vec<Value>> = self.bodies.iter().map(|body| body.get(index).copied()).collect();
        let value = outputs?.into_iter().reduce(Value::join)?;
        Some(Value { source: value.source.max(self.source()), ..value })
    }

    /// The least known of what it is given.
    fn source(&self) -> Source {
        self.inputs.iter().flatten().map(|value| value.source).max().unwrap_or(Source::File)
    }

    fn computed(&self, index: usize) -> Value {
        let kind = element(self, index);
        let range = if self.domain == "ai.onnx" { self.range(index) } else { None };
        let source = match (self.name, range) {
            // The graphs inside see more than the node's inputs.
            _ if !self.bodies.is_empty() => Source::Request,
            ("Shape" | "Size", _) => Source::Computed,
            (_, Some(_)) => self.source(),
            (_, None) => self.source().max(Source::Computed),
        };
        Value { kind, range: range.map_or(Range::full(kind), |range| range.within(kind)), source }
    }

    /// The bounds of an output of one of ONNX's own operators, for the operators that are followed:
    /// those which exporters put around shapes, indices and divisors.
    fn range(&self, index: usize) -> Option<Range> {
        let whole = |value: Value| is_whole(value.kind).then_some(value.range);
        let range = |index| self.input(index).and_then(whole);
        let both = |f: fn(Range, Range) -> Range| Some(f(range(0)?, range(1)?));
        let all = |f: fn(Range, Range) -> Range| {
            let ranges: Option<Vec<Range>> = self.inputs.iter().map(|value| value.and_then(whole)).collect();
            ranges?.into_iter().reduce(f)
        };
        match (self.name, index) {
            (
                "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin" | "SequenceLength" | "NonMaxSuppression",
                0,
            )
            | ("TopK" | "MaxPool", 1)
            | ("Unique", 1..) => Some(Range::NOT_NEGATIVE),
            ("Sign", 0) => Some(Range::new(-1, 1)),
            ("EyeLike", 0) => Some(Range::new(0, 1)),
            (
                "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Transpose" | "Flatten" | "Expand"
                | "Tile" | "Slice" | "Gather" | "GatherND" | "GatherElements" | "Compress" | "DepthToSpace"
                | "SpaceToDepth" | "ReverseSequence" | "Cast" | "CastLike" | "TopK" | "Unique",
                0,
            )
            | ("Split", _) => range(0),
            ("Where", 0) => Some(range(1)?.join(range(2)?)),
            ("OneHot", 0) => range(2),
            ("ConstantOfShape", 0) => self.tensor.map_or(Some(Range::new(0, 0)), whole),
            ("Concat", 0) => all(Range::join),
            ("Trilu", 0) => Some(range(0)?.join(Range::new(0, 0))),
            ("Max", 0) => all(|a, b| a.rising(b, i128::max)),
            ("Min", 0) => all(|a, b| a.rising(b, i128::min)),
            ("Clip", 0) => {
                let mut clipped = range(0)?;
                for (bound, f) in [(1, i128::max as fn(i128, i128) -> i128), (2, i128::min)] {
                    if let Some(bound) = self.input(bound) {
                        clipped = clipped.rising(whole(bound)?, f);
                    }
                }
                Some(clipped)
            }
            ("Relu", 0) => Some(range(0)?.rising(Range::new(0, 0), i128::max)),
            ("Add", 0) => both(Range::add),
            ("Sub", 0) => both(Range::subtract),
            ("Mul", 0) => both(Range::multiply),
            ("Div", 0) => both(Range::divide),
            ("Mod", 0) if !self.is_c_remainder() => both(Range::remainder),
            ("Neg", 0) => range(0).map(Range::negate),
            ("Abs", 0) => range(0).map(Range::absolute),
            _ => None,
        }
    }

    /// Whether it is a `Mod` that computes in floats, as C's `fmod` does.
    pub(super) fn is_c_remainder(&self) -> bool {
        self.attribute("fmod").and_then(|attribute| attribute.i).is_some_and(|fmod| fmod != 0)
    }
}
