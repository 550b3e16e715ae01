//! Addresses of receivers, and which of them an allowed one covers.

use std::fmt;

use http::Uri;

/// The most bytes of an address.
const ADDRESS_BYTES_MAX: usize = 2048;

/// Where notices go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    /// Whether it is reached over TLS.
    pub(super) is_https: bool,
    /// In small letters; of an IPv6 address with its brackets.
    host: String,
    pub(super) port: u16,
    path: String,
    query: Option<String>,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without the address itself: its path may be what keeps strangers away.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(format!("an address has at most {ADDRESS_BYTES_MAX} bytes"));
        }
        if text.contains('#') {
            return Err("an address of a receiver has no fragment (#)".into());
        }
        let uri: Uri = text.parse().map_err(|e| format!("{e}"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("an address begins with https:// or http://".into()),
        };
        let authority = uri.authority().ok_or("an address names a host")?;
        let host = authority.host();
        if host.is_empty() {
            return Err("an address names a host".into());
        }
        if authority.as_str().contains('@') {
            return Err("an address holds no user or password: notices are signed instead".into());
        }
        // What the library takes for no port at all may be one for another reader.
        let port =
            match authority.as_str().strip_prefix(host).map(|rest| rest.strip_prefix(':').unwrap_or(rest)) {
                Some("") if is_https => 443,
                Some("") => 80,
                Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or("a port is 1 to 65535")?,
                None => return Err("an address names a host".into()),
            };
        if uri.path().split('/').any(leads_elsewhere) {
            return Err("a path has no segments `.` and `..`, and no encoded slashes".into());
        }
        Ok(Self {
            is_https,
            host: host.to_ascii_lowercase(),
            port,
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
        })
    }

    /// Reads an address of which everything below is allowed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse_allowed(text: &str) -> Result<Self, String> {
        let address = Self::parse(text)?;
        match address.query {
            None => Ok(address),
            Some(_) => {
                Err("an allowed address has no query (?): all queries of its paths are allowed".into())
            }
        }
    }

    /// Whether another address is below this one: the same scheme, host and port, and the same path or one that has
    /// further segments.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let prefix = self.path.trim_end_matches('/');
        let below = other.path.strip_prefix(prefix);
        (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
            && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The host as names are looked up: of an IPv6 address without its brackets.
    pub(super) fn host(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// The value of the header `Host`.
    pub(super) fn authority(&self) -> String {
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// What is asked for: the path with its query.
    pub(super) fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

/// Scheme and host alone: paths of receivers may hold what nobody else should know.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.host)
    }
}

/// Whether a server could take a segment for a way out of the path before it. Some cut segments at a semicolon.
fn leads_elsewhere(segment: &str) -> bool {
    let segment = segment.to_ascii_lowercase().replace("%2e", ".").replace("%3b", ";");
    let name = segment.split(';').next().unwrap_or_default();
    name == "." || name == ".." || ["%2f", "%5c", "\\"].iter().any(|slash| segment.contains(slash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(allowed: &str, address: &str) -> bool {
        let address = Address::parse(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        Address::parse_allowed(allowed).expect("an allowed address").covers(&address)
    }

    #[test]
    fn an_allowed_address_covers_its_path_and_what_is_below() {
        let allowed = "https://hooks.example.com/pointsman";
        for address in [
            "https://hooks.example.com/pointsman",
            "https://hooks.example.com/pointsman/",
            "https://hooks.example.com/pointsman/iris?team=a",
            "https://HOOKS.example.com:443/pointsman?x",
        ] {
            assert!(covers(allowed, address), "{address}");
            assert!(covers("https://hooks.example.com/pointsman/", address), "{address}");
            assert!(covers("https://hooks.example.com", address), "{address}");
        }
        for address in [
            "http://hooks.example.com/pointsman",
            "https://hooks.example.com:8443/pointsman",
            "https://hooks.example.com.evil.example/pointsman",
            "https://evil.example/pointsman",
            "https://hooks.example.com/pointsmanx",
            "https://hooks.example.com/",
            "https://hooks.example.com/Pointsman",
            "https://hooks.example.com./pointsman",
        ] {
            assert!(!covers(allowed, address), "{address}");
        }
        assert!(covers("http://[::1]:9000/a", "http://[::1]:9000/a/b"));
    }

    #[test]
    fn an_address_that_could_lead_elsewhere_is_none() {
        for address in [
            "https://a.example/pointsman/../admin",
            "https://a.example/pointsman/%2E%2e/admin",
            "https://a.example/pointsman/..;x/admin",
            "https://a.example/pointsman/..%3bx/admin",
            "https://a.example/pointsman/./admin",
            "https://a.example/pointsman%2F..%2Fadmin",
            "https://a.example/pointsman%5c..",
            "https://user:password@a.example/",
            "https://a.example@evil.example/",
            "https://a.example/#there",
            "https://a.example:0/",
            "https://a.example:99999/",
            "https://a.example:x/",
            "https://:443/",
            "https:///path",
            "ftp://a.example/",
            "a.example/path",
            "/path",
            "",
            "https://a.example/a b",
            "https://a.example/\r\nHost: b",
        ] {
            assert!(Address::parse(address).is_err(), "{address}");
        }
        assert!(Address::parse_allowed("https://a.example/?all").is_err());
        let with = |bytes: usize| format!("https://a.example/{}", "x".repeat(bytes - 18));
        assert!(Address::parse(&with(ADDRESS_BYTES_MAX)).is_ok());
        assert!(Address::parse(&with(ADDRESS_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn what_is_shown_of_an_address_has_no_path() {
        let address = Address::parse("http://[::1]:9000/secret?token=x").expect("an address");
        assert_eq!(address.to_string(), "http://[::1]");
        assert_eq!(address.host(), "::1");
        assert_eq!(address.authority(), "[::1]:9000");
        assert_eq!(address.target(), "/secret?token=x");
        assert_eq!(Address::parse("https://A.example").expect("one").authority(), "a.example");
        assert_eq!(Address::parse("https://A.example").expect("one").target(), "/");
    }
}
