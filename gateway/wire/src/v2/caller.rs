//! The caller's side: a request as a client writes it, and an answer as it reads it.

use std::time::Duration;

use bytes::Bytes;
use pointsman_core::{InputTensor, Nonfinite, OutputTensor, ParameterValue, Parameters, PredictError};

use super::binary::{BodyParts, Tail, split};
use super::input::{Input, read_input};
use super::response::head;
use crate::json::reader::{Reader, once};
use crate::json::write::{ElementWriter, not_representable, text, unsigned};
use crate::limits::Limits;

/// What a request says beside its inputs.
#[derive(Clone, Debug, Default)]
pub struct RequestForm {
    /// The caller's `id`; empty for none.
    pub id: String,
    /// Parameters of the request, such as `priority`.
    pub parameters: Parameters,
    /// The parameter `timeout`.
    pub timeout: Option<Duration>,
    /// Names of the outputs to answer with; empty for all.
    pub outputs: Vec<String>,
    /// Inputs, and the outputs of the answer, stand behind the JSON instead of in it.
    pub binary: bool,
}

/// An encoded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRequest {
    /// The value of [`super::HEADER_LENGTH`]; nothing where the whole body is JSON.
    pub header_length: Option<usize>,
    /// The body.
    pub body: Bytes,
}

/// An answer, decoded.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The `id`, where the answer has one.
    pub id: Option<String>,
    /// The model that it names.
    pub model_name: Option<String>,
    /// The version that it names.
    pub model_version: Option<String>,
    /// The outputs, in its order.
    pub outputs: Vec<OutputTensor>,
}

/// Encodes the body of `POST /v2/models/M[/versions/V]/infer`.
///
/// # Errors
/// [`PredictError::NotRepresentable`] where JSON cannot hold an input: bytes that are no UTF-8.
pub fn encode_request(inputs: &[InputTensor], form: &RequestForm) -> Result<EncodedRequest, PredictError> {
    let mut json = Vec::from(&b"{"[..]);
    if !form.id.is_empty() {
        json.extend_from_slice(b"\"id\":");
        text(&mut json, &form.id);
        json.push(b',');
    }
    write_parameters(&mut json, form)?;
    json.extend_from_slice(b"\"inputs\":[");
    for (index, InputTensor { name, tensor }) in inputs.iter().enumerate() {
        separate(&mut json, index);
        head(&mut json, name, tensor);
        if form.binary {
            json.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
            unsigned(&mut json, tensor.data().len() as u64);
            json.push(b'}');
        } else {
            json.extend_from_slice(b",\"data\":[");
            ElementWriter::new(name, tensor, Nonfinite::Token).write(&mut json, tensor.elements())?;
            json.push(b']');
        }
        json.push(b'}');
    }
    json.push(b']');
    for (index, name) in form.outputs.iter().enumerate() {
        json.extend_from_slice(if index == 0 { b",\"outputs\":[" } else { b"," });
        json.extend_from_slice(b"{\"name\":");
        text(&mut json, name);
        if form.binary {
            json.extend_from_slice(b",\"parameters\":{\"binary_data\":true}");
        }
        json.push(b'}');
    }
    json.extend_from_slice(if form.outputs.is_empty() { b"}" } else { b"]}" });
    if !form.binary {
        return Ok(EncodedRequest { header_length: None, body: json.into() });
    }
    let header_length = Some(json.len());
    for input in inputs {
        json.extend_from_slice(input.tensor.data());
    }
    Ok(EncodedRequest { header_length, body: json.into() })
}

