//! Choices that cards, configuration and requests offer, by the words that stand for them.

use std::fmt;
use std::time::Duration;

use crate::duration::{read_duration, show_duration};

/// Defines a choice among a few words.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word that stands for it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Reads the word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|choice| choice.name() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

choice! {
    /// Which engine runs a model.
    EngineChoice {
        /// ONNX Runtime where it is found, else tract.
        Auto = "auto",
        /// ONNX Runtime.
        OnnxRuntime = "onnxruntime",
        /// tract.
        Tract = "tract",
        /// Answers with the inputs; for measurements.
        Echo = "echo",
    }
}

choice! {
    /// How NaN and infinities leave as JSON, which has no number for them.
    #[derive(Default)]
    Nonfinite {
        /// As the tokens `NaN`, `Infinity` and `-Infinity`, which Python's clients read and write.
        #[default]
        Token = "token",
        /// As `null`.
        Null = "null",
        /// Not at all: the request is answered with an error.
        Error = "error",
    }
}

choice! {
    /// What becomes of a model that divides integers of a request and, in this engine, can thereby end
    /// the process.
    #[derive(Default)]
    DivisionPolicy {
        /// It is not served.
        #[default]
        Refuse = "refuse",
        /// It is served: its callers are trusted.
        Allow = "allow",
    }
}

choice! {
    /// What becomes of a version whose signature callers of the serving one cannot use.
    #[derive(Default)]
    BreakingPolicy {
        /// It waits until it is promoted with an explicit yes.
        #[default]
        Hold = "hold",
        /// It takes over like any other.
        Allow = "allow",
    }
}

choice! {
    /// Whether requests of different callers may be run together.
    #[derive(Default)]
    BatchingPolicy {
        /// Where the check found that rows do not change each other's answers.
        #[default]
        Auto = "auto",
        /// Never.
        Forbid = "forbid",
        /// Also where that cannot be checked, and with a tolerance of its own where it can.
        Allow = "allow",
    }
}

choice! {
    /// What becomes of a version that runs slower than the serving one.
    #[derive(Default)]
    LatencyPolicy {
        /// Nothing; its run time is not measured.
        Off = "off",
        /// It serves, and a warning says so.
        #[default]
        Warn = "warn",
        /// It is not served.
        Refuse = "refuse",
    }
}

/// How long requests may stand in line while the line does not get shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueDelay {
    /// As long as a few runs of the version take.
    #[default]
    Auto,
    /// As long as they like: only the number of places is limited.
    Off,
    /// This long.
    Within(Duration),
}

impl QueueDelay {
    /// Reads `auto`, `off` or a time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "off" => Some(Self::Off),
            time => read_duration(time).filter(|time| !time.is_zero()).map(Self::Within),
        }
    }
}

impl fmt::Display for QueueDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Within(time) => f.write_str(&show_duration(*time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_delay_is_a_word_or_a_time() {
        for text in ["auto", "off", "50ms", "2s"] {
            assert_eq!(QueueDelay::parse(text).map(|delay| delay.to_string()).as_deref(), Some(text));
        }
        assert_eq!((QueueDelay::parse("0ms"), QueueDelay::parse("on")), (None, None));
    }

    #[test]
    fn words_round_trip() {
        for &choice in EngineChoice::ALL {
            assert_eq!(EngineChoice::parse(choice.name()), Some(choice));
        }
        assert_eq!(Nonfinite::parse("null"), Some(Nonfinite::Null));
        assert_eq!(Nonfinite::parse("NULL"), None);
    }
}
