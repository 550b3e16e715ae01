//! The gateway's own codec beside what libraries do with the same body of V2.
//!
//! The libraries are given a type that knows beforehand what the own codec has to find out: that there is one input,
//! and that its datatype is FP32. They check neither the shape against the number of elements nor the range of
//! numbers, and take no `NaN`. So what they take is the least that a codec on top of them could take.

use criterion::Criterion;
use pointsman_wire::v2::{RequestForm, encode_request};
use serde::Deserialize;

use crate::bodies::{SIZES, bench, inputs, v2_call};

/// A request of one FP32 input.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    inputs: [Input<'a>; 1],
}

#[derive(Deserialize)]
struct Input<'a> {
    name: &'a str,
    datatype: &'a str,
    shape: Vec<u64>,
    data: Vec<f32>,
}

/// That nothing of it is left out.
fn whole(request: Request<'_>) -> (Vec<u64>, Vec<f32>) {
    let [Input { name, datatype, shape, data }] = request.inputs;
    assert_eq!((name, datatype), ("x", "FP32"));
    (shape, data)
}

/// From the body to a typed vector. All give the same values; each says so once before it is timed.
pub(crate) fn candidates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("candidates");
    for size in &SIZES {
        let inputs = inputs(size);
        let body = encode_request(&inputs, &RequestForm::default()).expect("numbers").body;
        let tensor = &inputs[0].tensor;
        let expected = (tensor.shape().dims().to_vec(), tensor.values::<f32>().expect("FP32").to_vec());

        let own = || v2_call(&body, None).expect("well formed");
        assert_eq!(&own().request.inputs[0].tensor, tensor);
        bench(&mut group, "own (jiter)", size, body.len(), own);

        let serde = || whole(serde_json::from_slice(&body).expect("well formed"));
        assert_eq!(serde(), expected);
        bench(&mut group, "serde_json, typed", size, body.len(), serde);

        let sonic = || whole(sonic_rs::from_slice(&body).expect("well formed"));
        assert_eq!(sonic(), expected);
        bench(&mut group, "sonic-rs, typed", size, body.len(), sonic);

        // It writes into what it reads, and a body that other tensors are views of cannot be given away.
        let simd = || {
            let mut copy = body.to_vec();
            whole(simd_json::from_slice(&mut copy).expect("well formed"))
        };
        assert_eq!(simd(), expected);
        bench(&mut group, "simd-json, typed", size, body.len(), simd);

        let tree = || serde_json::from_slice::<serde_json::Value>(&body).expect("well formed");
        bench(&mut group, "serde_json, a tree", size, body.len(), tree);
    }
}
