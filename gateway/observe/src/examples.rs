//! The pairs that are furthest apart, by the id of their request.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_core::{InputTensor, Inputs, RequestId};

/// The most examples that are kept of each kind.
pub(crate) const EXAMPLES_MAX: usize = 10;

/// The most bytes of inputs that are kept of the examples of one kind, of which a comparison has two.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

/// One pair that is worth a look.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) id: RequestId,
    /// The output that is furthest apart; nothing where one side gave none at all.
    pub(crate) output: Option<Arc<str>>,
    /// Whether the two do not agree, and not only differ.
    pub(crate) disagrees: bool,
    pub(crate) differing: u64,
    pub(crate) max_abs: f64,
}

impl Ord for Example {
    /// From bad to worse: disagreement first, then the largest difference, then how much differs.
    fn cmp(&self, other: &Self) -> Ordering {
        let differ = self.disagrees.cmp(&other.disagrees).then(self.max_abs.total_cmp(&other.max_abs));
        differ.then(self.differing.cmp(&other.differing)).then(self.id.bytes().cmp(&other.id.bytes()))
    }
}

impl PartialOrd for Example {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Example {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Example {}

/// The worst of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Examples {
    kept: BTreeSet<Example>,
    /// What was asked in them, as far as there is room: that of the worst stays longest.
    inputs: BTreeMap<[u8; 16], Arc<[InputTensor]>>,
}

impl Examples {
    /// Keeps an example, with its inputs in memory of their own, where it is one of the worst.
    pub(crate) fn push(&mut self, example: Example, inputs: Option<&Inputs<'_>>) {
        let id = example.id;
        if self.keep(example)
            && let Some(inputs) = inputs.filter(|inputs| inputs.bytes() <= INPUT_BYTES_MAX)
        {
            self.inputs.insert(id.bytes(), inputs.detached().into());
            self.make_room();
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for example in &other.kept {
            let id = example.id;
            if self.keep(example.clone())
                && let Some(inputs) = other.inputs(id)
            {
                self.inputs.insert(id.bytes(), inputs.clone());
                self.make_room();
            }
        }
    }

    /// The worst first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Example> {
        self.kept.iter().rev()
    }

    /// What was asked in an example.
    pub(crate) fn inputs(&self, id: RequestId) -> Option<&Arc<[InputTensor]>> {
        self.inputs.get(&id.bytes())
    }

    /// Whether an example is one of the worst, and kept.
    fn keep(&mut self, example: Example) -> bool {
        if self.kept.len() >= EXAMPLES_MAX && self.kept.first().is_some_and(|least| example <= *least) {
            return false;
        }
        self.kept.insert(example);
        if self.kept.len() > EXAMPLES_MAX
            && let Some(least) = self.kept.pop_first()
        {
            self.inputs.remove(&least.id.bytes());
        }
        true
    }

    /// Lets inputs go until they fit, those of the least bad examples first.
    fn make_room(&mut self) {
        let size = |inputs: &Arc<[InputTensor]>| -> usize {
            inputs.iter().map(|input| input.tensor.data().len()).sum()
        };
        let mut bytes: usize = self.inputs.values().map(size).sum();
        for least in &self.kept {
            if bytes <= INPUT_BYTES_MAX {
                break;
            }
            bytes -= self.inputs.remove(&least.id.bytes()).as_ref().map_or(0, size);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use pointsman_core::{Datatype, Shape, Signature, Tensor, TensorSpec};

    use super::*;

    fn example(n: u64) -> Example {
        Example {
            id: RequestId::generate(),
            output: None,
            disagrees: n.is_multiple_of(7),
            differing: n,
            max_abs: (n / 2) as f64,
        }
    }

    fn signature() -> Signature {
        let datatype = Datatype::Uint8;
        let x = TensorSpec { name: "X".into(), datatype, shape: None, optional: false, labels: None };
        Signature { inputs: vec![x], outputs: Vec::new() }
    }

    fn tensor(data: Bytes) -> Option<Tensor> {
        let shape = Shape::new(&[data.len() as u64]).expect("small");
        Some(Tensor::new(Datatype::Uint8, shape, data).expect("fits"))
    }

    /// Pushes examples, each with an input of so many bytes.
    fn push(examples: &mut Examples, pushed: &Example, bytes: usize) {
        let tensors = [tensor(Bytes::from(vec![0; bytes]))];
        examples.push(pushed.clone(), Some(&Inputs { signature: &signature(), tensors: &tensors }));
    }

    #[test]
    fn the_worst_are_kept_in_any_order_and_no_more() {
        let all: Vec<Example> = (1..=100).map(example).collect();
        let kept = |order: &mut dyn Iterator<Item = &Example>| {
            let mut examples = Examples::default();
            order.for_each(|example| push(&mut examples, example, 4));
            assert!(examples.iter().all(|example| examples.inputs(example.id).is_some()));
            assert_eq!(examples.inputs.len(), examples.kept.len());
            examples.iter().map(|example| example.differing).collect::<Vec<_>>()
        };
        let worst = [98, 91, 84, 77, 70, 63, 56, 49, 42, 35];
        assert_eq!(kept(&mut all.iter()), worst);
        assert_eq!(kept(&mut all.iter().rev()), worst);
        assert_eq!(kept(&mut all[..EXAMPLES_MAX].iter()).len(), EXAMPLES_MAX);
    }

    #[test]
    fn inputs_at_the_limit_are_kept_and_past_it_those_of_the_least_bad_go() {
        let [good, bad, worst, huge] = [1, 3, 5, 8].map(example);
        let mut examples = Examples::default();
        let has = |examples: &Examples, of: &[&Example]| -> Vec<bool> {
            of.iter().map(|example| examples.inputs(example.id).is_some()).collect()
        };
        push(&mut examples, &bad, INPUT_BYTES_MAX - 10);
        push(&mut examples, &good, 10);
        assert_eq!(has(&examples, &[&good, &bad]), [true, true]);
        // The example of the good one stays, and its inputs go.
        push(&mut examples, &worst, 5);
        assert_eq!(has(&examples, &[&good, &bad, &worst]), [false, true, true]);
        push(&mut examples, &huge, INPUT_BYTES_MAX + 1);
        assert_eq!(has(&examples, &[&huge, &bad, &worst]), [false, true, true]);
        assert_eq!(examples.kept.len(), 4);
        // Two that fit alone and not together.
        let mut other = Examples::default();
        push(&mut other, &example(4), 6);
        examples.merge(&other);
        assert_eq!((has(&examples, &[&bad, &worst]), examples.inputs.len()), (vec![false, true], 2));
    }

    #[test]
    fn what_is_kept_lets_the_body_go_that_it_was_part_of() {
        struct Body(Arc<[u8]>);
        impl AsRef<[u8]> for Body {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let memory: Arc<[u8]> = vec![7; 1000].into();
        let body = Bytes::from_owner(Body(memory.clone()));
        let tensors = [tensor(body.slice(10..12)), None];
        let mut examples = Examples::default();
        let kept = example(1);
        examples.push(kept.clone(), Some(&Inputs { signature: &signature(), tensors: &tensors }));
        drop((body, tensors));
        assert_eq!(Arc::strong_count(&memory), 1);
        let inputs = examples.inputs(kept.id).expect("kept");
        assert_eq!((inputs.len(), inputs[0].name.as_str()), (1, "X"));
        assert_eq!(inputs[0].tensor.data().as_ref(), [7, 7]);
    }
}
