//! Pulls values out of JSON text. A thin layer over [`Jiter`] that turns its errors into the
//! protocol's, refuses keys that stand twice and bounds every text.
//!
//! No recursion here depends on the input: skipped values are walked by jiter with a limit of 200
//! levels, and what is read is read by code that knows its depth.

use std::ops::Range;

use jiter::{Jiter, JiterError, NumberAny, NumberInt, Peek};
use pointsman_core::PredictError;

use pointsman_core::shown;

/// JSON text that is being read.
pub(crate) struct Reader<'j> {
    json: Jiter<'j>,
    data: &'j [u8],
    /// Where `data` starts in the request's JSON, for positions in messages.
    base: usize,
}

/// A number as it stands in a parameter.
#[derive(Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Uint(u64),
    Float(f64),
}

impl<'j> Reader<'j> {
    /// Reads `data` from its first byte.
    pub(crate) fn new(data: &'j [u8]) -> Self {
        Self::at(data, 0..data.len())
    }

    /// Reads a part of `data`, such as a value that was skipped before.
    pub(crate) fn at(data: &'j [u8], range: Range<usize>) -> Self {
        let base = range.start;
        let data = &data[range];
        Self { json: Jiter::new(data).with_allow_inf_nan(), data, base }
    }

    /// Where the reader stands.
    pub(crate) fn position(&self) -> usize {
        self.json.current_index()
    }

    /// Bytes that are still to be read.
    pub(crate) fn remaining(&self) -> usize {
        self.data.len().saturating_sub(self.json.current_index())
    }

    /// The kind of the next value.
    pub(crate) fn peek(&mut self) -> Result<Peek, PredictError> {
        let peeked = self.json.peek();
        peeked.map_err(|e| self.malformed(&e))
    }

    /// Opens a list that was peeked at; gives the kind of its first value.
    pub(crate) fn open_list(&mut self) -> Result<Option<Peek>, PredictError> {
        let first = self.json.known_array();
        first.map_err(|e| self.malformed(&e))
    }

    /// Steps to the next value of a list.
    pub(crate) fn next_item(&mut self) -> Result<Option<Peek>, PredictError> {
        let next = self.json.array_step();
        next.map_err(|e| self.malformed(&e))
    }

    /// Reads a list, one call of `item` per value, which has to consume it.
    pub(crate) fn list(
        &mut self,
        mut item: impl FnMut(&mut Self, Peek) -> Result<(), PredictError>,
    ) -> Result<(), PredictError> {
        let first = self.json.next_array();
        let mut next = first.map_err(|e| self.malformed(&e))?;
        while let Some(peek) = next {
            item(self, peek)?;
            next = self.next_item()?;
        }
        Ok(())
    }

    /// Reads an object. `classify` turns a key into something that does not borrow the text, and
    /// `field` has to consume the value.
    pub(crate) fn object<K>(
        &mut self,
        classify: impl Fn(&str) -> Result<K, PredictError>,
        mut field: impl FnMut(&mut Self, K) -> Result<(), PredictError>,
    ) -> Result<(), PredictError> {
        let mut next = match self.json.next_object() {
            Ok(key) => key.map(&classify).transpose()?,
            Err(e) => return Err(self.malformed(&e)),
        };
        while let Some(key) = next {
            field(self, key)?;
            next = match self.json.next_key() {
                Ok(key) => key.map(&classify).transpose()?,
                Err(e) => return Err(self.malformed(&e)),
            };
        }
        Ok(())
    }

    /// Skips the next value and says where it stood.
    pub(crate) fn skip(&mut self) -> Result<Range<usize>, PredictError> {
        self.peek()?;
        let start = self.position();
        let skipped = self.json.next_skip();
        skipped.map_err(|e| self.malformed(&e))?;
        Ok(start..self.position())
    }

    /// Consumes a `null` if one is next.
    pub(crate) fn take_null(&mut self) -> Result<bool, PredictError> {
        if self.peek()? != Peek::Null {
            return Ok(false);
        }
        let null = self.json.known_null();
        null.map_err(|e| self.malformed(&e))?;
        Ok(true)
    }

