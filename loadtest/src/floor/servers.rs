//! The servers that are compared.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Arguments;
use super::exchange::Recorded;
use crate::process::{Server, on_core};

/// How long the gateway may take to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A registry with `digits` and a model `echo`.
pub(super) fn registry(models: &Path, echo: &Path, scratch: &Path) -> Result<PathBuf, String> {
    let registry = scratch.join("models");
    let copy = |from: &Path, to: &str| -> Result<(), String> {
        let to = registry.join(to);
        let folder = to.parent().ok_or("a file lies in a folder")?;
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        std::fs::copy(from, &to).map(drop).map_err(|e| format!("{}: {e}", from.display()))
    };
    for file in ["model.onnx", "golden.json", "manifest.toml"] {
        copy(&models.join("digits/1").join(file), &format!("digits/1/{file}"))?;
    }
    copy(echo, "echo/1/model.onnx")?;
    std::fs::write(registry.join("echo/model.toml"), "engine = \"echo\"\n").map_err(|e| e.to_string())?;
    Ok(registry)
}

/// The gateway, by default with metrics on, tracing and the request log off.
pub(super) fn gateway(
    settings: &Arguments,
    registry: &Path,
    scratch: &Path,
) -> Result<(Server, SocketAddr, SocketAddr), String> {
    let binary = &settings.gateway;
    if !binary.exists() {
        return Err(format!("{} is not there: cargo build --release", binary.display()));
    }
    let ready = scratch.join("ready.json");
    let mut arguments: Vec<OsString> =
        vec!["serve".into(), registry.into(), "--ready-file".into(), ready.clone().into()];
    for listener in ["--http", "--grpc", "--metrics", "--admin"] {
        arguments.extend([listener.into(), "127.0.0.1:0".into()]);
    }
    if let Some(config) = &settings.config {
        arguments.extend(["--config".into(), config.into()]);
    }
    let server = Server::start(settings.core, binary.as_os_str(), arguments)?;
    let until = Instant::now() + READY_TIMEOUT;
    while !ready.exists() {
        if Instant::now() > until {
            return Err(format!("the gateway was not ready within {READY_TIMEOUT:?}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = std::fs::read_to_string(&ready).map_err(|e| e.to_string())?;
    let addresses: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let address = |name: &str| {
        let text = addresses[name].as_str().unwrap_or_default();
        text.parse::<SocketAddr>().map_err(|e| format!("the ready file's {name}: {e}"))
    };
    Ok((server, address("http")?, address("grpc")?))
}

/// A bare hyper server that answers with recorded bytes.
pub(super) fn bare(
    core: Option<usize>,
    recorded: &Recorded,
    scratch: &Path,
) -> Result<(Server, SocketAddr), String> {
    let body = scratch.join("body");
    std::fs::write(&body, &recorded.answer_body).map_err(|e| e.to_string())?;
    let mut arguments: Vec<OsString> =
        vec!["bare".into(), "--listen".into(), "127.0.0.1:0".into(), "--body".into(), body.into()];
    if let Some(length) = recorded.header_length {
        arguments.extend(["--header-length".into(), length.to_string().into()]);
    }
    let mut server = Server::start(core, this_program()?.as_os_str(), arguments)?;
    let address = server.first_line()?.parse().map_err(|e| format!("the bare server's address: {e}"))?;
    Ok((server, address))
}

/// Microseconds of CPU that one run of `digits` takes in ONNX Runtime alone.
pub(super) fn raw_run(core: Option<usize>, registry: &Path, seconds: f64) -> Result<f64, String> {
    let program = this_program()?;
    let mut command = on_core(core, program.as_os_str());
    command.args([
        OsStr::new("raw"),
        "--models".as_ref(),
        registry.as_ref(),
        "--model".as_ref(),
        "digits".as_ref(),
    ]);
    let output = command.arg("--seconds").arg(seconds.to_string()).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim()
        .parse()
        .map_err(|_| format!("ONNX Runtime alone: {}", String::from_utf8_lossy(&output.stderr)))
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|e| e.to_string())
}
