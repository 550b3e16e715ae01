//! Weights in files beside the model, put into the model before tract sees it: tract itself would
//! look for them on disk.

use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

/// Replaces every reference to a file by the bytes that it stands for.
pub(super) fn inline(model: &mut ModelProto, files: &[(String, Arc<[u8]>)]) -> Result<(), String> {
    if files.is_empty() {
        return Ok(());
    }
    model.graph.as_mut().map_or(Ok(()), |graph| graph_tensors(graph, files))
}

fn graph_tensors(graph: &mut GraphProto, files: &[(String, Arc<[u8]>)]) -> Result<(), String> {
    for tensor in &mut graph.initializer {
        inline_tensor(tensor, files)?;
    }
    for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
        for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
            inline_tensor(tensor, files)?;
        }
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            graph_tensors(graph, files)?;
        }
    }
    Ok(())
}

fn inline_tensor(tensor: &mut TensorProto, files: &[(String, Arc<[u8]>)]) -> Result<(), String> {
    if tensor.data_location != Some(DataLocation::External as i32) {
        return Ok(());
    }
    let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let location = entry("location").unwrap_or_default();
    let (_, bytes) =
        files.iter().find(|(name, _)| name == location).ok_or_else(|| format!("{location} is missing"))?;
    let number =
        |key| entry(key).map(str::parse::<usize>).transpose().map_err(|_| format!("{key} is no number"));
    let offset = number("offset")?.unwrap_or(0);
    let end = number("length")?.map_or(Some(bytes.len()), |length| offset.checked_add(length));
    let part =
        end.and_then(|end| bytes.get(offset..end)).ok_or_else(|| format!("{location} is too short"))?;
    tensor.raw_data = part.to_vec();
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}
