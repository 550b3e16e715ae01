//! Tells the binary which commit it is built from and which engines are compiled in.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".into());
    println!("cargo::rustc-env=POINTSMAN_COMMIT={commit}");
    if let Some(head) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={head}");
    }
    let compiled_in = |feature: &str| std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    let mut engines = Vec::new();
    if compiled_in("ONNXRUNTIME") {
        engines.push("onnxruntime loaded at run time");
    }
    if compiled_in("TRACT") {
        engines.push("tract 0.23.9");
    }
    engines.push("echo");
    println!("cargo::rustc-env=POINTSMAN_ENGINES=engines: {}", engines.join(", "));
}
