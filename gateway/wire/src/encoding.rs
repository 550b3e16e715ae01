//! Content codings of HTTP bodies: `gzip` and `deflate`, which is zlib's format (RFC 9110, 8.4.1).
//!
//! A body may unpack to a thousand times its size, so unpacking stops at a cap. One coding per
//! body: nested ones multiply the ratio and no client sends them.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use pointsman_core::PredictError;

use pointsman_core::shown;

/// Answers smaller than this leave as they are: every Python client announces gzip, and packing a
/// small body takes longer than sending it.
pub const COMPRESSED_BYTES_MIN: usize = 1024;

/// The window of a gzip stream, the largest that the format has.
const GZIP_WINDOW_BITS: u8 = 15;

/// A coding that this gateway writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950.
    Deflate,
}

impl Encoding {
    /// The value of `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The coding that a client prefers for an answer of `bytes`, from its `Accept-Encoding`.
    /// Nothing stands for the plain body: for small ones, where no coding is named, and where the
    /// client likes the plain body better.
    #[must_use]
    pub fn negotiate(accept: Option<&str>, bytes: usize) -> Option<Self> {
        if bytes < COMPRESSED_BYTES_MIN {
            return None;
        }
        let accept = accept?;
        let weight = |name: &str| weight(accept, name);
        let wildcard = weight("*").unwrap_or(0);
        let gzip = weight("gzip").or(weight("x-gzip")).unwrap_or(wildcard);
        let deflate = weight("deflate").unwrap_or(wildcard);
        let identity = weight("identity").unwrap_or(0);
        let (best, encoding) = if gzip >= deflate { (gzip, Self::Gzip) } else { (deflate, Self::Deflate) };
        (best > 0 && best >= identity).then_some(encoding)
    }
}

/// The weight of one coding in thousandths; nothing where it is not named.
fn weight(accept: &str, name: &str) -> Option<u16> {
    accept.split(',').find_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(name) {
            return None;
        }
        let q = parts.find_map(|p| p.strip_prefix("q=").or(p.strip_prefix("Q=")));
        // A weight that cannot be read is none at all: the plain body is always right.
        let q = q.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
        Some((q.clamp(0.0, 1.0) * 1000.0) as u16)
    })
}

/// Unpacks a request's body. `encoding` is its `Content-Encoding`; `max` bounds the result.
///
/// # Errors
/// [`PredictError::UnsupportedEncoding`] for other codings and for more than one,
/// [`PredictError::TooLarge`] past `max`, [`PredictError::BadRequest`] where the stream is damaged,
/// breaks off or has something behind its end.
pub fn decompress(encoding: Option<&str>, body: Bytes, max: usize) -> Result<Bytes, PredictError> {
    let name = encoding.unwrap_or_default().trim();
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if name.is_empty() || is("identity") {
        return if body.len() > max { Err(too_large(max)) } else { Ok(body) };
    }
    if is("gzip") || is("x-gzip") {
        inflate(Decompress::new_gzip(GZIP_WINDOW_BITS), "gzip", &body, max)
    } else if is("deflate") {
        inflate(Decompress::new(true), "deflate", &body, max)
    } else {
        Err(PredictError::UnsupportedEncoding { found: shown(name) })
    }
}

/// Bytes by which the unpacked body grows at first, and then doubles.
const GROWTH: usize = 16 << 10;

fn inflate(mut stream: Decompress, name: &str, body: &[u8], max: usize) -> Result<Bytes, PredictError> {
    let damaged = |why: &str| PredictError::BadRequest(format!("the {name} body {why}"));
    let mut out: Vec<u8> = Vec::new();
    let mut rest = body;
    loop {
        if out.len() == out.capacity() {
            // One byte more than allowed tells a body of exactly `max` from a longer one.
            let room = (max - out.len()).saturating_add(1);
            out.reserve_exact(out.len().max(GROWTH).min(room));
        }
        let (consumed, written) = (stream.total_in(), out.len());
        let status = stream.decompress_vec(rest, &mut out, FlushDecompress::None);
        let status = status.map_err(|_| damaged("is damaged"))?;
        let step = usize::try_from(stream.total_in() - consumed).unwrap_or(rest.len());
        rest = rest.get(step..).unwrap_or_default();
        if out.len() > max {
            return Err(too_large(max));
        }
        match status {
            Status::StreamEnd if rest.is_empty() => return Ok(Bytes::from(out)),
            Status::StreamEnd => return Err(damaged("has data behind its end")),
            _ if step == 0 && out.len() == written && out.len() < out.capacity() => {
                return Err(damaged("breaks off before its end"));
            }
            _ => {}
        }
    }
}

fn too_large(max: usize) -> PredictError {
    PredictError::TooLarge { what: "the body, unpacked,", limit: max, key: "limits.body_bytes_max" }
}

/// Packs an answer into one body. Speed goes before size: the network is near.
#[must_use]
pub fn compress(encoding: Encoding, segments: &[Bytes]) -> Bytes {
    let mut stream = match encoding {
        Encoding::Gzip => Compress::new_gzip(Compression::fast(), GZIP_WINDOW_BITS),
        Encoding::Deflate => Compress::new(Compression::fast(), true),
    };
    let mut out = Vec::with_capacity(segments.iter().map(Bytes::len).sum::<usize>() / 2 + 64);
    for segment in segments {
        let mut rest = &segment[..];
        while !rest.is_empty() {
            rest = step(&mut stream, rest, &mut out, FlushCompress::None).0;
        }
    }
    while step(&mut stream, &[], &mut out, FlushCompress::Finish).1 != Status::StreamEnd {}
    Bytes::from(out)
}

