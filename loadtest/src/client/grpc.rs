//! V2 gRPC: connections that many streams share.

use std::net::SocketAddr;

use pointsman_wire::grpc::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use tonic::transport::Channel;

/// A client of V2 gRPC. Its clones share the connection.
pub(crate) type Client = GrpcInferenceServiceClient<Channel>;

/// Streams that share one connection at the same time.
pub(crate) const STREAMS: usize = 16;

/// Connects. A connection that is lost later is made again by the next call.
pub(crate) async fn connect(address: SocketAddr) -> Result<Client, String> {
    let endpoint = Channel::from_shared(format!("http://{address}")).map_err(|e| e.to_string())?;
    let channel = endpoint.connect().await.map_err(|e| format!("{address}: {e}"))?;
    Ok(Client::new(channel))
}
