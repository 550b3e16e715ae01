//! A plain HTTP client, and one that sends whatever bytes it is given.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// The longest that one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {}", self.text()))
    }

    /// The message and the stable code of an error.
    ///
    /// # Panics
    /// Where the body is no error.
    #[must_use]
    pub fn error(&self) -> (String, String) {
        let json = self.json();
        let text = |key: &str| json[key].as_str().unwrap_or_else(|| panic!("no {key} in {json}")).to_owned();
        (text("error"), text("code"))
    }
}

/// `GET`.
#[must_use]
pub fn get(address: SocketAddr, path: &str) -> Answer {
    request("GET", address, path, &[], None)
}

/// `POST`.
#[must_use]
pub fn post(address: SocketAddr, path: &str, body: impl AsRef<[u8]>) -> Answer {
    request("POST", address, path, &[], Some(body.as_ref()))
}

/// Any method, with headers.
///
/// # Panics
/// Where no answer comes.
#[must_use]
pub fn request(
    method: &str,
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .allow_non_standard_methods(true)
        .build()
        .into();
    let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.unwrap_or_default().to_vec()).expect("a request");
    let mut response = agent.run(request).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
    let headers = response.headers().iter();
    let headers =
        headers.map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
    let headers = headers.collect();
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a whole body");
    Answer { status: response.status().as_u16(), headers, body }
}

/// Sends bytes as they are, and gives everything that comes back until the other side closes.
///
/// # Panics
/// Where no connection can be made.
#[must_use]
pub fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    // The gateway may answer and close before all is sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}
