//! The commands that talk to a running gateway.

use std::io::Read;
use std::path::Path;

use ::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::End;
use crate::cli;
use crate::table::lay_out;

/// The largest answer that a command reads.
const ANSWER_MAX: usize = 1 << 30;

/// `pointsman models`.
pub(crate) fn models(arguments: &cli::Client) -> End {
    let url = &arguments.admin_url;
    let answer = match call(Method::GET, url, "/models", Bytes::new()) {
        Ok(answer) => answer,
        Err(problem) => return refused(&problem),
    };
    if arguments.json {
        print_raw(&answer);
        return End::Done;
    }
    let answer: Value = match serde_json::from_slice(&answer) {
        Ok(answer) => answer,
        Err(e) => return refused(&format!("{url} answered something that is not JSON: {e}")),
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut rows = Vec::new();
    for model in list(&answer["models"]) {
        let name = text(&model["name"]);
        for version in list(&model["versions"]) {
            let mut notes: Vec<String> = Vec::new();
            if model["default"] == version["version"] {
                notes.push("default".into());
            }
            let aliases = model["aliases"].as_object().into_iter().flatten();
            notes
                .extend(aliases.filter(|(_, number)| **number == version["version"]).map(|(a, _)| a.clone()));
            notes.extend(version["reason"].as_str().filter(|r| !r.is_empty()).map(str::to_owned));
            rows.push(vec![
                name.clone(),
                text(&version["version"]),
                text(&version["state"]),
                text(&version["engine"]),
                text(&version["answered"]),
                notes.join(", "),
            ]);
        }
        if let Some(problem) = model["problem"].as_str().filter(|p| !p.is_empty()) {
            let cell = String::new;
            rows.push(vec![name, "-".into(), "UNAVAILABLE".into(), cell(), cell(), problem.to_owned()]);
        }
    }
    print!("{}", lay_out(&["MODEL", "VERSION", "STATE", "ENGINE", "ANSWERED", ""], &rows));
    End::Done
}

fn print_raw(answer: &[u8]) {
    println!("{}", String::from_utf8_lossy(answer));
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `pointsman predict`.
pub(crate) fn predict(arguments: &cli::Predict) -> End {
    let input = match read_input(&arguments.input) {
        Ok(input) => input,
        Err(problem) => return refused(&problem),
    };
    let mut path = format!("/v2/models/{}", arguments.model);
    if let Some(version) = &arguments.model_version {
        path.push_str(&format!("/versions/{version}"));
    }
    path.push_str("/infer");
    let answer = match call(Method::POST, &arguments.client.url, &path, input) {
        Ok(answer) => answer,
        Err(problem) => return refused(&problem),
    };
    // An answer may hold the tokens NaN and Infinity, which are no JSON: it is shown as it came.
    let read = serde_json::from_slice::<Value>(&answer).ok();
    let Some(answer) = read.filter(|_| !arguments.client.json) else {
        print_raw(&answer);
        return End::Done;
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    println!("model {}, version {}", text(&answer["model_name"]), text(&answer["model_version"]));
    for output in list(&answer["outputs"]) {
        println!(
            "{} {} {}: {}",
            text(&output["name"]),
            text(&output["datatype"]),
            output["shape"],
            output["data"]
        );
    }
    End::Done
}

fn read_input(path: &Path) -> Result<Bytes, String> {
    let read = || -> std::io::Result<Vec<u8>> {
        if path == Path::new("-") {
            let mut input = Vec::new();
            std::io::stdin().read_to_end(&mut input)?;
            return Ok(input);
        }
        std::fs::read(path)
    };
    read().map(Bytes::from).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

fn refused(problem: &str) -> End {
    eprintln!("pointsman: {problem}");
    End::Refused
}

/// One call to a gateway; its answer, or a line that says what went wrong.
fn call(method: Method, url: &str, path: &str, body: Bytes) -> Result<Bytes, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start: {e}"))?;
    let (status, answer) = runtime.block_on(exchange(method, url, path, body))?;
    if status.is_success() {
        return Ok(answer);
    }
    let said = serde_json::from_slice(&answer)
        .ok()
        .and_then(|json: Value| json["error"].as_str().map(str::to_owned));
    Err(format!(
        "{url} answered {status}: {}",
        said.unwrap_or_else(|| String::from_utf8_lossy(&answer).into())
    ))
}

async fn exchange(method: Method, url: &str, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), String> {
    let uri: Uri = url.parse().map_err(|e| format!("{url} is no URL: {e}"))?;
    if uri.scheme_str() != Some("http") {
        return Err(format!("{url}: only http:// URLs are supported"));
    }
    let host = uri.host().ok_or_else(|| format!("{url} names no host"))?;
    let port = uri.port_u16().unwrap_or(80);
    let unreachable =
        |e: std::io::Error| format!("no gateway at {url}: {e}; is `pointsman serve` running there?");
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(unreachable)?;
    let failed = |e: hyper::Error| format!("{url}: {e}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(connection);
    let prefix = uri.path().trim_end_matches('/');
    let path: Uri = format!("{prefix}{path}").parse().map_err(|e| format!("{path} is no path: {e}"))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path;
    let headers: [(HeaderName, String); 2] =
        [(header::HOST, format!("{host}:{port}")), (header::ACCEPT, "application/json".into())];
    for (name, value) in headers {
        request.headers_mut().insert(name, HeaderValue::try_from(value).map_err(|e| e.to_string())?);
    }
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let limited = http_body_util::Limited::new(response.into_body(), ANSWER_MAX);
    let body = limited.collect().await.map_err(|e| format!("{url}: {e}"))?;
    Ok((status, body.to_bytes()))
}
