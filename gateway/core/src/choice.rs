//! Choices that cards, configuration and requests offer, by the words that stand for them.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_round_trip() {
        for &choice in EngineChoice::ALL {
            assert_eq!(EngineChoice::parse(choice.name()), Some(choice));
        }
        assert_eq!(Nonfinite::parse("null"), Some(Nonfinite::Null));
        assert_eq!(Nonfinite::parse("NULL"), None);
    }
}
