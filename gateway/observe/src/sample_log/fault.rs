//! Faults of the disk that can be switched on in a debug build while a gateway runs. A release build has none of this.

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

/// Names a file; while it holds one of these words, writes to the spool fail or hang so.
const VARIABLE: &str = "POINTSMAN_FAULT_SAMPLE_LOG";
const FULL: &str = "full";
const READ_ONLY: &str = "read-only";
const HANG: &str = "hang";

static FILE: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// What happens before a write.
pub(super) fn before_write() -> io::Result<()> {
    let Some(file) = &*FILE else { return Ok(()) };
    loop {
        match std::fs::read_to_string(file).unwrap_or_default().trim() {
            FULL => return Err(io::ErrorKind::StorageFull.into()),
            READ_ONLY => return Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            HANG => std::thread::sleep(Duration::from_millis(10)),
            _ => return Ok(()),
        }
    }
}
