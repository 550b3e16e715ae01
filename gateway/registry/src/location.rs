//! Names of files inside a version's folder, as models and manifests write them.

/// Why a name is no path inside a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationFault {
    /// It is empty, or has an empty part.
    #[error("is empty or has an empty part")]
    Empty,
    /// It is absolute.
    #[error("is absolute")]
    Absolute,
    /// It has a `..`.
    #[error("leaves its folder by '..'")]
    Parent,
    /// It has a backslash, which other systems read as a separator, or a control character. A colon
    /// is allowed: exporters name files after tensors, as in `onnx::MatMul_12`.
    #[error("has a backslash or a control character")]
    Character,
    /// It is the mark by which ONNX Runtime refers to its own memory: from a file, it would read any address.
    #[error("is ONNX Runtime's mark for data in memory")]
    Memory,
    /// It is longer than a path may be.
    #[error("is longer than 1024 bytes")]
    Long,
}

/// Checks a name by its text alone. That no part of it is a link is seen when it is opened.
pub(crate) fn check(name: &str) -> Result<(), LocationFault> {
    const LONGEST: usize = 1024;
    if name.contains("_ORT_MEM_ADDR_") {
        return Err(LocationFault::Memory);
    }
    if name.len() > LONGEST {
        return Err(LocationFault::Long);
    }
    if name.contains(|c: char| c == '\\' || c.is_control()) {
        return Err(LocationFault::Character);
    }
    if name.starts_with('/') {
        return Err(LocationFault::Absolute);
    }
    name.split('/').try_for_each(|part| match part {
        "" => Err(LocationFault::Empty),
        ".." => Err(LocationFault::Parent),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_inside_the_folder_pass() {
        for good in
            ["weights.bin", "model.onnx.data", "sub/w", "./w", "a..b", "...", "wägung", "onnx::MatMul_12"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            ("", LocationFault::Empty),
            ("a//b", LocationFault::Empty),
            ("a/", LocationFault::Empty),
            ("/etc/passwd", LocationFault::Absolute),
            ("..", LocationFault::Parent),
            ("../x", LocationFault::Parent),
            ("a/../b", LocationFault::Parent),
            ("a\\..\\b", LocationFault::Character),
            ("a\0b", LocationFault::Character),
            ("*/_ORT_MEM_ADDR_/*", LocationFault::Memory),
        ] {
            assert_eq!(check(bad), Err(fault), "{bad}");
        }
        assert_eq!(check(&"x".repeat(1025)), Err(LocationFault::Long));
    }
}
