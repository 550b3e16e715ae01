//! Finding a shared library of ONNX Runtime that is safe to load.
//!
//! Loading a truncated library kills the process (SIGBUS), and old releases crash or hang on
//! malformed models. So a library is loaded only where its SHA-256 is that of a release that this
//! gateway was tested with, or where a child process has loaded it first and lived to tell its
//! version.

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The oldest release that is loaded. Older ones crash or hang on malformed models, and those before
/// 1.24.4 read files outside the model's folder.
pub const VERSION_FLOOR: LibraryVersion = LibraryVersion { major: 1, minor: 28, patch: 0 };

/// SHA-256 and version of the libraries in the official wheels that this gateway was tested with.
const KNOWN: [(&str, LibraryVersion); 4] = [
    ("fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3", LibraryVersion::new(1, 31, 1)),
    ("8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467", LibraryVersion::new(1, 31, 1)),
    ("aa4079d18f4ea7a5f3a94d80cd4bbe0f2740436626622d64d793803a20381083", LibraryVersion::new(1, 28, 0)),
    ("23a37c2994bc273e1d59a4f49af6cba5bf1cfbc29f04907ec27df375aba50a7d", LibraryVersion::new(1, 28, 0)),
];

/// The names under which the library is looked for in a folder.
const FILE_NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];

/// A release of ONNX Runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LibraryVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl LibraryVersion {
    const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `1.31.1`; what follows a third number (`-rc1`) is left aside.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        let patch = numbers.next()?;
        let digits = patch.bytes().take_while(u8::is_ascii_digit).count();
        Some(Self { major, minor, patch: patch[..digits].parse().ok()? })
    }
}

impl fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A library that may be loaded into this process.
#[derive(Clone, Debug)]
pub struct Library {
    /// Where it is.
    pub path: PathBuf,
    /// Its release.
    pub version: LibraryVersion,
    /// How it was found (`configuration`, `ORT_DYLIB_PATH`, ...).
    pub source: &'static str,
}

/// Why a library is not loaded: one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    /// The path is no readable file.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It is older than [`VERSION_FLOOR`].
    #[error("{}: ONNX Runtime {found} is older than {VERSION_FLOOR}, the oldest that is safe with malformed models", path.display())]
    TooOld {
        /// The path.
        path: PathBuf,
        /// Its release.
        found: LibraryVersion,
    },
    /// The child process that loaded it first did not survive, or said that it is no ONNX Runtime.
    #[error("{}: {reason}", path.display())]
    Refused {
        /// The path.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Telemetry has to be off before the library is loaded.
    #[error("ORT_DISABLE_TELEMETRY=1 was not set before the start: the library is not loaded")]
    TelemetryOn,
    /// One process can load one library, once.
    #[error("ONNX Runtime was started before in this process")]
    AlreadyStarted,
}

/// Loads a library in a child process and gives its version, or the reason against it.
pub type Probe<'a> = &'a dyn Fn(&Path) -> Result<LibraryVersion, String>;

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The path that the configuration names.
    pub configured: Option<PathBuf>,
    /// `ORT_DYLIB_PATH`.
    pub variable: Option<PathBuf>,
    /// The folder of the executable.
    pub beside: Option<PathBuf>,
    /// `pointsman/onnxruntime` in the user's data directory.
    pub user_data: Option<PathBuf>,
    /// The system's library path.
    pub system: Vec<PathBuf>,
}

impl Search {
    /// The usual places, given the configured one.
    #[must_use]
    pub fn usual(configured: Option<PathBuf>) -> Self {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
        let triple = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let mut system: Vec<PathBuf> =
            variable("LD_LIBRARY_PATH").iter().flat_map(std::env::split_paths).collect();
        system.extend(["/usr/local/lib", &triple, "/usr/lib64", "/usr/lib"].map(PathBuf::from));
        Self {
            configured,
            variable: variable("ORT_DYLIB_PATH"),
            beside: std::env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned)),
            user_data: data.map(|d| d.join("pointsman/onnxruntime")),
            system,
        }
    }

    /// The files to try, in order, each with the name of its place.
    fn candidates(&self) -> Vec<(&'static str, PathBuf)> {
        // A path that somebody wrote down is tried even where nothing is there, so that the error is seen.
        let named = [("configuration", &self.configured), ("ORT_DYLIB_PATH", &self.variable)];
        let mut found: Vec<(&'static str, PathBuf)> =
            named.into_iter().filter_map(|(source, path)| Some((source, path.clone()?))).collect();
        let folders =
            [("beside the executable", &self.beside), ("the user's data directory", &self.user_data)];
        let folders = folders.into_iter().filter_map(|(source, folder)| Some((source, folder.as_ref()?)));
        let system = self.system.iter().map(|folder| ("the system's library path", folder));
        for (source, folder) in folders.chain(system) {
            found.extend(
                FILE_NAMES.map(|n| folder.join(n)).into_iter().find(|p| p.exists()).map(|p| (source, p)),
            );
        }
        found
    }
}

