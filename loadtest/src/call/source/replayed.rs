//! Inputs that were recorded.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use pointsman_core::{Nonfinite, ParameterValue, PredictError, RequestId, VersionSelector};
use pointsman_wire::limits::Limits;
use pointsman_wire::v2::{InferCall, InferHead, decode_infer};

use crate::call::input::Input;

/// The most requests of a file.
const LINES_MAX: usize = 10_000;

/// The longest line.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// All lines together.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// An input for each line of a file that is not empty: the body of a V2 request, inputs in JSON.
/// Its `id`, the outputs it asks for and its parameters are sent as well; whether its answers are
/// binary is said by the kind of request that is made of it.
pub(super) fn inputs(path: &Path) -> Result<Vec<Input>, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|e| format!("{shown}: {e}"))?;
    let inputs = read(BufReader::new(file)).map_err(|e| format!("{shown}: {e}"))?;
    if inputs.is_empty() { Err(format!("{shown} has no request")) } else { Ok(inputs) }
}

fn read(mut file: impl BufRead) -> Result<Vec<Input>, String> {
    let (mut inputs, mut line, mut number, mut bytes) = (Vec::new(), Vec::new(), 0, 0);
    loop {
        line.clear();
        number += 1;
        let place = |what: String| format!("line {number}: {what}");
        let length = file.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let length = length.map_err(|e| place(e.to_string()))? as u64;
        if length == 0 {
            return Ok(inputs);
        }
        bytes += length;
        for (what, found, max) in [("this line", length, LINE_BYTES_MAX), ("the file", bytes, FILE_BYTES_MAX)]
        {
            if found > max {
                return Err(place(format!("{what} has more than {max} bytes")));
            }
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if inputs.len() == LINES_MAX {
            return Err(place(format!("there are more than {LINES_MAX} requests")));
        }
        inputs.push(input(number, Bytes::copy_from_slice(&line)).map_err(place)?);
    }
}

fn input(line: u64, body: Bytes) -> Result<Input, String> {
    let head = InferHead {
        id: RequestId::generate(),
        model: String::new(),
        version: VersionSelector::Default,
        header_length: None,
        nonfinite: Nonfinite::Token,
    };
    let decoded = decode_infer(head, body, &Limits::default(), || Err(PredictError::NotFound));
    let InferCall { request, timeout, form } = decoded.map_err(|e| e.to_string())?;
    if form.outputs.iter().any(|output| output.classification > 0) {
        return Err("it asks for classes: only outputs as they are can be judged".into());
    }
    let mut parameters = request.parameters;
    if request.priority > 0 {
        parameters.push(("priority".into(), ParameterValue::Uint(request.priority)));
    }
    Ok(Input {
        id: request.client_id.unwrap_or_else(|| line.to_string()),
        tensors: request.inputs,
        outputs: request.outputs,
        expected: None,
        parameters,
        timeout,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LINE: &str = concat!(
        r#"{"id":"a","parameters":{"priority":2,"timeout":9},"outputs":[{"name":"y"}],"#,
        r#""inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[[1,2]]}]}"#
    );

    #[test]
    fn each_line_is_an_input() {
        let unnamed = r#"{"inputs":[]}"#;
        let inputs = read(format!("{LINE}\n\n{unnamed}").as_bytes()).expect("two requests");
        assert_eq!(inputs.len(), 2);
        let first = &inputs[0];
        assert_eq!((first.id.as_str(), first.timeout), ("a", Some(Duration::from_micros(9))));
        assert_eq!((first.outputs.join(","), first.parameters[0].0.as_str()), ("y".into(), "priority"));
        assert_eq!(first.tensors[0].tensor.values::<f32>(), Some(&[1.0, 2.0][..]));
        assert_eq!(inputs[1].id, "3", "the number of its line");
    }

    #[test]
    fn lines_that_are_no_requests_are_named() {
        let classes = LINE.replace(r#""y""#, r#""y","parameters":{"classification":1}"#);
        let binary = LINE.replace(r#""data":[[1,2]]"#, r#""parameters":{"binary_data_size":8}"#);
        for (line, said) in
            [("{", "failed to parse"), (&classes, "asks for classes"), (&binary, "expecting 8")]
        {
            let error = read(format!("{LINE}\n{line}\n").as_bytes()).expect_err(line);
            assert!(error.starts_with("line 2: ") && error.contains(said), "{error}");
        }
    }

    #[test]
    fn files_have_limits() {
        let line = format!("{}\n", r#"{"inputs":[]}"#);
        assert_eq!(read(line.repeat(LINES_MAX).as_bytes()).map(|inputs| inputs.len()), Ok(LINES_MAX));
        let error = read(line.repeat(LINES_MAX + 1).as_bytes()).expect_err("one more");
        assert!(error.contains("more than 10000 requests"), "{error}");
        let long = " ".repeat(usize::try_from(LINE_BYTES_MAX).expect("it fits"));
        assert!(read(long.as_bytes()).expect("blank").is_empty());
        let error = read(format!("{long} ").as_bytes()).expect_err("one byte more");
        assert!(error.contains("this line has more than 16777216 bytes"), "{error}");
        // As many lines as long as may be: one byte more is too much.
        let line = format!("{}\n", &long[1..]);
        let lines = usize::try_from(FILE_BYTES_MAX / LINE_BYTES_MAX).expect("it fits");
        let file = |tail: &'static [u8]| {
            let lines = (0..lines).fold(Box::new(&b""[..]) as Box<dyn BufRead>, |file, _| {
                Box::new(file.chain(line.as_bytes()))
            });
            read(lines.chain(tail)).map(|inputs| inputs.len())
        };
        assert_eq!(file(b""), Ok(0));
        assert!(file(b"\n").expect_err("one byte more").contains("the file has more than 268435456 bytes"));
    }
}
