//! The state directory: one gateway at a time.

use std::fs::File;
use std::path::Path;

/// The file whose lock says that a gateway uses the directory.
const LOCK: &str = "lock";

/// Creates the directory where it is missing and takes it for this process, until the file is dropped.
///
/// # Errors
/// A line that names the directory, where it cannot be written or another gateway has it.
pub(super) fn lock(directory: &Path) -> Result<File, String> {
    let failed =
        |e: std::io::Error| format!("the state directory {} cannot be used: {e}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let file = File::create(directory.join(LOCK)).map_err(failed)?;
    file.try_lock().map_err(|_| {
        format!(
            "the state directory {} is in use by another gateway; name another with --state",
            directory.display()
        )
    })?;
    Ok(file)
}
