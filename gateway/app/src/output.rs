//! Printing for commands: whoever closes the pipe has seen enough, and the command ends without a word.
//!
//! The two macros stand in for those of the standard library, which panic there. Included first, so that they count in
//! every module.

macro_rules! print {
    ($($argument:tt)*) => { crate::output::write(format_args!($($argument)*)) };
}

macro_rules! println {
    () => { crate::output::write(format_args!("\n")) };
    ($($argument:tt)*) => { crate::output::write(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Writes to the standard output; ends the process where that is not read any more.
pub(crate) fn write(text: std::fmt::Arguments<'_>) {
    use std::io::{ErrorKind, Write as _};
    let Err(error) = std::io::stdout().write_fmt(text) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    eprintln!("pointsman: the output cannot be written: {error}");
    std::process::exit(1);
}
