//! What it takes to decode a request and to encode an answer, in every protocol and for tensors of three sizes.
//!
//! Throughput is that of the body, so the figures of one protocol can be held against those of another only by the
//! time of an iteration.

use std::sync::Arc;

use bytes::Bytes;
use criterion::Criterion;
use pointsman_core::{Datatype, Dim, PredictError, RequestId, Signature, TensorSpec, VersionSelector};
use pointsman_wire::grpc::{self, proto::ModelInferRequest};
use pointsman_wire::limits::Limits;
use pointsman_wire::v1::{self, PredictForm, PredictHead, decode_predict, encode_predict};
use pointsman_wire::v2::{self, OutputForm, ResponseForm, encode_infer};
use prost::Message;

use crate::bodies::{SIZES, bench, inputs, prediction, v2_call};

/// JSON, and tensors in binary behind it.
pub(crate) fn v2(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("v2");
    for size in &SIZES {
        for (what, binary) in [("json", false), ("binary", true)] {
            let form = v2::RequestForm { binary, ..v2::RequestForm::default() };
            let request = v2::encode_request(&inputs(size), &form).expect("numbers");
            let head_bytes = request.header_length.map(|bytes| bytes.to_string());
            let decode = || v2_call(&request.body, head_bytes.as_deref()).expect("well formed");
            bench(&mut group, &format!("decode {what}"), size, request.body.len(), decode);

            let prediction = prediction(size);
            let unlisted = OutputForm { binary, classification: 0 };
            let form = ResponseForm { unlisted, ..ResponseForm::default() };
            let encode = || encode_infer(&prediction, &form).expect("numbers");
            let bytes = encode().segments.iter().map(Bytes::len).sum();
            bench(&mut group, &format!("encode {what}"), size, bytes, encode);
        }
    }
}

/// The row form.
pub(crate) fn v1(criterion: &mut Criterion) {
    let shape = Some(vec![Dim::Dynamic(None), Dim::Dynamic(None)]);
    let spec =
        TensorSpec { name: "x".into(), datatype: Datatype::Fp32, shape, optional: false, labels: None };
    let signature = Arc::new(Signature { inputs: vec![spec], outputs: Vec::new() });
    let mut group = criterion.benchmark_group("v1");
    for size in &SIZES {
        let body = v1::encode_request(&inputs(size), PredictForm::Row).expect("numbers");
        let decode = || {
            let (id, version) = (RequestId::generate(), VersionSelector::Default);
            let head = PredictHead { id, model: "m".into(), version };
            let signature = || Ok::<_, PredictError>(signature.clone());
            decode_predict(head, body.clone(), &Limits::default(), signature).expect("well formed")
        };
        bench(&mut group, "decode instances", size, body.len(), decode);

        let prediction = prediction(size);
        let encode = || encode_predict(&prediction, PredictForm::Row).expect("rows");
        bench(&mut group, "encode predictions", size, encode().len(), encode);
    }
}

/// From and to the bytes of the message, without HTTP/2.
pub(crate) fn grpc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("grpc");
    for size in &SIZES {
        for (what, typed) in [("raw", false), ("typed", true)] {
            let form = grpc::RequestForm { model: "m".into(), typed, ..grpc::RequestForm::default() };
            let request = grpc::encode_request(&inputs(size), &form).expect("FP32 has a typed form");
            let message = Bytes::from(request.encode_to_vec());
            let decode = || {
                let request: ModelInferRequest = grpc::codec::decode(&mut message.clone()).expect("protobuf");
                grpc::decode_infer(request, RequestId::generate(), &Limits::default()).expect("well formed")
            };
            bench(&mut group, &format!("decode {what}"), size, message.len(), decode);

            let prediction = prediction(size);
            let form = grpc::ResponseForm { typed, ..grpc::ResponseForm::default() };
            let encode = || grpc::encode_infer(&prediction, &form).expect("numbers").encode_to_vec();
            bench(&mut group, &format!("encode {what}"), size, encode().len(), encode);
        }
    }
}