impl Library {
    /// The first library of the search that is safe to load, and why those before it are not.
    #[must_use]
    pub fn find(search: &Search, probe: Probe<'_>) -> (Option<Self>, Vec<LibraryError>) {
        let mut refused = Vec::new();
        for (source, path) in search.candidates() {
            match Self::examine(source, path, probe) {
                Ok(library) => return (Some(library), refused),
                Err(error) => refused.push(error),
            }
        }
        (None, refused)
    }

    /// Decides whether one file may be loaded.
    fn examine(source: &'static str, path: PathBuf, probe: Probe<'_>) -> Result<Self, LibraryError> {
        // Relative paths would be looked for beside the executable by the loader, not where they stand.
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(e) => return Err(LibraryError::Unreadable { path, reason: e.to_string() }),
        };
        let digest = match digest(&path) {
            Ok(digest) => digest,
            Err(e) => return Err(LibraryError::Unreadable { path, reason: e.to_string() }),
        };
        let version = match KNOWN.iter().find(|(known, _)| *known == digest) {
            Some((_, version)) => *version,
            None => match probe(&path) {
                Ok(version) => version,
                Err(reason) => return Err(LibraryError::Refused { path, reason }),
            },
        };
        if version < VERSION_FLOOR {
            return Err(LibraryError::TooOld { path, found: version });
        }
        Ok(Self { path, version, source })
    }
}

/// SHA-256 of a regular file, in hexadecimal.
fn digest(path: &Path) -> std::io::Result<String> {
    // Looked at before it is opened: opening a pipe waits for whoever writes to it.
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Loads a library into this process for its version alone. This is what the child process does:
/// a broken library can kill the caller.
///
/// # Errors
/// A sentence saying why the file is no ONNX Runtime.
#[allow(unsafe_code)]
pub fn probe(path: &Path) -> Result<LibraryVersion, String> {
    // SAFETY: running a foreign library's initialisers can do anything; that is why this runs in a
    // child process that has nothing to lose.
    let library = unsafe { libloading::Library::new(path) }.map_err(|e| loader_words(&e))?;
    // SAFETY: `OrtGetApiBase` has this signature in every release.
    let entry =
        unsafe { library.get::<unsafe extern "C" fn() -> *const ort_sys::OrtApiBase>(b"OrtGetApiBase") };
    let entry = entry.map_err(|_| "it is no ONNX Runtime (no OrtGetApiBase)".to_owned())?;
    // SAFETY: the function takes nothing and returns a pointer to static data, or null.
    let base = unsafe { entry().as_ref() }.ok_or("OrtGetApiBase gave nothing")?;
    // SAFETY: the string is static and ends with NUL.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) };
    let version = version.to_str().map_err(|_| "its version is not text")?;
    let version = LibraryVersion::parse(version).ok_or_else(|| format!("its version '{version}' is none"))?;
    // Asked of an old one, it would say on standard error what the floor says better.
    // SAFETY: the function takes any number, and gives null for interfaces that it does not have.
    if version >= VERSION_FLOOR && unsafe { (base.GetApi)(ort_sys::ORT_API_VERSION) }.is_null() {
        return Err(format!("it has no interface of version {}", ort_sys::ORT_API_VERSION));
    }
    Ok(version)
}

/// What the system's loader said, which is the source of the error.
fn loader_words(error: &libloading::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string).replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never(_: &Path) -> Result<LibraryVersion, String> {
        panic!("nothing to probe")
    }

    #[test]
    fn versions_are_read_and_ordered() {
        assert_eq!(LibraryVersion::parse("1.31.1"), Some(LibraryVersion::new(1, 31, 1)));
        assert_eq!(LibraryVersion::parse("1.32.0-rc1"), Some(LibraryVersion::new(1, 32, 0)));
        assert_eq!(LibraryVersion::parse("1.31"), None);
        assert!(LibraryVersion::new(1, 27, 9) < VERSION_FLOOR);
    }

    #[test]
    fn a_missing_file_and_a_folder_are_named() {
        let search = Search {
            configured: Some("/nowhere/libonnxruntime.so".into()),
            variable: Some("/".into()),
            ..Search::default()
        };
        let (found, refused) = Library::find(&search, &never);
        assert!(found.is_none());
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[0].to_string().contains("/nowhere/libonnxruntime.so"), "{}", refused[0]);
    }

    #[test]
    fn an_unknown_library_is_probed_and_an_old_one_refused() {
        let folder = std::env::temp_dir().join(format!("pointsman-library-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("libonnxruntime.so"), b"not the known bytes").unwrap();
        let search = Search { beside: Some(folder.clone()), ..Search::default() };

        let old = |_: &Path| Ok(LibraryVersion::new(1, 27, 0));
        let (found, refused) = Library::find(&search, &old);
        assert!(found.is_none());
        assert!(matches!(refused[..], [LibraryError::TooOld { .. }]), "{refused:?}");

        let broken = |_: &Path| Err("the child died of signal 7".to_owned());
        let (found, refused) = Library::find(&search, &broken);
        assert!(found.is_none());
        assert!(refused[0].to_string().ends_with("the child died of signal 7"));

        let good = |_: &Path| Ok(LibraryVersion::new(1, 99, 0));
        let (found, refused) = Library::find(&search, &good);
        assert_eq!(found.map(|l| l.source), Some("beside the executable"));
        assert!(refused.is_empty());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
