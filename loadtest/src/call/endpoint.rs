//! Where a server is.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long one of several addresses may take to accept a connection.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The listeners of a server, and the name that requests call it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// REST.
    pub(crate) http: Option<SocketAddr>,
    /// gRPC.
    pub(crate) grpc: Option<SocketAddr>,
    /// `Host` and `:authority`.
    pub(crate) host: String,
}

impl Endpoint {
    /// The listener at a URL such as `http://localhost:8000`, for REST or for gRPC.
    ///
    /// # Errors
    /// What in it cannot be used.
    pub(crate) fn at(url: &str, grpc: bool) -> Result<Self, String> {
        let host = authority(url)?;
        let addresses = host.to_socket_addrs().map_err(|e| format!("{url}: {e}"))?;
        let address =
            listening(addresses.collect()).ok_or_else(|| format!("{url}: the name has no address"))?;
        let (http, grpc) = if grpc { (None, Some(address)) } else { (Some(address), None) };
        Ok(Self { http, grpc, host: host.into() })
    }
}

/// The first of a name's addresses that takes a connection: `localhost` may be two, of which a server
/// listens on one. The first of all where none does, so that the caller is told why.
fn listening(addresses: Vec<SocketAddr>) -> Option<SocketAddr> {
    let takes = |address: &&SocketAddr| TcpStream::connect_timeout(address, PROBE_TIMEOUT).is_ok();
    match addresses.as_slice() {
        [_] => addresses.first(),
        several => several.iter().find(takes).or(several.first()),
    }
    .copied()
}

/// Host and port of a URL.
fn authority(url: &str) -> Result<&str, String> {
    let rest = match url.split_once("://") {
        Some(("http" | "grpc", rest)) => rest,
        None => url,
        Some((scheme, _)) => {
            return Err(format!(
                "{url}: {scheme} is not spoken, name a listener without TLS as http://HOST:PORT"
            ));
        }
    };
    match rest.strip_suffix('/').unwrap_or(rest) {
        host if host.contains(['/', '?', '#', '@']) => {
            Err(format!("{url}: only host and port can be named, as http://HOST:PORT"))
        }
        host if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => Ok(host),
        _ => Err(format!("{url}: the port is missing, as in http://HOST:8000")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn of_several_addresses_that_which_listens_is_taken() {
        let address = |listener: &TcpListener| listener.local_addr().expect("an address");
        let (open, closed) = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a listener")).into();
        let (open_at, closed_at) = (address(&open), address(&closed));
        drop(closed);
        assert_eq!(listening(vec![closed_at, open_at]), Some(open_at));
        assert_eq!(listening(vec![closed_at, closed_at]), Some(closed_at));
        assert_eq!(listening(Vec::new()), None);
    }

    #[test]
    fn a_url_names_host_and_port() {
        let endpoint = Endpoint::at("http://127.0.0.1:8000/", false).expect("it is one");
        let address = "127.0.0.1:8000".parse().ok();
        assert_eq!(endpoint, Endpoint { http: address, grpc: None, host: "127.0.0.1:8000".into() });
        let endpoint = Endpoint::at("[::1]:8001", true).expect("it is one");
        assert_eq!((endpoint.http, endpoint.grpc), (None, "[::1]:8001".parse().ok()));
        for (url, said) in [
            ("https://127.0.0.1:8000", "without TLS"),
            ("http://127.0.0.1:8000/v2", "host and port"),
            ("http://u@127.0.0.1:8000", "host and port"),
            ("http://127.0.0.1", "port is missing"),
            ("http://127.0.0.1:99999", "port is missing"),
            ("", "port is missing"),
        ] {
            let error = Endpoint::at(url, false).expect_err(url);
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
