//! The element type of what an operator gives.

use super::operator::Operation;
use super::range::kind;

/// Whether an element type is one of whole numbers whose bounds are followed.
pub(super) fn is_whole(number: Option<i32>) -> bool {
    matches!(
        number,
        Some(
            kind::BOOL
                | kind::UINT8
                | kind::INT8
                | kind::UINT16
                | kind::INT16
                | kind::INT32
                | kind::INT64
                | kind::UINT32
                | kind::UINT64
        )
    )
}

/// The element type of one output; nothing where the operator alone does not say it. Most operators
/// give what their first input is; the others are listed here, as of opset 26 and of ONNX Runtime's
/// own operators in 1.31.
pub(super) fn element(operation: &Operation<'_>, index: usize) -> Option<i32> {
    let input = |index| operation.input(index).and_then(|value| value.kind);
    let attribute = |name| operation.attribute(name).and_then(|attribute| i32::try_from(attribute.i?).ok());
    let body = |index: usize| operation.bodies.first().and_then(|body| body.get(index)?.kind);
    match (operation.domain, operation.name, index) {
        (_, "QuantizeLinear", 0) => input(2).or(Some(kind::UINT8)),
        (_, "DequantizeLinear", 0) => input(1),

        ("ai.onnx", "Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin", _)
        | ("ai.onnx", "SequenceLength" | "NonMaxSuppression", _)
        | ("ai.onnx", "TopK" | "Unique" | "MaxPool" | "StringSplit", 1..) => Some(kind::INT64),
        ("ai.onnx", "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual", _)
        | ("ai.onnx", "IsNaN" | "IsInf" | "OptionalHasElement" | "RegexFullMatch", _)
        | ("ai.onnx", "Dropout", 1) => Some(kind::BOOL),
        ("ai.onnx", "ConvInteger" | "MatMulInteger", _) => Some(kind::INT32),
        ("ai.onnx", "DynamicQuantizeLinear", 0 | 2) | ("ai.onnx", "ImageDecoder", _) => Some(kind::UINT8),
        ("ai.onnx", "TfIdfVectorizer", _) => Some(kind::FLOAT),

        ("ai.onnx", "CastLike" | "Where", _) => input(1),
        ("ai.onnx", "OneHot", _) => input(2),
        ("ai.onnx", "Cast" | "BitCast", _) => attribute("to"),
        ("ai.onnx", "Bernoulli" | "EyeLike" | "RandomNormalLike" | "RandomUniformLike", _) => {
            attribute("dtype").or(input(0))
        }
        ("ai.onnx", "RandomNormal" | "RandomUniform" | "SequenceEmpty", _) => {
            attribute("dtype").or(Some(kind::FLOAT))
        }
        ("ai.onnx", "Multinomial", _) => attribute("dtype").or(Some(kind::INT32)),
        ("ai.onnx", "BlackmanWindow" | "HammingWindow" | "HannWindow" | "MelWeightMatrix", _) => {
            attribute("output_datatype").or(Some(kind::FLOAT))
        }
        ("ai.onnx", "ConstantOfShape", _) => operation.tensor.map_or(Some(kind::FLOAT), |tensor| tensor.kind),
        ("ai.onnx", "Constant", _) => constant(operation),

        ("ai.onnx", "If" | "Scan" | "SequenceMap", _) => body(index),
        // The first output of its body is whether to go on.
        ("ai.onnx", "Loop", _) => body(index + 1),
        ("ai.onnx", _, _) => input(0),

        ("ai.onnx.ml", "LinearClassifier" | "SVMClassifier" | "TreeEnsembleClassifier", 1)
        | ("ai.onnx.ml", "FeatureVectorizer" | "LinearRegressor" | "Normalizer" | "OneHotEncoder", _)
        | ("ai.onnx.ml", "SVMRegressor" | "Scaler" | "TreeEnsembleRegressor", _) => Some(kind::FLOAT),
        ("ai.onnx.ml", "LabelEncoder", _) => {
            operation.attribute("values_floats").is_some().then_some(kind::FLOAT)
        }
        ("ai.onnx.ml", "ArrayFeatureExtractor" | "Binarizer" | "Imputer" | "TreeEnsemble", _) => input(0),

        // Labels and what stands for categories may be numbers or texts.
        ("ai.onnx.ml", ..) => None,

        // ONNX Runtime's own make floats of floats but for these; what they make of whole numbers differs.
        (
            _,
            "BeamSearch"
            | "WhisperBeamSearch"
            | "DynamicTimeWarping"
            | "SparseAttentionIndexer"
            | "SparseToDenseMatMul",
            _,
        ) => None,
        (_, _, 0) => input(0).filter(|&kind| !is_whole(Some(kind))),
        _ => None,
    }
}

/// The element type of a constant that is no tensor.
fn constant(operation: &Operation<'_>) -> Option<i32> {
    match operation.attributes.first()?.0 {
        "value_int" | "value_ints" => Some(kind::INT64),
        "value_float" | "value_floats" => Some(kind::FLOAT),
        "value_string" | "value_strings" => Some(kind::STRING),
        _ => None,
    }
}
