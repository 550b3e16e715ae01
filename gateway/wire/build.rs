//! Generates the V2 gRPC messages, service and client from `proto/`, without an installed `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

/// Fields that share the bytes of the message that they came in, instead of copying them.
const SHARED: [&str; 3] = [
    ".inference.ModelInferRequest.raw_input_contents",
    ".inference.ModelInferResponse.raw_output_contents",
    ".inference.InferTensorContents.bytes_contents",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_file("inference.proto")?;

    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("inference_descriptor.bin"), compiler.encode_file_descriptor_set())?;

    let mut builder = tonic_prost_build::configure()
        // Maps here have a handful of entries: a tree is smaller, and gives them in a fixed order.
        .btree_map(".")
        .codec_path("crate::grpc::codec::BoundedCodec");
    for field in SHARED {
        builder = builder.bytes(field);
    }
    builder.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
