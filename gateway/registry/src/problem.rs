//! What is wrong with a file of the registry, in one line that says what to do about it.

use std::fmt;

/// Something that the owner of a model has to know: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or folder, relative to the registry's root.
    pub file: String,
    /// What is wrong, with the key and the value that are.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    /// A problem of `file`. Control characters of names and values are escaped: the text ends in
    /// tables and logs.
    pub(crate) fn new(file: &str, what: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self { file: one_line(file), what: one_line(what.as_ref()), remedy: one_line(remedy.as_ref()) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.file, self.what, self.remedy)
    }
}

/// Text from outside, made fit for one line of a table or a log.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for c in text.chars() {
        if line.len() >= LONGEST {
            line.push_str("...");
            break;
        }
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_bounded_line_without_control_characters() {
        let problem = Problem::new("iris/\u{1b}[31m", "x\ny".repeat(1000), "mend it");
        let line = problem.to_string();
        assert!(!line.chars().any(char::is_control), "{line}");
        assert!(line.len() < 900, "{}", line.len());
        assert!(line.ends_with("; mend it"), "{line}");
    }
}
