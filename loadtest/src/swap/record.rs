//! Asks each version by its number for the right answers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::InputTensor;
use pointsman_wire::grpc::proto::ModelInferResponse;

use super::caller::{Calls, Lines, decode};
use crate::call::{Came, Manner, Model, Wiring};
use crate::client::{Protocol, http1};
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::inputs;
use crate::references::{Expected, References};

/// How long all answers may take together.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a version that loads is asked whether it is ready.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// What the model is asked, and what is right.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// The model, at its default version.
    pub(crate) model: Model,
    pub(crate) inputs: Vec<Vec<InputTensor>>,
    /// For the same inputs.
    pub(crate) references: References,
}

/// What to ask the model, with the right answers by the versions 1 to `sources` of a gateway that has
/// them all.
///
/// # Errors
/// Where a version does not answer, or two answer alike.
pub(crate) fn work(gateway: &Gateway, models: &Path, model: &str, sources: u64) -> Result<Work, String> {
    let versions: Vec<u64> = (1..=sources).collect();
    let inputs = inputs::of_golden_cases(models, model, &versions)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let recorded = async { tokio::time::timeout(TIMEOUT, record(gateway, model, &versions, &inputs)).await };
    let recorded = runtime.map_err(|e| e.to_string())?.block_on(recorded);
    let (model, references) =
        recorded.map_err(|_| format!("the right answers did not come within {TIMEOUT:?}"))??;
    Ok(Work { model, inputs, references })
}

async fn record(
    gateway: &Gateway,
    model: &str,
    versions: &[u64],
    inputs: &[Vec<InputTensor>],
) -> Result<(Model, References), String> {
    let endpoint = gateway.endpoint();
    let wiring = Wiring { connections: 1, streams: 1, timeout: TIMEOUT, manner: Manner::Normal };
    let lines = Lines::open(&endpoint, &Protocol::ALL, wiring, Clock::start()).await?;
    let mut expected: Vec<Vec<Expected>> = inputs.iter().map(|_| Vec::new()).collect();
    for &version in versions {
        wait_until_ready(gateway.http, model, version).await?;
        let model = Model::read(&endpoint, model, Some(&version.to_string())).await?;
        for (input, expected) in inputs.iter().zip(&mut expected) {
            let calls = Calls::prepare(&endpoint, &model, input)?;
            let (_, json) = ask(&lines, &calls, Protocol::HttpJson, http).await?;
            let binary = ask(&lines, &calls, Protocol::HttpBinary, http).await?;
            let message = ask(&lines, &calls, Protocol::Grpc, grpc).await?;
            expected.push(Expected::new(version, &json, (binary.0, &binary.1), message)?);
        }
    }
    Ok((Model::read(&endpoint, model, None).await?, References::new(expected)?))
}

/// One answer over a protocol.
async fn ask<T>(
    lines: &Lines,
    calls: &Calls,
    protocol: Protocol,
    read: impl FnOnce(Came<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let (_, read) = lines.over(protocol)?.exchange(calls.over(protocol), read).await;
    read.map_err(|fault| fault.said)?
}

/// The body of a success, and how much of it is JSON.
fn http(came: Came<'_>) -> Result<(Option<usize>, Bytes), String> {
    match came {
        Came::Http(answer) if answer.head.status == 200 => {
            Ok((answer.head.json_length, Bytes::copy_from_slice(answer.body)))
        }
        Came::Http(answer) => {
            let said = String::from_utf8_lossy(answer.body);
            Err(format!("the gateway answered {} {said}", answer.head.status))
        }
        Came::Grpc(_) => Err("the gateway answered over gRPC".into()),
    }
}

/// The message of a success.
fn grpc(came: Came<'_>) -> Result<ModelInferResponse, String> {
    match came {
        Came::Grpc(received) => decode(received),
        Came::Http(_) => Err("the gateway did not answer over gRPC".into()),
    }
}

/// A gateway is ready with its default versions; the others may still be loading.
async fn wait_until_ready(http: SocketAddr, model: &str, version: u64) -> Result<(), String> {
    let request = http1::get(http, &format!("/v2/models/{model}/versions/{version}/ready"));
    while http1::once(http, &request).await?.0.status != 200 {
        tokio::time::sleep(ASK_AGAIN).await;
    }
    Ok(())
}
