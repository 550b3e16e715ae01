//! SIGHUP: the configuration is read again.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{AbortHandle, JoinSet};

use crate::control::Control;
use crate::reload::Reload;

/// Reads the configuration again at each SIGHUP, until what is returned is dropped.
pub(super) fn on_hangup(reload: Arc<Reload>, control: Control) -> Result<JoinSet<()>, String> {
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| format!("cannot wait for signals: {e}"))?;
    let mut tasks = JoinSet::new();
    let _: AbortHandle = tasks.spawn(async move {
        while hangup.recv().await.is_some() {
            // What is wrong is in the log, and the old configuration goes on counting.
            let _ = reload.reload(&control);
        }
    });
    Ok(tasks)
}
