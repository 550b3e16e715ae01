//! What a change of signature means, case by case and as properties.

use pointsman_core::{Datatype, Dim, InputTensor, Shape, Signature, Tensor, TensorSpec};
use proptest::prelude::*;

use super::{Change, compare};

fn spec(name: &str, dims: &[i64]) -> TensorSpec {
    let dim = |d: &i64| u64::try_from(*d).map_or(Dim::Dynamic(None), Dim::Fixed);
    let shape = Some(dims.iter().map(dim).collect());
    TensorSpec { name: name.into(), datatype: Datatype::Uint8, shape, optional: false, labels: None }
}

fn optional(name: &str, dims: &[i64]) -> TensorSpec {
    TensorSpec { optional: true, ..spec(name, dims) }
}

fn unranked(name: &str) -> TensorSpec {
    TensorSpec { shape: None, ..spec(name, &[]) }
}

fn of(datatype: Datatype, spec: TensorSpec) -> TensorSpec {
    TensorSpec { datatype, ..spec }
}

fn inputs(old: TensorSpec, new: Vec<TensorSpec>) -> Change {
    let signature = |inputs| Signature { inputs, outputs: Vec::new() };
    compare(&signature(vec![old]), &signature(new))
}

fn outputs(old: Vec<TensorSpec>, new: Vec<TensorSpec>) -> Change {
    let signature = |outputs| Signature { inputs: Vec::new(), outputs };
    compare(&signature(old), &signature(new))
}

fn breaking(what: &[&str]) -> Change {
    Change::Breaking(what.iter().map(ToString::to_string).collect())
}

fn compatible(what: &[&str]) -> Change {
    Change::Compatible(what.iter().map(ToString::to_string).collect())
}

#[test]
fn changes_of_inputs() {
    let x = || spec("x", &[-1, 4]);
    assert_eq!(inputs(x(), vec![x()]), Change::Same);
    let named = TensorSpec { shape: Some(vec![Dim::Dynamic(Some("n".into())), Dim::Fixed(4)]), ..x() };
    assert_eq!(inputs(x(), vec![named]), Change::Same);
    assert_eq!(
        inputs(x(), vec![spec("X", &[-1, 4])]),
        breaking(&["input 'x' is gone", "input 'X' is new and has to come"])
    );
    assert_eq!(
        inputs(x(), vec![x(), optional("w", &[1])]),
        compatible(&["input 'w' is new and can be left out"])
    );
    assert_eq!(
        inputs(optional("x", &[1]), vec![spec("x", &[1])]),
        breaking(&["input 'x' has to come, and could be left out"])
    );
    assert_eq!(
        inputs(spec("x", &[1]), vec![optional("x", &[1])]),
        compatible(&["input 'x' can be left out, and had to come"])
    );
    assert_eq!(inputs(x(), vec![of(Datatype::Fp64, x())]), breaking(&["input 'x' is FP64, and was UINT8"]));
    for (old, new, is_breaking) in [
        (&[-1, 4][..], &[-1, 5][..], true),
        (&[-1, 4], &[8, 4], true),
        (&[-1, 4], &[-1], true),
        (&[8, 4], &[-1, 4], false),
        (&[8, 4], &[-1, 5], true),
    ] {
        let change = inputs(spec("x", old), vec![spec("x", new)]);
        assert_eq!(change.is_breaking(), is_breaking, "{old:?} {new:?}: {change}");
        assert!(change.to_string().contains("input 'x' is ["), "{change}");
    }
    assert_eq!(inputs(x(), vec![unranked("x")]), compatible(&["input 'x' has any rank, and had [-1,4]"]));
    assert_eq!(inputs(unranked("x"), vec![x()]), breaking(&["input 'x' is [-1,4], and had any rank"]));
    assert_eq!(inputs(unranked("x"), vec![unranked("x")]), Change::Same);
}

#[test]
fn changes_of_outputs() {
    let y = || spec("y", &[-1, 3]);
    assert_eq!(outputs(vec![y()], Vec::new()), breaking(&["output 'y' is gone"]));
    assert_eq!(outputs(Vec::new(), vec![y()]), compatible(&["output 'y' is new"]));
    assert_eq!(
        outputs(vec![y()], vec![of(Datatype::Fp16, y())]),
        breaking(&["output 'y' is FP16, and was UINT8"])
    );
    assert_eq!(
        outputs(vec![y()], vec![spec("y", &[-1, 5])]),
        breaking(&["output 'y' is declared [-1,5], and was [-1,3]"])
    );
    assert_eq!(
        outputs(vec![spec("y", &[1])], vec![spec("y", &[-1])]),
        compatible(&["output 'y' is declared [-1], and was [1]"])
    );
    assert_eq!(
        outputs(vec![y()], vec![unranked("y")]),
        compatible(&["output 'y' is declared of any rank, and was [-1,3]"])
    );
    let labels = Some(vec!["a".to_owned()].into());
    assert_eq!(
        outputs(vec![y()], vec![TensorSpec { labels, ..y() }]),
        compatible(&["output 'y' has other names of classes"])
    );
    assert_eq!(
        outputs(vec![y(), spec("z", &[])], vec![spec("z", &[]), y()]),
        compatible(&["the outputs come in another order"])
    );
}

