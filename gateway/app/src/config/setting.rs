//! The kinds of values that a key can have.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pointsman_core::{
    BreakingPolicy, ByteSize, DivisionPolicy, EngineChoice, LatencyPolicy, Nonfinite, QueueDelay,
    read_duration, show_duration,
};
use toml::Value;

/// A value that a key can have.
pub(super) trait Setting: Sized {
    /// What to write, for the message when something else stands there.
    const EXPECTED: &'static str;

    /// Reads it; nothing where it is something else.
    fn read(value: &Value) -> Option<Self>;

    /// The value as it would stand in the file.
    fn show(&self) -> String;
}

/// A text as it would stand in the file.
fn quoted(text: impl std::fmt::Display) -> String {
    serde_json::Value::String(text.to_string()).to_string()
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for usize {
    const EXPECTED: &'static str = "a whole number";

    fn read(value: &Value) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = "a whole number";

    fn read(value: &Value) -> Option<Self> {
        value.as_integer()?.try_into().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for f64 {
    const EXPECTED: &'static str = "a number";

    fn read(value: &Value) -> Option<Self> {
        value.as_float().or_else(|| value.as_integer().map(|i| i as Self))
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for Vec<String> {
    const EXPECTED: &'static str = "a list of texts";

    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(String::read).collect()
    }

    fn show(&self) -> String {
        serde_json::Value::from(self.clone()).to_string()
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().filter(|s| !s.is_empty()).map(Self::from)
    }

    fn show(&self) -> String {
        quoted(self.display())
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str =
        "an address with a port, such as \"127.0.0.1:8000\" (port 0 picks a free one)";

    fn read(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a time with its unit, such as \"500us\", \"250ms\", \"5s\", \"2m\", \"12h\" or \"7d\", of a year at most";

    fn read(value: &Value) -> Option<Self> {
        read_duration(value.as_str()?)
    }

    fn show(&self) -> String {
        quoted(show_duration(*self))
    }
}

impl Setting for QueueDelay {
    const EXPECTED: &'static str = "\"auto\", \"off\" or a time with its unit, such as \"50ms\"";

    fn read(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?)
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for ByteSize {
    const EXPECTED: &'static str =
        "a number of bytes above 0, such as 4096, \"64KiB\", \"64MiB\" or \"1GiB\"";

    fn read(value: &Value) -> Option<Self> {
        let bytes = match value {
            Value::Integer(bytes) => usize::try_from(*bytes).ok()?,
            Value::String(text) => Self::parse(text)?.0,
            _ => return None,
        };
        (bytes > 0).then_some(Self(bytes))
    }

    fn show(&self) -> String {
        if self.0.is_multiple_of(1 << 10) { quoted(self) } else { self.to_string() }
    }
}

/// Reads a choice by its words.
macro_rules! choice {
    ($choice:ty, $expected:literal) => {
        impl Setting for $choice {
            const EXPECTED: &'static str = $expected;

            fn read(value: &Value) -> Option<Self> {
                Self::parse(value.as_str()?)
            }

            fn show(&self) -> String {
                quoted(self)
            }
        }
    };
}

choice!(EngineChoice, "\"auto\", \"onnxruntime\", \"tract\" or \"echo\"");
choice!(Nonfinite, "\"token\", \"null\" or \"error\"");
choice!(DivisionPolicy, "\"refuse\" or \"allow\"");
choice!(BreakingPolicy, "\"hold\" or \"allow\"");
choice!(LatencyPolicy, "\"off\", \"warn\" or \"refuse\"");

/// When the gateway says that it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// After the first pass over the registry, once a model serves.
    Any,
    /// Once every model serves.
    All,
}

impl Setting for Readiness {
    const EXPECTED: &'static str = "\"any\" or \"all\"";

    fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "any" => Some(Self::Any),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Any => "any",
            Self::All => "all",
        })
    }
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

impl Setting for LogFormat {
    const EXPECTED: &'static str = "\"text\" or \"json\"";

    fn read(value: &Value) -> Option<Self> {
        match value.as_str()? {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        let text = |t: &str| Value::String(t.into());
        assert_eq!(Duration::read(&text("250ms")), Some(Duration::from_millis(250)));
        assert_eq!(Duration::read(&text("2m")), Some(Duration::from_secs(120)));
        assert_eq!(Duration::read(&text("527040m")), Some(Duration::from_secs(366 * 24 * 60 * 60)));
        for bad in ["5", "s", "-1s", "1w", "1 s", "99999999999999999999s", "527041m", "18446744073709551615s"]
        {
            assert_eq!(Duration::read(&text(bad)), None, "{bad}");
        }
        assert_eq!(ByteSize::read(&text("64MiB")), Some(ByteSize(64 << 20)));
        assert_eq!(ByteSize::read(&Value::Integer(10)), Some(ByteSize(10)));
        for bad in ["64MB", "0MiB", "18446744073709551615GiB"] {
            assert_eq!(ByteSize::read(&text(bad)), None, "{bad}");
        }
    }

    #[test]
    fn values_are_shown_as_they_would_be_written() {
        for time in ["0s", "250ms", "90s", "2m"] {
            let read = Duration::read(&Value::String(time.into()));
            assert_eq!(read.map(|time| time.show()), Some(format!("\"{time}\"")));
        }
        assert_eq!(ByteSize(64 << 20).show(), "\"64MiB\"");
        assert_eq!(ByteSize(1000).show(), "1000");
        assert_eq!(PathBuf::from("a\"b").show(), r#""a\"b""#);
        assert_eq!(0.5.show(), "0.5");
    }
}