/// Feeds the compressor once, with room for its output; gives what it has not taken yet.
fn step<'i>(
    stream: &mut Compress,
    input: &'i [u8],
    out: &mut Vec<u8>,
    flush: FlushCompress,
) -> (&'i [u8], Status) {
    if out.capacity() - out.len() < GROWTH {
        out.reserve(GROWTH);
    }
    let consumed = stream.total_in();
    // Packing has no error of its own: flate2 gives one only for a stream used after its end.
    let status = stream.compress_vec(input, out, flush).unwrap_or(Status::StreamEnd);
    let taken = usize::try_from(stream.total_in() - consumed).unwrap_or(input.len());
    if taken == 0 && status == Status::StreamEnd {
        return (&[], status);
    }
    (input.get(taken..).unwrap_or_default(), status)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(encoding: Encoding, bytes: &[u8]) -> Bytes {
        compress(encoding, &[Bytes::copy_from_slice(bytes)])
    }

    #[test]
    fn bombs_stop_at_the_cap() {
        let zeros = vec![0_u8; 32 << 20];
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let bomb = packed(encoding, &zeros);
            assert!(bomb.len() < 1 << 20);
            let error = decompress(Some(encoding.name()), bomb.clone(), 1 << 20).unwrap_err();
            assert!(matches!(error, PredictError::TooLarge { limit: 1_048_576, .. }), "{error}");
            assert_eq!(
                decompress(Some(encoding.name()), bomb.clone(), zeros.len()).map(|b| b.len()),
                Ok(zeros.len())
            );
            assert!(decompress(Some(encoding.name()), bomb, zeros.len() - 1).is_err());
        }
        assert!(decompress(None, Bytes::from_static(b"four"), 3).is_err());
        assert!(decompress(Some("gzip"), packed(Encoding::Gzip, b""), 0).is_ok());
    }

    #[test]
    fn damaged_streams_are_refused() {
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let whole = packed(encoding, b"some text, some text, some text");
            let unpack = |body: Bytes| decompress(Some(encoding.name()), body, 1 << 20);
            for cut in 0..whole.len() {
                assert!(unpack(whole.slice(..cut)).is_err(), "{encoding:?} cut at {cut}");
            }
            let trailing = Bytes::from([&whole[..], b"x"].concat());
            assert!(unpack(trailing).unwrap_err().to_string().contains("data behind its end"));
            let twice = Bytes::from([&whole[..], &whole[..]].concat());
            assert!(unpack(twice).is_err());
            let mut flipped = whole.to_vec();
            let last = flipped.len() - 5;
            flipped[last] ^= 1;
            assert!(unpack(Bytes::from(flipped)).is_err(), "checksums are checked");
        }
    }

    #[test]
    fn other_codings_are_refused() {
        for name in ["br", "zstd", "gzip, gzip", "deflate,gzip", "gzip;q=1"] {
            let error = decompress(Some(name), Bytes::new(), 10).unwrap_err();
            assert!(matches!(error, PredictError::UnsupportedEncoding { .. }), "{name}");
        }
        for name in ["", "identity", " Identity "] {
            assert_eq!(decompress(Some(name), Bytes::from_static(b"x"), 10), Ok(Bytes::from_static(b"x")));
        }
        assert!(decompress(Some("X-GZIP"), packed(Encoding::Gzip, b"x"), 10).is_ok());
    }

    #[test]
    fn the_client_chooses() {
        use Encoding::{Deflate, Gzip};
        for (accept, expected) in [
            (None, None),
            (Some(""), None),
            (Some("identity"), None),
            (Some("gzip"), Some(Gzip)),
            (Some("gzip, deflate"), Some(Gzip)),
            (Some("gzip;q=0.5, deflate"), Some(Deflate)),
            (Some("GZIP; q=0.2 ,deflate;q=0.1"), Some(Gzip)),
            (Some("gzip;q=0"), None),
            (Some("*"), Some(Gzip)),
            (Some("*, gzip;q=0"), Some(Deflate)),
            (Some("br, zstd"), None),
            (Some("gzip;q=0.5, identity"), None),
            (Some("gzip;q=nonsense"), None),
        ] {
            assert_eq!(Encoding::negotiate(accept, 4096), expected, "{accept:?}");
        }
        assert_eq!(Encoding::negotiate(Some("gzip"), COMPRESSED_BYTES_MIN - 1), None);
    }

    proptest! {
        #[test]
        fn bodies_round_trip(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5000), 0..5)) {
            let whole = Bytes::from(parts.concat());
            let segments: Vec<Bytes> = parts.into_iter().map(Bytes::from).collect();
            for encoding in [Encoding::Gzip, Encoding::Deflate] {
                let back = decompress(Some(encoding.name()), compress(encoding, &segments), whole.len());
                prop_assert_eq!(back, Ok(whole.clone()));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in ["gzip", "deflate"] {
                let _ = decompress(Some(name), Bytes::from(body.clone()), 1000);
            }
        }
    }
}
