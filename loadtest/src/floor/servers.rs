//! The servers that are compared.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::Model;
use super::exchange::Recorded;
use super::report::RawRun;
use crate::process::{Server, on_core};

/// A registry with `digits`, `iris` and a model `echo`.
pub(super) fn registry(models: &Path, echo: &Path, scratch: &Path) -> Result<PathBuf, String> {
    let registry = scratch.join("models");
    let copy = |from: &Path, to: &str| -> Result<(), String> {
        let to = registry.join(to);
        let folder = to.parent().ok_or("a file lies in a folder")?;
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        std::fs::copy(from, &to).map(drop).map_err(|e| format!("{}: {e}", from.display()))
    };
    for file in ["model.onnx", "golden.json", "baseline.json", "manifest.toml"] {
        for model in ["digits/1", "iris/3"] {
            copy(&models.join(model).join(file), &format!("{model}/{file}"))?;
        }
    }
    copy(echo, "echo/1/model.onnx")?;
    std::fs::write(registry.join("echo/model.toml"), "engine = \"echo\"\n").map_err(|e| e.to_string())?;
    Ok(registry)
}

/// A bare server that answers with recorded bytes.
pub(super) fn bare(
    core: Option<usize>,
    recorded: &Recorded,
    scratch: &Path,
) -> Result<(Server, SocketAddr), String> {
    let body = scratch.join("body");
    std::fs::write(&body, recorded.answer()).map_err(|e| e.to_string())?;
    let mut command = on_core(core, this_program()?.as_os_str());
    command.args(["bare", "--listen", "127.0.0.1:0", "--body"]).arg(body);
    match recorded {
        Recorded::Http { header_length: Some(length), .. } => {
            command.arg("--header-length").arg(length.to_string());
        }
        Recorded::Http { header_length: None, .. } => {}
        Recorded::Grpc { .. } => {
            command.arg("--grpc");
        }
    }
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Server::start(command)?;
    let address = server.first_line()?.parse().map_err(|e| format!("the bare server's address: {e}"))?;
    Ok((server, address))
}

/// What one run of a model takes in ONNX Runtime alone, on one row.
pub(super) fn raw_run(
    core: Option<usize>,
    registry: &Path,
    model: Model,
    seconds: f64,
) -> Result<RawRun, String> {
    let program = this_program()?;
    let mut command = on_core(core, program.as_os_str());
    command.args([
        OsStr::new("raw"),
        "--models".as_ref(),
        registry.as_ref(),
        "--model".as_ref(),
        model.name().as_ref(),
    ]);
    let output = command.arg("--seconds").arg(seconds.to_string()).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mut figures = said.split_whitespace().map_while(|figure| figure.parse().ok());
    let (cpu_us, paused_us) = figures
        .next()
        .zip(figures.next())
        .ok_or_else(|| format!("ONNX Runtime alone: {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok(RawRun { cpu_us, paused_us })
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|e| e.to_string())
}
