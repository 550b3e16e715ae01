//! The outline of a text in protobuf's text format: which fields stand where.
//!
//! The library that reads the values knows its schema alone: it stops at the first field that it
//! does not know, and does not say where. So the fields are found first, those outside the schema
//! are taken out and named, and the nesting is bounded (the library's own reading recurses). It also
//! wants the colon of `input: [`, which Triton's own examples leave out: it is put in.

use std::ops::Range;

use prost_reflect::{Kind, MessageDescriptor};

/// The deepest nesting. Triton's own files have four levels.
const DEPTH_MAX: usize = 32;

/// A text with only the fields that its schema has.
pub(super) struct Outline {
    /// The top-level fields, each with the line that it starts on.
    pub(super) fields: Vec<(usize, String)>,
    /// Dotted names of the fields taken out, each once.
    pub(super) unknown: Vec<String>,
}

/// Where the text breaks off, as a line number, and why.
pub(super) struct Broken {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

/// Finds the fields of `text` and takes out those that `schema` does not have.
pub(super) fn outline(text: &str, schema: &MessageDescriptor) -> Result<Outline, Broken> {
    let mut reader = Reader { text, at: 0, unknown: Vec::new(), edits: Vec::new() };
    let line = |at: usize| text.bytes().take(at).filter(|&b| b == b'\n').count() + 1;
    let mut fields = Vec::new();
    loop {
        reader.skip_space();
        if reader.peek().is_none() {
            return Ok(Outline { fields, unknown: reader.unknown });
        }
        let start = reader.at;
        if let Err(what) = reader.field(Some(schema), "", 0) {
            return Err(Broken { line: line(reader.at), what });
        }
        fields.push((line(start), reader.edited(start)));
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    unknown: Vec<String>,
    /// What replaces ranges of the text, in ascending order.
    edits: Vec<(Range<usize>, &'static str)>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The text from `start` to here with its edits made.
    fn edited(&mut self, start: usize) -> String {
        let mut edited = String::new();
        let mut from = start;
        for (range, replacement) in self.edits.drain(..) {
            edited.push_str(self.text.get(from..range.start).unwrap_or_default());
            edited.push_str(replacement);
            from = range.end;
        }
        edited.push_str(self.text.get(from..self.at).unwrap_or_default());
        edited
    }

    /// Takes the next byte where it is `wanted`, after space and comments.
    fn take(&mut self, wanted: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => self.skip_while(|b| b != b'\n'),
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c => self.at += 1,
                _ => break,
            }
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    /// One field with its value and the separator behind it. Without a schema it lies inside a
    /// field that is taken out already.
    fn field(
        &mut self,
        schema: Option<&MessageDescriptor>,
        within: &str,
        depth: usize,
    ) -> Result<(), &'static str> {
        let start = self.at;
        let name = self.name()?;
        let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        let field = schema.and_then(|schema| schema.get_field_by_name(&name));
        let inner = field.as_ref().map(prost_reflect::FieldDescriptor::kind);
        let inner = inner.as_ref().and_then(Kind::as_message);
        let colon = self.take(b':');
        self.skip_space();
        match self.peek() {
            Some(b'[') if !colon && field.is_some() => self.edits.push((self.at..self.at, ":")),
            Some(b'{' | b'<' | b'[') => {}
            _ if colon => {}
            _ => return Err("expected ':' or '{' after a field's name"),
        }
        self.value(inner, &path, depth)?;
        if !self.take(b',') {
            self.take(b';');
        }
        if schema.is_some() && field.is_none() {
            self.edits.push((start..self.at, " "));
            if !self.unknown.contains(&path) {
                self.unknown.push(path);
            }
        }
        Ok(())
    }

    fn name(&mut self) -> Result<String, &'static str> {
        let start = self.at;
        if self.take(b'[') {
            // An extension or an `Any`: Triton's configuration has neither.
            self.skip_while(|b| b != b']' && b != b'\n');
            if !self.take(b']') {
                return Err("expected ']' after an extension's name");
            }
        } else {
            self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_');
        }
        if self.at == start {
            return Err("expected a field's name");
        }
        Ok(self.text.get(start..self.at).unwrap_or_default().to_owned())
    }

    fn value(
        &mut self,
        schema: Option<&MessageDescriptor>,
        path: &str,
        depth: usize,
    ) -> Result<(), &'static str> {
        if depth >= DEPTH_MAX {
            return Err("is nested too deep");
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.message(schema, path, depth, b'}'),
            Some(b'<') => self.message(schema, path, depth, b'>'),
            Some(b'[') => self.list(schema, path, depth),
            Some(b'"' | b'\'') => self.strings(),
            _ => {
                let start = self.at;
                self.skip_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+' | b'.'));
                if self.at > start { Ok(()) } else { Err("expected a value") }
            }
        }
    }

    fn message(
        &mut self,
        schema: Option<&MessageDescriptor>,
        path: &str,
        depth: usize,
        end: u8,
    ) -> Result<(), &'static str> {
        self.at += 1;
        while !self.take(end) {
            if self.peek().is_none() {
                return Err("ends inside a block: a closing '}' is missing");
            }
            self.field(schema, path, depth + 1)?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        schema: Option<&MessageDescriptor>,
        path: &str,
        depth: usize,
    ) -> Result<(), &'static str> {
        self.at += 1;
        while !self.take(b']') {
            self.value(schema, path, depth + 1)?;
            if !self.take(b',') {
                return if self.take(b']') { Ok(()) } else { Err("expected ',' or ']' in a list") };
            }
        }
        Ok(())
    }

    /// One or more quoted strings, which stand for their concatenation.
    fn strings(&mut self) -> Result<(), &'static str> {
        while let Some(quote @ (b'"' | b'\'')) = self.peek() {
            self.at += 1;
            loop {
                match self.peek() {
                    None | Some(b'\n') => return Err("ends inside a string: a closing quote is missing"),
                    Some(b'\\') => self.at = (self.at + 2).min(self.text.len()),
                    Some(byte) => {
                        self.at += 1;
                        if byte == quote {
                            break;
                        }
                    }
                }
            }
            self.skip_space();
        }
        Ok(())
    }
}
