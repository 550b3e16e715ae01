//! Servers that answer, and servers that do not.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pointsman_core::{Datatype, InputTensor, Shape, Tensor};
use pointsman_registry::ExpectedOutput;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;
use crate::call::fixture::{Served, endpoint, json, predict, run, serve};
use crate::call::input::{Expected, Input};
use crate::call::kind::{Body, Form, Kind};
use crate::call::model::Model;
use crate::client::answer::{BODY_BYTES_MAX, HEAD_BYTES_MAX};

const TRANSPORTS: [Transport; 3] = [Transport::Http1, Transport::Http2, Transport::Grpc];

const WIRING: Wiring =
    Wiring { connections: 1, streams: 1, timeout: Duration::from_secs(20), manner: Manner::Normal };

/// A wiring of little patience.
const HASTY: Wiring = Wiring { timeout: Duration::from_millis(50), ..WIRING };

fn tensor(dims: &[u64], values: Vec<f32>) -> Tensor {
    Tensor::from_vec(Datatype::Fp32, Shape::new(dims).expect("small"), values).expect("it fits")
}

/// A call to model `m`, whose right answer is known.
async fn call(endpoint: &Endpoint, transport: Transport, right: f32) -> Call {
    let model = Model::read(endpoint, "m", None).await.expect("it is there");
    prepared(endpoint, &model, transport, right)
}

fn prepared(endpoint: &Endpoint, model: &Model, transport: Transport, right: f32) -> Call {
    let output = ExpectedOutput { name: "y".into(), tensor: tensor(&[1], vec![right]) };
    let input = Input {
        id: "7".into(),
        tensors: vec![InputTensor { name: "x".into(), tensor: tensor(&[1, 2], vec![1.0, 2.0]) }],
        expected: Some(Expected { outputs: vec![output], rtol: 0.0, atol: 0.0 }),
        ..Input::default()
    };
    let kind = Kind { form: Form::V2, transport, body: Body::Binary };
    Call::prepare(endpoint, model, kind, &input).expect("it can be said")
}

/// A call to a server that says nothing of its models.
fn unread(endpoint: &Endpoint, transport: Transport) -> Call {
    let model = Model { name: "m".into(), version: None, signature: pointsman_core::Signature::default() };
    prepared(endpoint, &model, transport, 0.5)
}

async fn connect(endpoint: &Endpoint, transport: Transport, wiring: Wiring) -> Connections {
    Connections::open(endpoint, transport, &wiring, Clock::start()).await.expect("it can be reached")
}

/// The code of a request that was lost.
fn lost(sent: Sent) -> String {
    match sent.verdict {
        Verdict::Lost(fault) => fault.code.into_owned(),
        other => panic!("{other}"),
    }
}

#[test]
fn calls_are_judged_over_each_transport() {
    run(async {
        let Served { endpoint, .. } = serve(|path| async move { predict(&path) }).await;
        for transport in TRANSPORTS {
            let connections = connect(&endpoint, transport, WIRING).await;
            let (right, wrong) =
                (call(&endpoint, transport, 0.5).await, call(&endpoint, transport, 0.25).await);
            for _ in 0..2 {
                let sent = connections.send(&right).await;
                assert_eq!((sent.verdict, sent.version), (Verdict::Right, Some(3)), "{transport:?}");
                let verdict = connections.send(&wrong).await.verdict.to_string();
                assert!(verdict.starts_with("wrong, wrong values: output y"), "{transport:?}: {verdict}");
            }
            let other = TRANSPORTS[(transport as usize + 1) % 2];
            let sent = connections.send(&call(&endpoint, other, 0.5).await).await;
            assert!(transport == Transport::Grpc || lost(sent) == "unsent", "{transport:?}");
        }
    });
}

