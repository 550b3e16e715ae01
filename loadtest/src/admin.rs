//! Calls of a gateway's admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::client::http1;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Who calls it, from a thread that may wait.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    runtime: Runtime,
}

impl Admin {
    /// Calls this listener.
    ///
    /// # Errors
    /// Where the system gives no runtime.
    pub(crate) fn new(address: SocketAddr) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { address, runtime: runtime.map_err(|e| e.to_string())? })
    }

    /// What a `GET` is answered with.
    ///
    /// # Errors
    /// What was answered instead of a success.
    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        self.call(&format!("GET {path}"), &http1::get(self.address, path))
    }

    /// What a `POST` of a document is answered with.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let text = body.to_string();
        let request = http1::post(self.address, path, None, text.as_bytes());
        self.call(&format!("POST {path} {text}"), &request)
    }

    /// Applies a model's plan, in JSON.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) fn apply(&self, model: &str, plan: &Value) -> Result<(), String> {
        let (path, text) = (format!("/v1/plans/{model}"), plan.to_string());
        let request = http1::put(self.address, &path, text.as_bytes());
        self.call(&format!("PUT {path} {text}"), &request).map(drop)
    }

    fn call(&self, said: &str, request: &[u8]) -> Result<Value, String> {
        let exchange = async { tokio::time::timeout(TIMEOUT, http1::once(self.address, request)).await };
        let answer = self.runtime.block_on(exchange);
        let answer = answer.map_err(|_| format!("{said}: no answer within {TIMEOUT:?}"))?;
        let (head, body) = answer.map_err(|why| format!("{said}: {why}"))?;
        match head.status {
            200 => serde_json::from_slice(&body).map_err(|e| format!("{said}: the answer is no JSON: {e}")),
            status => Err(format!("{said} was answered {status} {}", String::from_utf8_lossy(&body))),
        }
    }
}
