//! The tensors that are sent and answered.

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Throughput};
use pointsman_core::{
    Arm, Datatype, InputTensor, ModelName, OutputTensor, PredictError, Prediction, RequestId, Shape,
    StageTimes, Tensor, VersionNumber, VersionSelector,
};
use pointsman_wire::limits::Limits;
use pointsman_wire::v2::{InferCall, InferHead, Nonfinite, decode_infer};
use std::hint::black_box;

/// Rows of numbers.
pub(crate) struct Size {
    pub(crate) name: &'static str,
    dims: [u64; 2],
}

/// A flower, some handwritten digits, and a picture.
pub(crate) const SIZES: [Size; 3] = [
    Size { name: "1x4", dims: [1, 4] },
    Size { name: "16x64", dims: [16, 64] },
    Size { name: "1x150528", dims: [1, 3 * 224 * 224] },
];

/// FP32 between 0 and 1 of all lengths that such numbers have in text.
fn tensor(size: &Size) -> Tensor {
    let shape = Shape::new(&size.dims).expect("two dimensions");
    let value = |at: usize| (at as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32;
    let values: Vec<f32> = (0..shape.elements().expect("small")).map(value).collect();
    Tensor::from_vec(Datatype::Fp32, shape, values).expect("counted")
}

pub(crate) fn inputs(size: &Size) -> [InputTensor; 1] {
    [InputTensor { name: "x".into(), tensor: tensor(size) }]
}

/// The answer of a version that gives its input.
pub(crate) fn prediction(size: &Size) -> Prediction {
    Prediction {
        model: ModelName::new("m").expect("a name"),
        version: VersionNumber::new(1).expect("above 0"),
        arm: Arm::Default,
        experiment: None,
        outputs: vec![OutputTensor { name: "y".into(), tensor: tensor(size), labels: None }],
        times: StageTimes::default(),
    }
}

/// Decodes a V2 body.
pub(crate) fn v2_call(body: &Bytes, header_length: Option<&str>) -> Result<InferCall, PredictError> {
    let head = InferHead {
        id: RequestId::generate(),
        model: "m".into(),
        version: VersionSelector::Default,
        header_length,
        nonfinite: Nonfinite::Token,
    };
    // Only the raw request asks for the signature.
    decode_infer(head, body.clone(), &Limits::default(), || Err(PredictError::NotFound))
}

/// Times one thing for one size, whose body has so many bytes.
pub(crate) fn bench<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    what: &str,
    size: &Size,
    bytes: usize,
    mut run: impl FnMut() -> T,
) {
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(BenchmarkId::new(what, size.name), |bencher| bencher.iter(|| black_box(run())));
}
