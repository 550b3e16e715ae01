//! Compiles the two schemas without an installed `protoc`.

use std::error::Error;
use std::path::PathBuf;

use protox::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let onnx = protox::compile(["onnx.proto"], ["proto"])?;
    prost_build::Config::new().bytes([".onnx.TensorProto"]).compile_fds(onnx)?;

    // The text format is read by the schema's description, which is therefore kept as well.
    let triton = protox::compile(["triton_config.proto"], ["proto"])?;
    std::fs::write(out.join("triton_config.bin"), triton.encode_to_vec())?;
    prost_build::Config::new().compile_fds(triton)?;
    Ok(())
}
