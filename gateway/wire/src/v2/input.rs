//! One element of a request's `inputs`, or of an answer's `outputs`.

use std::ops::Range;

use pointsman_core::{Datatype, InputTensor, PredictError, Shape, Tensor};

use super::binary::Tail;
use super::parameters::InputParameters;
use crate::json::declared::read_declared;
use crate::json::reader::{Reader, once};
use crate::limits::Limits;
use pointsman_core::shown;

/// An input whose value is here, or behind the JSON.
pub(super) enum Input {
    /// It came as JSON.
    Json(InputTensor),
    /// It is the next blob behind the JSON.
    Binary { name: String, datatype: Datatype, shape: Shape, bytes: u64 },
}

impl Input {
    /// Takes the blob that belongs to a binary input, in the order of the inputs.
    pub(super) fn resolve(self, tail: &mut Tail<'_>) -> Result<InputTensor, PredictError> {
        match self {
            Self::Json(input) => Ok(input),
            Self::Binary { name, datatype, shape, bytes } => {
                let data = tail.take(&name, bytes)?;
                let tensor = Tensor::new(datatype, shape, data)
                    .map_err(|e| PredictError::BadRequest(format!("input '{}': {e}", shown(&name))))?;
                Ok(InputTensor { name, tensor })
            }
        }
    }
}

enum Key {
    Name,
    Datatype,
    Shape,
    Parameters,
    Data,
    Other,
}

/// What has been read of one input.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    datatype: Option<Datatype>,
    shape: Option<Shape>,
    parameters: Option<InputParameters>,
    data: Option<Data>,
}

/// The value of `data`: read at once where datatype and shape stood before it, as every client
/// writes them, or remembered until they are known.
enum Data {
    Read(Tensor),
    At(Range<usize>),
}

/// Reads one input; `json` is the text that `reader` walks, and `place` names the input in messages.
pub(super) fn read_input(
    reader: &mut Reader<'_>,
    json: &[u8],
    place: &str,
    limits: &Limits,
) -> Result<Input, PredictError> {
    let mut fields = Fields::default();
    let classify = |key: &str| {
        Ok(match key {
            "name" => Key::Name,
            "datatype" => Key::Datatype,
            "shape" => Key::Shape,
            "parameters" => Key::Parameters,
            "data" => Key::Data,
            _ => Key::Other,
        })
    };
    reader.object(classify, |reader, key| match key {
        Key::Name => once(&mut fields.name, reader.text("a name", limits.text_bytes_max)?, "name", place),
        Key::Datatype => once(&mut fields.datatype, read_datatype(reader, place)?, "datatype", place),
        Key::Shape => once(&mut fields.shape, read_shape(reader, place)?, "shape", place),
        Key::Parameters => {
            let parameters = InputParameters::read(reader, place, limits)?;
            once(&mut fields.parameters, parameters, "parameters", place)
        }
        Key::Data => {
            let data = match (&fields.name, fields.datatype, &fields.shape) {
                (Some(name), Some(datatype), Some(shape)) => {
                    Data::Read(read_declared(reader, name, datatype, shape)?)
                }
                _ => Data::At(reader.skip()?),
            };
            once(&mut fields.data, data, "data", place)
        }
        Key::Other => reader.skip().map(drop),
    })?;
    fields.finish(json, place)
}

impl Fields {
    fn finish(self, json: &[u8], place: &str) -> Result<Input, PredictError> {
        let missing = |key: &str| PredictError::BadRequest(format!("{place} has no '{key}'"));
        let name = self.name.ok_or_else(|| missing("name"))?;
        let datatype = self.datatype.ok_or_else(|| missing("datatype"))?;
        let shape = self.shape.ok_or_else(|| missing("shape"))?;
        let parameters = self.parameters.unwrap_or_default();
        match (self.data, parameters.binary_data_size) {
            (Some(_), Some(_)) => Err(one_source("set 'data' 'binary_data_size'")),
            (None, None) => Err(one_source("no field is set")),
            (None, Some(bytes)) => Ok(Input::Binary { name, datatype, shape, bytes }),
            (Some(Data::Read(tensor)), None) => Ok(Input::Json(InputTensor { name, tensor })),
            (Some(Data::At(range)), None) => {
                let tensor = read_declared(&mut Reader::at(json, range), &name, datatype, &shape)?;
                Ok(Input::Json(InputTensor { name, tensor }))
            }
        }
    }
}

/// The sentence is Triton's, shared memory included, as its clients' tests look for it.
fn one_source(found: &str) -> PredictError {
    PredictError::BadRequest(format!(
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', 'shared_memory_region' in 'parameters'. But {found}"
    ))
}

fn read_datatype(reader: &mut Reader<'_>, place: &str) -> Result<Datatype, PredictError> {
    // The longest name has six letters; anything much longer is not worth keeping.
    let name = reader.text("a datatype", 256)?;
    Datatype::parse(&name).ok_or_else(|| {
        let known: Vec<&str> = Datatype::ALL.iter().map(|d| d.name()).collect();
        PredictError::BadRequest(format!(
            "{place} has the unknown datatype '{}', use one of {}",
            shown(&name),
            known.join(", ")
        ))
    })
}

fn read_shape(reader: &mut Reader<'_>, place: &str) -> Result<Shape, PredictError> {
    let mut dims = Vec::new();
    let too_many = || {
        let max = Shape::RANK_MAX;
        PredictError::BadRequest(format!("the shape of {place} has more than {max} dimensions"))
    };
    reader.list(|reader, _| {
        if dims.len() == Shape::RANK_MAX {
            return Err(too_many());
        }
        dims.push(reader.unsigned(&format!("dimension {} of the shape of {place}", dims.len()))?);
        Ok(())
    })?;
    Shape::new(&dims).ok_or_else(too_many)
}
