//! Whether callers of one version can use another.

use std::fmt;

use pointsman_core::{Dim, Signature, TensorSpec};

/// What a change of version means for callers, with a sentence for each difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Same,
    /// What the old version took the new one takes, and what the old one gave it gives; something is new.
    Compatible(Vec<String>),
    /// Some caller of the old version is refused, or gets something else. The first sentences say which, the
    /// compatible differences follow.
    Breaking(Vec<String>),
}

impl Change {
    /// Whether it asks for an explicit yes.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        matches!(self, Self::Breaking(_))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("the signature is the same"),
            Self::Compatible(what) => write!(f, "the signature is compatible: {}", what.join("; ")),
            Self::Breaking(what) => write!(f, "the signature breaks callers: {}", what.join("; ")),
        }
    }
}

/// Compares what two versions take and give.
///
/// Names of dimensions and the order of inputs mean nothing to callers. Declared shapes of outputs are the
/// model's claim and never enforced, so a size that is newly declared, or no longer, changes nothing for them; two
/// sizes that contradict each other (three classes, then five) do: such a swap asks for a yes, which costs
/// little where one of the claims was wrong. Names of classes come from the model's card, whose owner changed
/// them on purpose.
#[must_use]
pub fn compare(old: &Signature, new: &Signature) -> Change {
    let mut differences = Differences::default();
    differences.inputs(&old.inputs, &new.inputs);
    differences.outputs(&old.outputs, &new.outputs);
    let Differences { mut breaking, compatible } = differences;
    match (breaking.is_empty(), compatible.is_empty()) {
        (true, true) => Change::Same,
        (true, false) => Change::Compatible(compatible),
        (false, _) => {
            breaking.extend(compatible);
            Change::Breaking(breaking)
        }
    }
}

#[derive(Default)]
struct Differences {
    breaking: Vec<String>,
    compatible: Vec<String>,
}

impl Differences {
    fn breaking(&mut self, what: String) {
        self.breaking.push(what);
    }

    fn compatible(&mut self, what: String) {
        self.compatible.push(what);
    }

    fn inputs(&mut self, old: &[TensorSpec], new: &[TensorSpec]) {
        for before in old {
            let name = &before.name;
            let Some(after) = find(new, name) else {
                self.breaking(format!("input '{name}' is gone"));
                continue;
            };
            match (before.optional, after.optional) {
                (true, false) => self.breaking(format!("input '{name}' has to come, and could be left out")),
                (false, true) => self.compatible(format!("input '{name}' can be left out, and had to come")),
                _ => {}
            }
            self.datatype("input", before, after);
            self.input_shape(before, after);
        }
        for after in new.iter().filter(|after| find(old, &after.name).is_none()) {
            match after.optional {
                true => self.compatible(format!("input '{}' is new and can be left out", after.name)),
                false => self.breaking(format!("input '{}' is new and has to come", after.name)),
            }
        }
    }

    fn datatype(&mut self, what: &str, before: &TensorSpec, after: &TensorSpec) {
        if before.datatype != after.datatype {
            self.breaking(format!(
                "{what} '{}' is {}, and was {}",
                after.name, after.datatype, before.datatype
            ));
        }
    }

    fn input_shape(&mut self, before: &TensorSpec, after: &TensorSpec) {
        let name = &after.name;
        let (old, new) = match (&before.shape, &after.shape) {
            (None, None) => return,
            (Some(_), None) => {
                return self.compatible(format!("input '{name}' has any rank, and had {}", shape(before)));
            }
            (None, Some(_)) => {
                return self.breaking(format!("input '{name}' is {}, and had any rank", shape(after)));
            }
            (Some(old), Some(new)) => (old, new),
        };
        let dims = || format!("input '{name}' is {}, and was {}", shape(after), shape(before));
        if old.len() != new.len() {
            return self.breaking(dims());
        }
        let narrower = |(old, new): (&Dim, &Dim)| match (old, new) {
            (Dim::Fixed(old), Dim::Fixed(new)) => old != new,
            (Dim::Dynamic(_), Dim::Fixed(_)) => true,
            (_, Dim::Dynamic(_)) => false,
        };
        let wider = |(old, new): (&Dim, &Dim)| matches!((old, new), (Dim::Fixed(_), Dim::Dynamic(_)));
        if old.iter().zip(new).any(narrower) {
            self.breaking(dims());
        } else if old.iter().zip(new).any(wider) {
            self.compatible(dims());
        }
    }

    fn outputs(&mut self, old: &[TensorSpec], new: &[TensorSpec]) {
        for before in old {
            let name = &before.name;
            let Some(after) = find(new, name) else {
                self.breaking(format!("output '{name}' is gone"));
                continue;
            };
            self.datatype("output", before, after);
            self.output_shape(before, after);
            if before.labels != after.labels {
                self.compatible(format!("output '{name}' has other names of classes"));
            }
        }
        for after in new.iter().filter(|after| find(old, &after.name).is_none()) {
            self.compatible(format!("output '{}' is new", after.name));
        }
        let order = |of: &[TensorSpec], other: &[TensorSpec]| -> Vec<_> {
            of.iter().map(|spec| spec.name.clone()).filter(|name| find(other, name).is_some()).collect()
        };
        if order(old, new) != order(new, old) {
            self.compatible("the outputs come in another order".into());
        }
    }

    fn output_shape(&mut self, before: &TensorSpec, after: &TensorSpec) {
        let dims =
            || format!("output '{}' is declared {}, and was {}", after.name, shape(after), shape(before));
        match (&before.shape, &after.shape) {
            (None, None) => {}
            (Some(old), Some(new)) => {
                let contradicts = |(old, new): (&Dim, &Dim)| match (old, new) {
                    (Dim::Fixed(old), Dim::Fixed(new)) => old != new,
                    _ => false,
                };
                let pairs = || old.iter().zip(new);
                if old.len() != new.len() || pairs().any(contradicts) {
                    self.breaking(dims());
                } else if pairs()
                    .any(|(old, new)| matches!(old, Dim::Fixed(_)) != matches!(new, Dim::Fixed(_)))
                {
                    self.compatible(dims());
                }
            }
            _ => self.compatible(dims()),
        }
    }
}

fn find<'a>(specs: &'a [TensorSpec], name: &str) -> Option<&'a TensorSpec> {
    specs.iter().find(|spec| *spec.name == *name)
}

/// A declared shape as text, `[-1,4]`.
fn shape(spec: &TensorSpec) -> String {
    if spec.shape.is_none() {
        return "of any rank".into();
    }
    let dims: Vec<String> = spec.wire_shape().iter().map(i64::to_string).collect();
    format!("[{}]", dims.join(","))
}

#[cfg(test)]
mod tests;