#[test]
fn a_server_that_is_not_there_or_does_not_speak_is_told() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let mute = endpoint(listener.local_addr().expect("an address"));
        for transport in [Transport::Http1, Transport::Http2] {
            let connections = connect(&mute, transport, HASTY).await;
            assert_eq!(lost(connections.send(&unread(&mute, transport)).await), "timeout", "{transport:?}");
        }
        drop(listener);
        for transport in TRANSPORTS {
            let refused = Connections::open(&mute, transport, &WIRING, Clock::start()).await;
            assert!(refused.is_err(), "{transport:?}");
        }
        let nowhere = Endpoint { http: None, grpc: None, host: "h:80".into() };
        let opened = Connections::open(&nowhere, Transport::Grpc, &WIRING, Clock::start()).await;
        assert!(opened.expect_err("there is no listener").contains("no listener for Grpc"));
    });
}

#[test]
fn a_connection_that_breaks_is_lost_and_made_again() {
    for transport in TRANSPORTS {
        run(async {
            let Served { endpoint: good, .. } = serve(|path| async move { predict(&path) }).await;
            let target =
                if transport == Transport::Grpc { good.grpc } else { good.http }.expect("it listens");
            // Stands before the server, and cuts its first connection once a whole request came on it.
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let cutting = endpoint(listener.local_addr().expect("an address"));
            tokio::spawn(async move {
                let (mut first, _) = listener.accept().await.expect("a connection");
                let (end, mut sent) = (2.0_f32.to_le_bytes(), Vec::new());
                while !sent.windows(end.len()).any(|bytes| bytes == end) {
                    first.read_buf(&mut sent).await.expect("it sends");
                }
                drop(first);
                let (mut second, _) = listener.accept().await.expect("another connection");
                let mut server = tokio::net::TcpStream::connect(target).await.expect("it listens");
                let _ = tokio::io::copy_bidirectional(&mut second, &mut server).await;
            });
            let connections = connect(&cutting, transport, WIRING).await;
            let model = Model::read(&good, "m", None).await.expect("it is there");
            let call = prepared(&cutting, &model, transport, 0.5);
            assert_eq!(lost(connections.send(&call).await), "connection", "{transport:?}");
            assert_eq!(connections.send(&call).await.verdict, Verdict::Right, "{transport:?}");
        });
    }
}

