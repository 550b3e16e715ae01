//! One cookie out of the lines of the header `cookie` (RFC 6265, section 4.2.1).

/// The value of the first cookie of that name, as it came: quotes are part of it.
pub(crate) fn find<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    line.split(|b| *b == b';').find_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        (pair[..at].trim_ascii() == name.as_bytes()).then(|| pair[at + 1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let line = b"theme=dark; uid=u-17==; xuid=no; uid=second; flag; empty=; quoted=\"a b\"";
        let found = |name| find(line, name);
        assert_eq!(found("uid"), Some(&b"u-17=="[..]));
        assert_eq!(found("theme"), Some(&b"dark"[..]));
        assert_eq!(found("empty"), Some(&b""[..]));
        assert_eq!(found("quoted"), Some(&b"\"a b\""[..]));
        assert_eq!((found("flag"), found("UID"), found("id")), (None, None, None));
        for odd in [&b""[..], b";;;", b"=", b"=x", b"uid", b"\xff\xfe=\x80"] {
            assert_eq!(find(odd, "uid"), None, "{odd:?}");
        }
        let many = "a=b;".repeat(10_000) + "uid=last";
        assert_eq!(find(many.as_bytes(), "uid"), Some(&b"last"[..]));
    }
}