#[test]
fn what_breaks_is_said_first() {
    let old = Signature { inputs: vec![spec("x", &[1])], outputs: vec![spec("y", &[])] };
    let new = Signature { inputs: vec![optional("x", &[1])], outputs: Vec::new() };
    let change = compare(&old, &new);
    assert_eq!(change, breaking(&["output 'y' is gone", "input 'x' can be left out, and had to come"]));
    assert!(change.to_string().starts_with("the signature breaks callers: output 'y' is gone; "));
}

fn specs() -> impl Strategy<Value = Vec<TensorSpec>> {
    let dims = proptest::collection::vec(proptest::sample::select(vec![-1, 1, 2]), 0..3);
    let datatype = proptest::sample::select(vec![Datatype::Uint8, Datatype::Int8]);
    let spec =
        (proptest::option::of(dims), datatype, any::<bool>()).prop_map(|(dims, datatype, optional)| {
            let shape = dims.map(|dims| spec("", &dims)).map_or(unranked(""), |spec| spec);
            TensorSpec { datatype, optional, ..shape }
        });
    let named =
        (proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3), proptest::collection::vec(spec, 3));
    named.prop_map(|(names, specs)| {
        names.into_iter().zip(specs).map(|(name, spec)| TensorSpec { name: name.into(), ..spec }).collect()
    })
}

fn signature() -> impl Strategy<Value = Signature> {
    (specs(), specs()).prop_map(|(inputs, outputs)| Signature { inputs, outputs })
}

/// Those of `old` that `kept` says, and all others of `new`.
fn mixed(old: &[TensorSpec], new: Vec<TensorSpec>, kept: u8) -> Vec<TensorSpec> {
    let kept = old.iter().enumerate().filter(|(at, _)| kept >> at & 1 == 1);
    let mut mixed: Vec<TensorSpec> = kept.map(|(_, spec)| spec.clone()).collect();
    mixed.extend(new.into_iter().filter(|spec| old.iter().all(|old| old.name != spec.name)));
    let known = |spec: &TensorSpec| mixed.iter().any(|other| other.name == spec.name);
    let widened =
        old.iter().filter(|spec| !known(spec)).map(|spec| TensorSpec { shape: None, ..spec.clone() });
    let widened: Vec<TensorSpec> = widened.collect();
    mixed.extend(widened);
    mixed
}

/// Inputs for a signature: some of the optional ones, and sizes of open dimensions and ranks by `sizes`.
fn request(signature: &Signature, given: u8, sizes: u64) -> Vec<InputTensor> {
    let given =
        signature.inputs.iter().enumerate().filter(|(at, spec)| !spec.optional || given >> at & 1 == 1);
    let tensor = |(at, spec): (usize, &TensorSpec)| {
        let size = sizes >> (2 * at) & 3;
        let open = vec![Dim::Dynamic(None); size as usize];
        let dims: Vec<u64> = spec
            .shape
            .as_ref()
            .unwrap_or(&open)
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(fixed) => *fixed,
                Dim::Dynamic(_) => size,
            })
            .collect();
        let shape = Shape::new(&dims).expect("few dimensions");
        let bytes = vec![0_u8; shape.elements().expect("small")];
        let tensor = Tensor::new(spec.datatype, shape, bytes.into()).expect("fits");
        InputTensor { name: spec.name.to_string(), tensor }
    };
    given.map(tensor).collect()
}

proptest! {
    #[test]
    fn a_signature_is_the_same_as_itself(signature in signature()) {
        prop_assert_eq!(compare(&signature, &signature), Change::Same);
    }

    #[test]
    fn what_the_old_version_took_a_compatible_one_takes(
        (old, new) in (signature(), signature(), any::<u8>()).prop_map(|(old, new, kept)| {
            // Of two signatures without anything in common hardly any are compatible.
            let new = Signature {
                inputs: mixed(&old.inputs, new.inputs, kept),
                outputs: mixed(&old.outputs, new.outputs, kept >> 4),
            };
            (old, new)
        }),
        given in any::<u8>(),
        sizes in any::<u64>(),
    ) {
        let request = request(&old, given, sizes);
        prop_assert!(old.check(request.clone()).is_ok());
        if !compare(&old, &new).is_breaking() {
            prop_assert!(new.check(request).is_ok());
            let names: Vec<String> = old.outputs.iter().map(|o| o.name.to_string()).collect();
            prop_assert!(new.select_outputs(&names).is_ok());
        }
    }

    #[test]
    fn each_change_is_named(old in signature(), new in signature()) {
        let change = compare(&old, &new);
        prop_assert_eq!(change == Change::Same, compare(&new, &old) == Change::Same);
        if let Change::Compatible(what) | Change::Breaking(what) = change {
            prop_assert!(!what.is_empty());
        }
    }
}
