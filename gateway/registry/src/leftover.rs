//! Names that tools give to files they have not finished, or leave behind when they are interrupted.
//!
//! scp, cp, tar, curl and `kubectl cp` write under the final name: nothing tells them from a finished
//! copy but that the file goes on changing.

/// Whose a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// A tool's that copies: the file that it becomes is not there, or is an older one.
    Copy,
    /// An editor's: a lock, a backup, or what is about to be saved.
    Editor,
}

/// How many characters rsync's `mkstemp` puts behind the name.
const RSYNC_RANDOM: usize = 6;
/// How many hexadecimal digits aws puts behind the name.
const AWS_RANDOM: usize = 8;

impl Leftover {
    /// Recognizes the name of a file or folder.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|e| lower.len() > e.len() && lower.ends_with(e));
        let starts = |beginnings: &[&str]| beginnings.iter().any(|b| lower.starts_with(b));
        // Browsers, WinSCP, rclone, mc, aria2, and what everybody writes; gsutil; azcopy; lftp.
        let copy = ends(&[
            ".part",
            ".partial",
            ".filepart",
            ".part.minio",
            ".crdownload",
            ".incomplete",
            ".aria2",
            ".tmp",
            ".temp",
            "_.gstmp",
            "_.gztmp",
        ]) || starts(&[".azdownload-", ".in."])
            // What rsync delays, keeps of an interrupted copy, or writes first.
            || matches!(name, ".~tmp~" | ".rsync-partial" | ".rsync-tmp")
            || is_rsync(name)
            || is_aws(name);
        // vim, nano; emacs; glib; kate; JetBrains.
        let editor = ends(&["~", ".swp", ".swo", ".swx", ".kate-swp", "___jb_tmp___", "___jb_old___"])
            || starts(&[".#", ".goutputstream-"])
            || (name.len() > 2 && name.starts_with('#') && name.ends_with('#'));
        match (copy, editor) {
            (true, _) => Some(Self::Copy),
            (false, true) => Some(Self::Editor),
            (false, false) => None,
        }
    }
}

/// `.NAME.Ab3dEf`
fn is_rsync(name: &str) -> bool {
    let random = name.strip_prefix('.').and_then(|rest| rest.rsplit_once('.')).map(|(_, random)| random);
    random.is_some_and(|r| r.len() == RSYNC_RANDOM && r.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// `NAME.6cE0C1f2`. Digits alone are rather a date.
fn is_aws(name: &str) -> bool {
    let random = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, random)| random);
    random.is_some_and(|r| {
        r.len() == AWS_RANDOM
            && r.bytes().all(|b| b.is_ascii_hexdigit())
            && r.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_unfinished_files_are_known() {
        for copy in [
            ".model.onnx.Ab3dEf",
            ".~tmp~",
            ".rsync-partial",
            "model.onnx.6cE0C1f2",
            "model.onnx_.gstmp",
            "model.onnx_.gztmp",
            ".azDownload-0f3c-model.onnx",
            "model.onnx.1a2b3c4d.partial",
            "model.onnx.part",
            "model.onnx.PART",
            "model.onnx.filepart",
            "model.onnx.part.minio",
            "model.onnx.crdownload",
            "model.onnx.tmp",
            ".in.model.onnx.",
        ] {
            assert_eq!(Leftover::of(copy), Some(Leftover::Copy), "{copy}");
        }
        for editor in [
            ".manifest.toml.swp",
            "manifest.toml~",
            "#manifest.toml#",
            ".#manifest.toml",
            ".goutputstream-8Q3X",
        ] {
            assert_eq!(Leftover::of(editor), Some(Leftover::Editor), "{editor}");
        }
    }

    #[test]
    fn names_of_finished_files_are_left_alone() {
        for name in [
            "model.onnx",
            "model.onnx.data",
            "manifest.toml",
            "golden.json",
            "weights.20260131",
            "weights.part1",
            "onnx::MatMul_12",
            "a.b",
            ".hidden",
            "..",
            ".",
            "#",
            "##",
            "~",
            ".tmp",
            "",
            "wägung",
        ] {
            assert_eq!(Leftover::of(name), None, "{name}");
        }
    }
}
