//! V2 gRPC.
