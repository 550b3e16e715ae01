//! A look at a model's bytes before any runtime parses them.
//!
//! Runtimes have crashed, hung and read foreign files on malformed models. What can be seen in the
//! file alone is refused here, with a reason that its owner can act on; whether its operators make
//! sense together stays the runtime's question.

mod declared;
mod division;
mod external;
mod fault;
mod functions;
mod heads;
mod outline;
mod random;
pub(crate) mod schema;
mod sniff;
mod tensor;
mod walk;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use pointsman_core::Signature;
use prost::Message;

pub use external::ExternalFault;
pub use fault::OnnxFault;
pub use tensor::TensorFault;

use functions::Functions;
use schema::{ModelProto, OperatorSetIdProto};
use walk::Walk;

/// The newest form of the file that is known. ONNX Runtime 1.31 takes the same.
const IR_VERSION_MAX: i64 = 13;
/// The newest set of operators of the default domain that is known.
const OPSET_MAX: i64 = 26;
/// From this form of the file on, a model has to name its sets of operators.
const IR_VERSION_WITH_OPSETS: i64 = 3;

/// What a look at a model shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnnxSummary {
    /// The form of the file.
    pub ir_version: i64,
    /// The program that wrote it, with its version.
    pub producer: String,
    /// The sets of operators it is written for, by domain; the default one is `ai.onnx`.
    pub opsets: BTreeMap<String, i64>,
    /// The operators used anywhere in it.
    pub operators: BTreeSet<Operator>,
    /// Those of them that draw random numbers, so that the same inputs have another answer in each run.
    pub random: BTreeSet<Operator>,
    /// Inputs and outputs as the graph declares them; those that are no tensor of V2's datatypes are
    /// left out, and inputs that are initializers as well are optional.
    pub declared: Signature,
    /// Files beside it that hold weights, and the bytes that each must at least have.
    pub external: BTreeMap<String, u64>,
    /// Nodes that divide integers in a way that a request can make fatal: the smallest integer by -1, or a number
    /// of heads by 0, ends the process in ONNX Runtime. Of either at most 100, each by its name or as `Div #3`, with the names
    /// of the nodes around it.
    pub integer_division: Vec<String>,
}

/// One operator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operator {
    /// The domain; the default one is `ai.onnx`.
    pub domain: String,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.domain, self.name)
    }
}

/// Looks at a model's bytes.
///
/// # Errors
/// [`OnnxFault`] with the first thing that keeps it from being given to a runtime.
pub fn look(model: &Bytes) -> Result<OnnxSummary, OnnxFault> {
    sniff::check(model)?;
    outline::check(model)?;
    let model = ModelProto::decode(model.clone())
        .map_err(|error| OnnxFault::Undecodable { reason: error.to_string() })?;
    let Some(graph) = &model.graph else {
        return Err(OnnxFault::NoGraph);
    };
    let ir_version = model.ir_version.ok_or(OnnxFault::NoIrVersion)?;
    if !(1..=IR_VERSION_MAX).contains(&ir_version) {
        return Err(OnnxFault::IrVersion { found: ir_version, known: IR_VERSION_MAX });
    }
    let opsets = opsets(&model.opset_import, ir_version)?;
    let walk = Walk::over(&model, graph)?;
    let functions = Functions::of(&model, graph)?;
    // Most models divide nothing, and need no second pass.
    let divides = walk.uses("Div") || walk.uses("Mod");
    let mut integer_division =
        if divides { division::of_requests(graph, &functions, ir_version) } else { Vec::new() };
    let declared = declared::signature(graph);
    integer_division.extend(heads::of_requests(graph, &declared.inputs));

    Ok(OnnxSummary {
        ir_version,
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
        opsets,
        operators: walk.operators,
        random: walk.random,
        declared,
        external: walk.external,
        integer_division,
    })
}

/// The default domain goes by two names.
fn domain_name(domain: &str) -> &str {
    if domain.is_empty() { "ai.onnx" } else { domain }
}

fn opsets(imports: &[OperatorSetIdProto], ir_version: i64) -> Result<BTreeMap<String, i64>, OnnxFault> {
    if imports.is_empty() && ir_version >= IR_VERSION_WITH_OPSETS {
        return Err(OnnxFault::NoOpset);
    }
    let mut opsets = BTreeMap::new();
    for import in imports {
        let domain = domain_name(&import.domain);
        let known = if domain == "ai.onnx" { OPSET_MAX } else { i64::MAX };
        if !(1..=known).contains(&import.version) {
            return Err(OnnxFault::Opset { domain: domain.to_owned(), found: import.version, known });
        }
        // Exporters list the default domain twice at times; the runtimes take the higher.
        let version = opsets.entry(domain.to_owned()).or_insert(import.version);
        *version = import.version.max(*version);
    }
    Ok(opsets)
}