    /// Reads a text of at most `bytes_max` bytes; `what` names it where it is longer.
    pub(crate) fn text(&mut self, what: &str, bytes_max: usize) -> Result<String, PredictError> {
        match self.json.next_str() {
            Ok(text) => bounded(text, what, bytes_max).map(str::to_owned),
            Err(e) => Err(self.malformed(&e)),
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn boolean(&mut self) -> Result<bool, PredictError> {
        let value = self.json.next_bool();
        value.map_err(|e| self.malformed(&e))
    }

    /// Reads a whole number from 0 to `u64::MAX`; `what` names it where it is none.
    pub(crate) fn unsigned(&mut self, what: &str) -> Result<u64, PredictError> {
        let peek = self.peek()?;
        let start = self.position();
        match self.uint64(peek) {
            Some(value) => Ok(value),
            None => {
                let found = self.excerpt(start)?;
                Err(PredictError::BadRequest(format!("{what} must be a whole number from 0, got {found}")))
            }
        }
    }

    /// Reads any finite number; `what` names it where it is none.
    pub(crate) fn number(&mut self, what: &str) -> Result<Number, PredictError> {
        self.peek()?;
        let start = self.position();
        let number = match self.json.next_number() {
            Ok(number) => number,
            Err(e) => return Err(self.malformed(&e)),
        };
        let value = match number {
            NumberAny::Int(NumberInt::Int(value)) => Some(Number::Int(value)),
            NumberAny::Int(NumberInt::BigInt(big)) => match i64::try_from(&big) {
                Ok(value) => Some(Number::Int(value)),
                Err(_) => u64::try_from(big).ok().map(Number::Uint),
            },
            NumberAny::Float(value) => value.is_finite().then_some(Number::Float(value)),
        };
        match value {
            Some(value) => Ok(value),
            None => {
                let found = self.excerpt(start)?;
                Err(PredictError::BadRequest(format!("{what} is out of range: {found}")))
            }
        }
    }

    /// Checks that nothing but white space is left.
    pub(crate) fn finish(&mut self) -> Result<(), PredictError> {
        let finished = self.json.finish();
        finished.map_err(|e| self.malformed(&e))
    }

    /// Whether the next value is an object whose first member is a text under the key `b64`,
    /// TF Serving's form of binary data.
    pub(crate) fn is_base64(&self) -> bool {
        let mut probe = self.json.clone();
        matches!(probe.next_object(), Ok(Some("b64"))) && matches!(probe.peek(), Ok(Peek::String))
    }

    /// The value that starts at `start`, cut short, as a message shows it.
    ///
    /// # Errors
    /// Where the text there is no JSON at all: that is then the better message.
    pub(crate) fn excerpt(&self, start: usize) -> Result<String, PredictError> {
        let mut probe = Jiter::new(&self.data[start..]).with_allow_inf_nan();
        if let Err(e) = probe.next_skip() {
            return Err(malformed(&e, self.base + start));
        }
        let text = probe.slice_to_current(0);
        // Enough bytes for what is shown, however many a character takes.
        Ok(shown(&String::from_utf8_lossy(&text[..text.len().min(400)])))
    }

    fn malformed(&self, error: &JiterError) -> PredictError {
        malformed(error, self.base)
    }
}

/// Single elements, as the loops over tensors read them. Nothing stands for "refused": those loops
/// find the reason again by [`Reader::excerpt`], off the hot path.
impl Reader<'_> {
    /// A JSON boolean as the byte of a BOOL.
    pub(crate) fn bool_byte(&mut self, peek: Peek) -> Option<u8> {
        self.json.known_bool(peek).ok().map(u8::from)
    }

    /// A whole number that fits `T`.
    pub(crate) fn integer<T: TryFrom<i64>>(&mut self, peek: Peek) -> Option<T> {
        match self.json.known_int(peek) {
            Ok(NumberInt::Int(value)) => T::try_from(value).ok(),
            // jiter takes every number of 19 digits for a big one.
            Ok(NumberInt::BigInt(value)) => T::try_from(i64::try_from(value).ok()?).ok(),
            Err(_) => None,
        }
    }

    /// A whole number from 0 to `u64::MAX`.
    pub(crate) fn uint64(&mut self, peek: Peek) -> Option<u64> {
        match self.json.known_int(peek) {
            Ok(NumberInt::Int(value)) => u64::try_from(value).ok(),
            Ok(NumberInt::BigInt(value)) => u64::try_from(value).ok(),
            Err(_) => None,
        }
    }

    /// Any number, or one of the tokens NaN, Infinity and -Infinity.
    pub(crate) fn float(&mut self, peek: Peek) -> Option<f64> {
        let start = self.position();
        let value = self.json.known_float(peek).ok()?;
        // `1e999` reads as infinity as well, and is a number that does not fit.
        let token = || self.data.get(start..).is_some_and(|t| t.starts_with(b"I") || t.starts_with(b"-I"));
        (!value.is_infinite() || token()).then_some(value)
    }

    /// A text.
    pub(crate) fn string(&mut self, peek: Peek) -> Option<&str> {
        if peek == Peek::String { self.json.known_str().ok() } else { None }
    }

    /// The text of an object `{"b64": text}`.
    pub(crate) fn base64_text(&mut self) -> Option<String> {
        if !matches!(self.json.next_object(), Ok(Some("b64"))) {
            return None;
        }
        let text = self.json.next_str().ok()?.to_owned();
        matches!(self.json.next_key(), Ok(None)).then_some(text)
    }
}

/// Checks the length of a text from outside; `what` names it.
pub(crate) fn bounded<'t>(text: &'t str, what: &str, bytes_max: usize) -> Result<&'t str, PredictError> {
    if text.len() > bytes_max {
        let length = text.len();
        return Err(PredictError::BadRequest(format!(
            "{what} is {length} bytes long, over the limit of {bytes_max} (limits.text_bytes_max)"
        )));
    }
    Ok(text)
}