/// Writes the parameters with the comma behind them; nothing where there are none.
fn write_parameters(json: &mut Vec<u8>, form: &RequestForm) -> Result<(), PredictError> {
    let start = json.len();
    let key = |json: &mut Vec<u8>, name: &str| {
        let first: &[u8] = if json.len() == start { b"\"parameters\":{" } else { b"," };
        json.extend_from_slice(first);
        text(json, name);
        json.push(b':');
    };
    for (name, value) in &form.parameters {
        key(json, name);
        match value {
            ParameterValue::Bool(value) => json.extend_from_slice(value.to_string().as_bytes()),
            ParameterValue::Int(value) => json.extend_from_slice(value.to_string().as_bytes()),
            ParameterValue::Uint(value) => unsigned(json, *value),
            ParameterValue::Double(value) if value.is_finite() => {
                json.extend_from_slice(zmij::Buffer::new().format_finite(*value).as_bytes());
            }
            ParameterValue::Double(_) => {
                return Err(not_representable(name, "a parameter is a finite number"));
            }
            ParameterValue::String(value) => text(json, value),
        }
    }
    if let Some(timeout) = form.timeout {
        key(json, "timeout");
        unsigned(json, u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
    }
    if form.binary && form.outputs.is_empty() {
        key(json, "binary_data_output");
        json.extend_from_slice(b"true");
    }
    if json.len() > start {
        json.extend_from_slice(b"},");
    }
    Ok(())
}

fn separate(json: &mut Vec<u8>, index: usize) {
    if index > 0 {
        json.push(b',');
    }
}

/// Decodes the body of an answer with status 200, of this gateway or of any other server.
///
/// `header_length` is the value of [`super::HEADER_LENGTH`], where the header came. What is missing or
/// `null` where another server has nothing to say (`id`, `model_version`) is no error.
///
/// # Errors
/// [`PredictError::BadRequest`] for all that is malformed or over a limit of `limits`.
pub fn decode_answer(
    header_length: Option<usize>,
    body: &Bytes,
    limits: &Limits,
) -> Result<Answer, PredictError> {
    let header_length = header_length.map(|length| length.to_string());
    let BodyParts::Json { json_bytes } = split(header_length.as_deref(), body)? else {
        return Err(PredictError::BadRequest("the answer has no JSON".into()));
    };
    let fields = AnswerFields::read(&body[..json_bytes], limits)?;
    let mut tail = Tail::new(body.slice(json_bytes..), fields.model_name.as_deref().unwrap_or_default());
    let mut outputs = Vec::with_capacity(fields.outputs.len());
    for output in fields.outputs {
        let InputTensor { name, tensor } = output.resolve(&mut tail)?;
        outputs.push(OutputTensor { name: name.into(), tensor, labels: None });
    }
    tail.finish()?;
    let AnswerFields { id, model_name, model_version, .. } = fields;
    Ok(Answer { id, model_name, model_version, outputs })
}

/// The members of an answer's JSON object.
struct AnswerFields {
    id: Option<String>,
    model_name: Option<String>,
    model_version: Option<String>,
    /// An output is written as an input is.
    outputs: Vec<Input>,
}

enum Key {
    Id,
    ModelName,
    ModelVersion,
    Outputs,
    Other,
}

impl AnswerFields {
    fn read(json: &[u8], limits: &Limits) -> Result<Self, PredictError> {
        const ANSWER: &str = "the answer";
        let classify = |key: &str| {
            Ok(match key {
                "id" => Key::Id,
                "model_name" => Key::ModelName,
                "model_version" => Key::ModelVersion,
                "outputs" => Key::Outputs,
                _ => Key::Other,
            })
        };
        let (mut id, mut model_name, mut model_version, mut outputs) = (None, None, None, None);
        let mut reader = Reader::new(json);
        reader.object(classify, |reader, key| match key {
            Key::Id => once(&mut id, read_text(reader, "the id", limits)?, "id", ANSWER),
            Key::ModelName => {
                once(&mut model_name, read_text(reader, "the model's name", limits)?, "model_name", ANSWER)
            }
            Key::ModelVersion => {
                let version = read_text(reader, "the version", limits)?;
                once(&mut model_version, version, "model_version", ANSWER)
            }
            Key::Outputs => once(&mut outputs, read_outputs(reader, json, limits)?, "outputs", ANSWER),
            Key::Other => reader.skip().map(drop),
        })?;
        reader.finish()?;
        let outputs =
            outputs.ok_or_else(|| PredictError::BadRequest("the answer has no 'outputs'".into()))?;
        Ok(Self {
            id: id.flatten(),
            model_name: model_name.flatten(),
            model_version: model_version.flatten(),
            outputs,
        })
    }
}

fn read_text(reader: &mut Reader<'_>, what: &str, limits: &Limits) -> Result<Option<String>, PredictError> {
    if reader.take_null()? { Ok(None) } else { reader.text(what, limits.text_bytes_max).map(Some) }
}

fn read_outputs(reader: &mut Reader<'_>, json: &[u8], limits: &Limits) -> Result<Vec<Input>, PredictError> {
    let mut outputs = Vec::new();
    reader.list(|reader, _| {
        if outputs.len() == limits.tensors_max {
            let max = limits.tensors_max;
            return Err(PredictError::BadRequest(format!("the answer has more than {max} outputs")));
        }
        outputs.push(read_input(reader, json, &format!("outputs[{}]", outputs.len()), limits)?);
        Ok(())
    })?;
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_core::{
        Arm, Datatype, ModelName, Prediction, RequestId, Shape, StageTimes, StringTensorBuilder, Tensor,
        VersionNumber, VersionSelector,
    };

    use super::*;
    use crate::v2::{InferHead, OutputForm, ResponseForm, decode_infer, encode_infer};

    fn input(name: &str, datatype: Datatype, dims: &[u64], data: &[u8]) -> InputTensor {
        let shape = Shape::new(dims).expect("small");
        let tensor = Tensor::new(datatype, shape, Bytes::copy_from_slice(data)).expect("it fits");
        InputTensor { name: name.into(), tensor }
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn a_request_is_written_as_the_protocol_says() {
        let x = input("x", Datatype::Fp32, &[1, 2], &floats(&[0.1, -2.0]));
        let plain = encode_request(std::slice::from_ref(&x), &RequestForm::default()).expect("numbers");
        let json = r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[0.1,-2.0]}]}"#;
        assert_eq!(plain, EncodedRequest { header_length: None, body: json.into() });

        let form = RequestForm {
            id: "7".into(),
            parameters: vec![("priority".into(), ParameterValue::Int(2))],
            timeout: Some(Duration::from_millis(5)),
            binary: true,
            ..RequestForm::default()
        };
        let binary = encode_request(std::slice::from_ref(&x), &form).expect("numbers");
        let json = concat!(
            r#"{"id":"7","parameters":{"priority":2,"timeout":5000,"binary_data_output":true},"#,
            r#""inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}"#
        );
        assert_eq!(binary.header_length, Some(json.len()));
        assert_eq!(binary.body, [json.as_bytes(), x.tensor.data()].concat());

        let form = RequestForm { outputs: vec!["y".into(), "z".into()], ..form };
        let listed = encode_request(&[x], &form).expect("numbers").body;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let outputs = r#","outputs":[{"name":"y","parameters":{"binary_data":true}},{"name":"z","#;
        assert!(listed.contains(outputs) && !listed.contains("binary_data_output"), "{listed}");
    }

    #[test]
    fn a_request_of_any_datatype_is_read_as_it_was_written() {
        let mut strings = StringTensorBuilder::default();
        strings.push("ü\"".as_bytes()).expect("short");
        let strings = strings.finish();
        for binary in [false, true] {
            let form = RequestForm {
                id: "a".into(),
                parameters: vec![
                    ("x".into(), ParameterValue::Double(0.5)),
                    ("y".into(), ParameterValue::Bool(true)),
                ],
                outputs: vec!["o".into()],
                timeout: Some(Duration::from_micros(9)),
                binary,
            };
            for datatype in Datatype::ALL {
                let data = datatype
                    .size()
                    .map_or_else(|| strings.to_vec(), |size| [vec![1], vec![0; size - 1]].concat());
                let sent = input("x", datatype, &[1], &data);
                let encoded = encode_request(std::slice::from_ref(&sent), &form).expect("it can be said");
                let length = encoded.header_length.map(|length| length.to_string());
                let head = InferHead {
                    id: RequestId::generate(),
                    model: "m".into(),
                    version: VersionSelector::Default,
                    header_length: length.as_deref(),
                    nonfinite: Nonfinite::Token,
                };
                let read =
                    decode_infer(head, encoded.body, &Limits::default(), || Err(PredictError::NotFound));
                let read = read.expect("the server's side reads it");
                assert_eq!(read.request.inputs[0].tensor, sent.tensor, "{datatype}, binary: {binary}");
                assert_eq!(read.request.parameters, form.parameters);
                assert_eq!((read.request.outputs, read.timeout), (form.outputs.clone(), form.timeout));
                assert_eq!(read.form.outputs[0].binary, binary);
            }
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let output = |name: &str, datatype, data: &[u8]| {
            let InputTensor { tensor, .. } = input(name, datatype, &[1], data);
            OutputTensor { name: Arc::from(name), tensor, labels: None }
        };
        let prediction = Prediction {
            model: ModelName::new("m").expect("a name"),
            version: VersionNumber::new(3).expect("above 0"),
            arm: Arm::Default,
            experiment: None,
            outputs: vec![
                output("y", Datatype::Fp64, &0.1_f64.to_le_bytes()),
                output("z", Datatype::Int64, &(-5_i64).to_le_bytes()),
            ],
            times: StageTimes::default(),
        };
        for forms in [[false, false], [true, true], [false, true]] {
            let form = ResponseForm {
                client_id: Some("7".into()),
                outputs: forms.iter().map(|&binary| OutputForm { binary, classification: 0 }).collect(),
                ..ResponseForm::default()
            };
            let encoded = encode_infer(&prediction, &form).expect("it can be said");
            let body = Bytes::from(encoded.segments.concat());
            let answer =
                decode_answer(encoded.header_length, &body, &Limits::default()).expect("it is sound");
            assert_eq!((answer.id.as_deref(), answer.model_version.as_deref()), (Some("7"), Some("3")));
            assert_eq!(answer.model_name.as_deref(), Some("m"));
            for (read, written) in answer.outputs.iter().zip(&prediction.outputs) {
                assert_eq!((&read.name, &read.tensor), (&written.name, &written.tensor));
            }
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_is_refused() {
        let decode = |length, text: &str| {
            decode_answer(length, &Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
        };
        let nulls = r#"{"id":null,"model_name":"m","model_version":null,"parameters":{},"outputs":[]}"#;
        let answer = decode(None, nulls).expect("MLServer answers so");
        assert_eq!((answer.id, answer.model_version), (None, None));
        let described =
            r#"{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}]}"#;
        assert!(decode(Some(described.len()), &format!("{described}1234")).is_ok());
        for (length, text, said) in [
            (Some(0), "1234".to_owned(), "no JSON"),
            (None, "{}".into(), "no 'outputs'"),
            (None, nulls[..40].into(), "failed to parse"),
            (Some(described.len()), described.into(), "expecting 4 additional bytes"),
            (Some(described.len()), format!("{described}12345"), "additional input data"),
            (None, described.replace("\"y\"", "1"), "failed to parse"),
            (
                None,
                r#"{"outputs":[{"datatype":"FP32","shape":[1],"data":[1]}]}"#.into(),
                "outputs[0] has no 'name'",
            ),
        ] {
            let error = decode(length, &text).expect_err(&text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let one = r#"{"name":"y","datatype":"FP32","shape":[0],"data":[]}"#;
        let outputs = |count| format!(r#"{{"outputs":[{}]}}"#, vec![one; count].join(","));
        let max = Limits::default().tensors_max;
        assert!(decode(None, &outputs(max)).is_ok());
        assert!(
            decode(None, &outputs(max + 1))
                .expect_err("one more")
                .to_string()
                .contains("more than 256 outputs")
        );
    }
}
