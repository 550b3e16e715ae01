//! V9: packed bodies in both directions; and HTTP/2 without TLS.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pointsman_tests::{request, v2};
use serde_json::json;

use super::{floats, start};

const PAIR: &str = "/v2/models/pair/infer";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// A request of many rows, its JSON and its tensor.
fn body(rows: usize) -> (usize, Vec<u8>) {
    let size = json!({"binary_data_size": rows * 8});
    let input = json!({"name": "x", "shape": [rows, 2], "datatype": "FP32", "parameters": size});
    let json = json!({"inputs": [input], "parameters": {"binary_data_output": true}}).to_string();
    (json.len(), [json.into_bytes(), floats(&vec![1.5; rows * 2])].concat())
}

#[test]
fn packed_requests_and_answers() {
    let gateway = start();
    let (length, plain) = body(1000);
    let length = length.to_string();
    for (encoding, packed) in [("gzip", gzip(&plain)), ("deflate", zlib(&plain)), ("identity", plain.clone())]
    {
        let headers = [("content-encoding", encoding), (v2::HEADER_LENGTH, length.as_str())];
        let answer = request("POST", gateway.http, PAIR, &headers, Some(&packed));
        assert_eq!(v2::outputs(&answer)[0].tensor.data()[..], floats(&[3.0; 2000]), "{encoding}");
        assert_eq!(answer.header("content-encoding"), None, "not asked for");
    }
    for (accept, expected) in [("gzip", "gzip"), ("deflate", "deflate"), ("gzip;q=0.1, deflate", "deflate")] {
        let headers = [("accept-encoding", accept), (v2::HEADER_LENGTH, length.as_str())];
        let mut answer = request("POST", gateway.http, PAIR, &headers, Some(&plain));
        assert_eq!(answer.header("content-encoding"), Some(expected), "{accept}");
        let mut unpacked = Vec::new();
        let read = match expected {
            "gzip" => GzDecoder::new(&answer.body[..]).read_to_end(&mut unpacked),
            _ => ZlibDecoder::new(&answer.body[..]).read_to_end(&mut unpacked),
        };
        read.expect("a sound stream");
        assert!(answer.body.len() < unpacked.len());
        answer.body = unpacked;
        assert_eq!(v2::outputs(&answer)[1].tensor.data()[..], floats(&[1.5; 2000]), "{accept}");
    }
    let (small_length, small) = body(1);
    let headers = [("accept-encoding", "gzip"), (v2::HEADER_LENGTH, &*small_length.to_string())];
    let answer = request("POST", gateway.http, PAIR, &headers, Some(&small));
    assert_eq!(answer.header("content-encoding"), None, "a small answer leaves as it is");
}

#[test]
fn packings_that_are_not_known_or_damaged() {
    let gateway = start();
    let (length, plain) = body(4);
    let length = length.to_string();
    let send = |encoding: &str, body: &[u8]| {
        let headers = [("content-encoding", encoding), (v2::HEADER_LENGTH, length.as_str())];
        request("POST", gateway.http, PAIR, &headers, Some(body))
    };
    for encoding in ["br", "zstd", "gzip, gzip"] {
        let answer = send(encoding, &plain);
        assert_eq!((answer.status, answer.error().1.as_str()), (415, "UNSUPPORTED_ENCODING"), "{encoding}");
        assert_eq!(answer.header("accept-encoding"), Some("gzip, deflate"), "{encoding}");
    }
    let packed = gzip(&plain);
    for body in [&plain[..], &packed[..packed.len() - 1], &[packed.as_slice(), b"x"].concat()] {
        assert_eq!((send("gzip", body).status, send("gzip", body).error().1.as_str()), (400, "BAD_REQUEST"));
    }
}

/// HTTP/2 with prior knowledge, on the port that speaks HTTP/1.1 as well.
#[tokio::test]
async fn http_2_without_tls() {
    let gateway = start();
    let socket = tokio::net::TcpStream::connect(gateway.http).await.expect("a connection");
    let io = TokioIo::new(socket);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let (length, plain) = body(2);
    for _ in 0..2 {
        let request = hyper::Request::post(format!("http://{}{PAIR}", gateway.http));
        let request = request.header(v2::HEADER_LENGTH, length);
        let request = request.body(Full::new(Bytes::from(plain.clone()))).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, hyper::Version::HTTP_2));
        assert_eq!(answer.headers()["pointsman-version"], "1");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert!(body.ends_with(&floats(&[3.0, 3.0, 3.0, 3.0, 1.5, 1.5, 1.5, 1.5])));
    }
    drop(sender);
    connection.await.expect("no panic").expect("a clean end");
}