#[test]
fn requests_wait_for_a_free_place() {
    for (transport, streams) in [(Transport::Http1, 1), (Transport::Http2, 2), (Transport::Grpc, 2)] {
        run(async {
            let (arrived, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let (bell, door) = (arrived.clone(), gate.clone());
            let Served { endpoint, connections: taken } = serve(move |path: String| {
                let (bell, door) = (bell.clone(), door.clone());
                async move {
                    bell.add_permits(1);
                    let _ = door.acquire().await;
                    predict(&path)
                }
            })
            .await;
            let clock = Clock::start();
            let wiring = Wiring { connections: 2, streams, ..WIRING };
            let connections = Connections::open(&endpoint, transport, &wiring, clock).await;
            let connections = std::rc::Rc::new(connections.expect("it can be reached"));
            let call = unread(&endpoint, transport);
            let places = 2 * streams;
            let send = |_| {
                let (connections, call) = (connections.clone(), call.clone());
                tokio::task::spawn_local(async move { connections.send(&call).await })
            };
            let sends: Vec<_> = (0..=places).map(send).collect();
            let all = u32::try_from(places).expect("few");
            drop(arrived.acquire_many(all).await.expect("they arrive"));
            let opened = clock.now();
            gate.add_permits(Semaphore::MAX_PERMITS / 2);
            let mut left = Vec::new();
            for send in sends {
                let sent = send.await.expect("it ends");
                assert_eq!(sent.verdict, Verdict::Right, "{transport:?}");
                left.push(sent.at);
            }
            assert_eq!(
                left.iter().filter(|&&at| at >= opened).count(),
                1,
                "{transport:?}: {left:?}, {opened:?}"
            );
            assert_eq!(taken.load(Ordering::Relaxed), 2, "{transport:?}");
        });
    }
}

#[test]
fn a_request_that_finds_no_place_in_time_is_unsent() {
    run(async {
        let Served { endpoint, .. } = serve(|path| async move { predict(&path) }).await;
        for transport in TRANSPORTS {
            let connections = connect(&endpoint, transport, HASTY).await;
            let call = call(&endpoint, transport, 0.5).await;
            match &connections.lines {
                Lines::Http1(pool) => {
                    let taken = pool.take().await.expect("it is free");
                    assert_eq!(lost(connections.send(&call).await), "unsent");
                    taken.put_back();
                }
                Lines::Http2(streams) => {
                    let _place = streams.take().await.expect("it is free");
                    assert_eq!(lost(connections.send(&call).await), "unsent");
                }
            }
            assert_eq!(connections.send(&call).await.verdict, Verdict::Right, "{transport:?}");
        }
    });
}

#[test]
fn answers_over_http_2_have_limits() {
    run(async {
        let Served { endpoint, .. } = serve(|path: String| async move {
            let mut answer = json("");
            if path.ends_with("long") {
                answer = json(&"x".repeat(BODY_BYTES_MAX + 1));
            } else {
                let value = "x".repeat(HEAD_BYTES_MAX).parse().expect("a value");
                answer.headers_mut().insert("x", value);
            }
            answer
        })
        .await;
        for (path, said) in [("/long", "length limit exceeded"), ("/head", "stream error")] {
            let address = endpoint.http.expect("it listens");
            let connection = http2::open(address, Manner::Normal).await.expect("it listens");
            let request = http2::post(&endpoint.host, path, http::HeaderMap::new(), bytes::Bytes::new());
            let error = http2::exchange(connection, &request.expect("a request")).await.expect_err(path);
            assert!(error.contains(said), "{path}: {error}");
        }
    });
}

#[test]
fn a_client_that_vanishes_is_seen_to_go() {
    // HTTP/1.1: the connection is closed.
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let endpoint = endpoint(listener.local_addr().expect("an address"));
        let wiring = Wiring { manner: Manner::Vanish { after: Duration::ZERO }, ..WIRING };
        let connections = connect(&endpoint, Transport::Http1, wiring).await;
        let call = unread(&endpoint, Transport::Http1);
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut sent = Vec::new();
            stream.read_to_end(&mut sent).await.expect("it goes");
            sent
        };
        let (sent, request) = tokio::join!(connections.send(&call), server);
        assert_eq!(lost(sent), "vanished");
        assert!(request.ends_with(&2.0_f32.to_le_bytes()), "the whole request was sent");
    });
    // HTTP/2 and gRPC: the stream is reset, which drops what the server does for it.
    for transport in [Transport::Http2, Transport::Grpc] {
        run(async {
            let dropped = Arc::new(Semaphore::new(0));
            struct Tell(Arc<Semaphore>);
            impl Drop for Tell {
                fn drop(&mut self) {
                    self.0.add_permits(1);
                }
            }
            let tell = dropped.clone();
            let Served { endpoint, .. } = serve(move |_| {
                let tell = Tell(tell.clone());
                async move {
                    std::future::pending::<()>().await;
                    drop(tell);
                    json("")
                }
            })
            .await;
            let wiring = Wiring { manner: Manner::Vanish { after: Duration::from_millis(20) }, ..WIRING };
            let connections = connect(&endpoint, transport, wiring).await;
            assert_eq!(lost(connections.send(&unread(&endpoint, transport)).await), "vanished");
            let told = tokio::time::timeout(Duration::from_secs(20), dropped.acquire()).await;
            assert!(told.is_ok(), "{transport:?}");
        });
    }
}

#[test]
fn slow_clients_get_their_answers_in_the_end() {
    run(async {
        let Served { endpoint, .. } = serve(|path| async move { predict(&path) }).await;
        for transport in TRANSPORTS {
            let call = call(&endpoint, transport, 0.5).await;
            for (manner, least) in [
                (Manner::SlowSend { bytes_per_second: 2000 }, 50),
                (Manner::SlowRead { bytes_per_second: 2000 }, 50),
            ] {
                let clock = Clock::start();
                let wiring = Wiring { manner, ..WIRING };
                let connections = Connections::open(&endpoint, transport, &wiring, clock).await;
                let sent = connections.expect("it can be reached").send(&call).await;
                assert_eq!(sent.verdict, Verdict::Right, "{transport:?} {manner:?}");
                let took = clock.now() - sent.at;
                assert!(took >= Duration::from_millis(least), "{transport:?} {manner:?}: {took:?}");
            }
        }
    });
}