/// Keeps the value of a key, unless it had one: of two values, no reading is the right one.
pub(crate) fn once<T>(slot: &mut Option<T>, value: T, key: &str, of: &str) -> Result<(), PredictError> {
    if slot.replace(value).is_some() {
        return Err(PredictError::BadRequest(format!("'{key}' appears more than once in {of}")));
    }
    Ok(())
}

fn malformed(error: &JiterError, base: usize) -> PredictError {
    let position = base + error.index;
    PredictError::BadRequest(format!(
        "failed to parse the request JSON buffer: {} at byte {position}",
        error.error_type
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_exact_or_refused() {
        fn read<'j, T>(text: &'j str, element: impl Fn(&mut Reader<'j>, Peek) -> Option<T>) -> Option<T> {
            let mut reader = Reader::new(text.as_bytes());
            let peek = reader.peek().expect("a value");
            element(&mut reader, peek)
        }
        assert_eq!(read("255", Reader::integer::<u8>), Some(255));
        assert_eq!(read("256", Reader::integer::<u8>), None);
        assert_eq!(read("-129", Reader::integer::<i8>), None);
        assert_eq!(read("3.0", Reader::integer::<i32>), None);
        assert_eq!(read("-9223372036854775808", Reader::integer::<i64>), Some(i64::MIN));
        assert_eq!(read("9223372036854775808", Reader::integer::<i64>), None);
        assert_eq!(read("18446744073709551615", Reader::uint64), Some(u64::MAX));
        assert_eq!(read("18446744073709551616", Reader::uint64), None);
        assert_eq!(read("-1", Reader::uint64), None);
        assert_eq!(read("1e400", Reader::float), None);
        assert_eq!(read("-1e400", Reader::float), None);
        assert_eq!(read("-Infinity", Reader::float), Some(f64::NEG_INFINITY));
        assert_eq!(read("1e-400", Reader::float), Some(0.0));
        assert!(read("NaN", Reader::float).is_some_and(f64::is_nan));
        assert_eq!(read("null", Reader::float), None);
        assert_eq!(read("1", Reader::bool_byte), None);
    }

    #[test]
    fn errors_say_where() {
        let mut reader = Reader::at(b"....[1,}", 4..8);
        let error = reader.list(|r, _| r.skip().map(drop)).unwrap_err();
        assert_eq!(error.to_string(), "failed to parse the request JSON buffer: expected value at byte 7");
        assert_eq!(Reader::new(br#" "abc" "#).excerpt(1), Ok("\"abc\"".into()));
    }

    #[test]
    fn depth_is_an_error_and_no_overflow() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(250_000), close.repeat(250_000));
            let error = Reader::new(deep.as_bytes()).skip().unwrap_err();
            assert!(error.to_string().contains("recursion limit exceeded"), "{error}");
        }
    }
}
