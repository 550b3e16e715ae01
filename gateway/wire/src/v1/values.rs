//! The values of a predict request: `instances`, row by row, and `inputs`, tensor by tensor.

use std::collections::HashMap;

use jiter::Peek;
use pointsman_core::{InputTensor, PredictError, TensorSpec};

use super::request::format_error;
use crate::json::inferred::Collected;
use crate::json::reader::Reader;
use pointsman_core::shown;

/// One input of the signature, and what has been read for it.
struct Slot<'a> {
    spec: &'a TensorSpec,
    collected: Collected,
}

/// Reads `instances`: a list in which each item is one row. For several inputs a row is an object
/// of all names; for one, it is the bare value or an object.
pub(super) fn read_instances(
    reader: &mut Reader<'_>,
    body: &[u8],
    specs: &[TensorSpec],
) -> Result<Vec<InputTensor>, PredictError> {
    if reader.peek()? != Peek::Array {
        return Err(format_error(body, "Expecting 'instances' to be an list/array"));
    }
    let mut slots = slots(specs);
    // A model may have one input per feature, and every row names them all.
    let places: HashMap<&str, usize> = specs.iter().enumerate().map(|(i, spec)| (&*spec.name, i)).collect();
    let mut row = 0_u64;
    let mut named = false;
    reader.list(|reader, peek| {
        let object = is_named(reader, peek);
        if row == 0 {
            named = object;
        }
        match (object, named) {
            (true, true) => read_named_row(reader, &mut slots, &places, row)?,
            (false, false) => read_bare_row(reader, &mut slots, row)?,
            (true, false) => {
                return Err(bad(format!("Expecting value/list but got object at item {row} of input list")));
            }
            (false, true) => {
                return Err(bad(format!("Expecting object but got list at item {row} of input list")));
            }
        }
        row += 1;
        Ok(())
    })?;
    if row == 0 {
        return Err(format_error(body, "No values in 'instances' array"));
    }
    let given = slots.into_iter().filter(|slot| slot.collected.rows > 0);
    given.map(|slot| Ok(input(slot.spec, slot.collected.into_batch(&slot.spec.name)?))).collect()
}

/// Reads `inputs`: an object from names to whole tensors, or the bare tensor of the only input.
pub(super) fn read_inputs(
    reader: &mut Reader<'_>,
    specs: &[TensorSpec],
) -> Result<Vec<InputTensor>, PredictError> {
    let mut slots = slots(specs);
    let peek = reader.peek()?;
    if is_named(reader, peek) {
        reader.object(
            |key| Ok(find(specs, key)),
            |reader, index| {
                let slot = &mut slots[index?];
                if slot.collected.rows > 0 {
                    return Err(bad(format!(
                        "input '{}' appears more than once in 'inputs'",
                        slot.spec.name
                    )));
                }
                slot.collected
                    .read(reader)
                    .map_err(|e| at(e, &format!("key: {} of 'inputs'", slot.spec.name)))
            },
        )?;
        if let Some(slot) = slots.iter().find(|slot| slot.collected.rows == 0 && !slot.spec.optional) {
            return Err(bad(format!("Missing named input: {} in 'inputs' object.", slot.spec.name)));
        }
    } else {
        only_slot(
            &mut slots,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map",
        )?
        .collected
        .read(reader)?;
    }
    let given = slots.into_iter().filter(|slot| slot.collected.rows > 0);
    given.map(|slot| Ok(input(slot.spec, slot.collected.into_tensor(&slot.spec.name)?))).collect()
}

fn slots(specs: &[TensorSpec]) -> Vec<Slot<'_>> {
    specs.iter().map(|spec| Slot { spec, collected: Collected::new(spec.datatype) }).collect()
}

fn input(spec: &TensorSpec, tensor: pointsman_core::Tensor) -> InputTensor {
    InputTensor { name: spec.name.to_string(), tensor }
}

/// Whether a value is an object of named inputs: any object but `{"b64": text}`.
fn is_named(reader: &Reader<'_>, peek: Peek) -> bool {
    peek == Peek::Object && !reader.is_base64()
}

/// The slot of a bare value: that of the only input, or of the only one that cannot be left out.
fn only_slot<'s, 'a>(slots: &'s mut [Slot<'a>], otherwise: &str) -> Result<&'s mut Slot<'a>, PredictError> {
    let single = slots.len() == 1;
    let mut candidates = slots.iter_mut().filter(|slot| single || !slot.spec.optional);
    match (candidates.next(), candidates.next()) {
        (Some(slot), None) => Ok(slot),
        _ => Err(bad(otherwise.to_owned())),
    }
}

fn read_bare_row(reader: &mut Reader<'_>, slots: &mut [Slot<'_>], row: u64) -> Result<(), PredictError> {
    let slot = only_slot(
        slots,
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
    )?;
    slot.collected.read(reader).map_err(|e| in_row(e, row, &slot.spec.name))
}

/// Reads one row of all inputs. An input that may be left out is given in every row or in none.
fn read_named_row(
    reader: &mut Reader<'_>,
    slots: &mut [Slot<'_>],
    places: &HashMap<&str, usize>,
    row: u64,
) -> Result<(), PredictError> {
    reader.object(
        |key| Ok(places.get(key).copied().ok_or_else(|| unknown(key))),
        |reader, index| {
            let slot = match index {
                Ok(index) => &mut slots[index],
                Err(e) => return Err(in_row(e, row, "")),
            };
            if slot.collected.rows > row {
                let twice = bad("the key appears more than once".into());
                return Err(in_row(twice, row, &slot.spec.name));
            }
            slot.collected.read(reader).map_err(|e| in_row(e, row, &slot.spec.name))
        },
    )?;
    let complete =
        |slot: &Slot<'_>| slot.collected.rows == row + 1 || (slot.spec.optional && slot.collected.rows == 0);
    if slots.iter().all(complete) {
        return Ok(());
    }
    let names: Vec<&str> = slots.iter().map(|slot| &*slot.spec.name).collect();
    Err(bad(format!(
        "Failed to process element: {row} of 'instances' list. JSON object: keys must be equal to: {}",
        names.join(",")
    )))
}

fn find(specs: &[TensorSpec], key: &str) -> Result<usize, PredictError> {
    specs.iter().position(|spec| *spec.name == *key).ok_or_else(|| unknown(key))
}

fn unknown(key: &str) -> PredictError {
    bad(format!("JSON object: does not have named input: {}", shown(key)))
}

fn in_row(error: PredictError, row: u64, name: &str) -> PredictError {
    let key = if name.is_empty() { String::new() } else { format!(" key: {name}") };
    at(error, &format!("element: {row}{key} of 'instances' list"))
}

/// Adds the place to an error about one value.
fn at(error: PredictError, place: &str) -> PredictError {
    match error {
        PredictError::BadRequest(reason) => bad(format!("Failed to process {place}. Error: {reason}")),
        other => other,
    }
}

fn bad(reason: String) -> PredictError {
    PredictError::BadRequest(reason)
}
