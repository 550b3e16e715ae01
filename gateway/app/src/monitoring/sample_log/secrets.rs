//! What the log keeps to itself: the salt of its choice, and the key of its hashes.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use pointsman_observe::sample_log::HashKey;

/// The file in the state directory.
const FILE: &str = "sample_log.key";
/// Where random bytes come from.
const RANDOM: &str = "/dev/urandom";
/// Bytes of the key, and of the salt behind it.
const KEY_LEN: usize = 32;
const SALT_LEN: usize = 8;

/// Salt and key.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) salt: String,
    pub(super) key: HashKey,
}

impl Secrets {
    /// Those of the state directory, drawn where there are none yet. Without such a directory they are drawn anew at each
    /// start. A salt that is given takes the place of the other.
    ///
    /// # Errors
    /// A line that names the file, where it cannot be read or made.
    pub(super) fn find(state: Option<&Path>, salt: Option<&str>) -> Result<Self, String> {
        let bytes = match state {
            Some(state) => {
                let path = state.join(FILE);
                kept(&path).map_err(|e| format!("the key of the sample log, {}: {e}", path.display()))?
            }
            None => drawn().map_err(|e| format!("{RANDOM}: {e}"))?,
        };
        let (key, rest) = bytes.split_at(KEY_LEN);
        let key = key.try_into().map_err(|_| "the key of the sample log is too short".to_owned())?;
        let drawn: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { salt: salt.map_or(drawn, str::to_owned), key: HashKey::new(key) })
    }
}

/// The bytes of a file, which is made where it is not there.
fn kept(path: &Path) -> io::Result<[u8; KEY_LEN + SALT_LEN]> {
    let mut bytes = [0; KEY_LEN + SALT_LEN];
    match File::open(path) {
        Ok(mut file) => {
            file.read_exact(&mut bytes)?;
            return Ok(bytes);
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    bytes = drawn()?;
    // Whole or not at all, and nobody else's.
    let staged = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&staged)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(staged, path)?;
    Ok(bytes)
}

fn drawn() -> io::Result<[u8; KEY_LEN + SALT_LEN]> {
    let mut bytes = [0; KEY_LEN + SALT_LEN];
    File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_are_drawn_once_and_kept_from_others() {
        let state = tempfile::tempdir().expect("a folder");
        let find = |salt| Secrets::find(Some(state.path()), salt).expect("secrets");
        let (first, second) = (find(None), find(None));
        assert_eq!((first.key.id(), &first.salt), (second.key.id(), &second.salt));
        assert_eq!(first.key.hash(b"x"), second.key.hash(b"x"));
        assert_eq!(find(Some("given")).salt, "given");
        let mode = std::fs::metadata(state.path().join(FILE)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = Secrets::find(None, None).expect("secrets");
        assert!(other.key.id() != first.key.id() && other.salt != first.salt);
        std::fs::write(state.path().join(FILE), b"short").expect("written");
        let refused = Secrets::find(Some(state.path()), None).expect_err("too short");
        assert!(refused.contains(FILE), "{refused}");
    }
}
