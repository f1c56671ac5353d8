//! Where to connect to, as people write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A host name or IP address with an optional port, as `aws iot describe-endpoint --endpoint-type iot:Data-ATS` prints
/// it: `abc-ats.iot.eu-west-1.amazonaws.com`, `localhost:8883`, `[::1]:8883`.
///
/// It is parsed from text: spaces around it and a dot at the end are passed over, a scheme or a path is an error.
///
/// ```
/// use iot_transport::Address;
///
/// let address: Address = "ABC-ats.iot.eu-west-1.amazonaws.com:443".parse()?;
/// assert_eq!((address.host(), address.port()), ("abc-ats.iot.eu-west-1.amazonaws.com", Some(443)));
/// # Ok::<(), iot_transport::InvalidAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: Option<u16>,
}

/// Why a string is no endpoint. Says what was given, unless it may be a URL with a password or a signature in it, and what
/// is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidAddress {
    given: String,
    why: &'static str,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not an endpoint: {}; give a host name such as abc-ats.iot.eu-west-1.amazonaws.com, which `aws iot \
             describe-endpoint --endpoint-type iot:Data-ATS` prints",
            self.given, self.why
        )
    }
}

impl std::error::Error for InvalidAddress {}

impl Address {
    /// The host name in lower case, or the address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if the string had one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => crate::Endpoint::new(self.host.as_str(), port).fmt(f),
            None => f.write_str(&self.host),
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(given: &str) -> Result<Self, InvalidAddress> {
        parse(given.trim())
            .map_err(|why| InvalidAddress { given: printable(given).chars().take(100).collect(), why })
    }
}

/// What may be shown of a text that should have been a host: a URL may have a password in it.
pub(crate) fn printable(host: &str) -> &str {
    if host.contains(['/', '@', '?']) { "a URL" } else { host }
}

fn parse(text: &str) -> Result<Address, &'static str> {
    if text.contains("://") {
        return Err("a URL's scheme does not belong in it");
    }
    if text.contains('/') {
        return Err("a path does not belong in it");
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok(Address { host: text.to_ascii_lowercase(), port: None });
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or("the bracket is not closed")?;
        host.parse::<Ipv6Addr>().map_err(|_| "what is in brackets is not an IPv6 address")?;
        match behind.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if behind.is_empty() => (host, None),
            None => return Err("there is something behind the bracket that is not a port"),
        }
    } else {
        match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port.map(str::parse::<u16>) {
        None => None,
        Some(Ok(port)) if port != 0 => Some(port),
        Some(_) => return Err("the port is not a number from 1 to 65535"),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.parse::<IpAddr>().is_err() {
        check_name(host)?;
    }
    Ok(Address { host: host.to_ascii_lowercase(), port })
}

/// A DNS name (RFC 1123, section 2.1).
fn check_name(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("the host is empty");
    }
    if host.len() > 253 {
        return Err("the host is longer than 253 characters");
    }
    for label in host.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err("a part of the host between dots is empty or longer than 63 characters");
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err("the host has a character that is no letter, digit, '-' or '_'");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, Option<u16>) {
        let endpoint: Address = text.parse().unwrap();
        (endpoint.host, endpoint.port)
    }

    #[test]
    fn names_addresses_and_ports_are_understood() {
        let name = "abc-ats.iot.eu-west-1.amazonaws.com";
        assert_eq!(parts(name), (name.into(), None));
        assert_eq!(parts(" ABC-ats.iot.eu-west-1.amazonaws.com. "), (name.into(), None));
        assert_eq!(parts("localhost:8883"), ("localhost".into(), Some(8883)));
        assert_eq!(parts("127.0.0.1:1"), ("127.0.0.1".into(), Some(1)));
        assert_eq!(parts("::1"), ("::1".into(), None));
        assert_eq!(parts("[::1]:443"), ("::1".into(), Some(443)));
    }

    #[test]
    fn what_is_no_endpoint_is_told_why() {
        for (text, why) in [
            ("", "empty"),
            ("https://a.b", "scheme"),
            ("a.b/mqtt", "path"),
            ("a.b:0", "port"),
            ("a.b:65536", "port"),
            ("a.b:x", "port"),
            ("a..b", "between dots"),
            ("a b", "character"),
            ("[::1", "bracket"),
            ("[::1]x", "bracket"),
            ("[a]", "IPv6"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!("a".repeat(300).parse::<Address>().is_err());
    }

    #[test]
    fn a_url_is_not_repeated() {
        for text in
            ["https://me:s3cret@a.b", "me:s3cret@a.b", "a.b/mqtt?X-Amz-Signature=s3cret", "a.b?t=s3cret"]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
            assert!(error.to_string().starts_with("\"a URL\" is not an endpoint"), "{error}");
        }
    }
}
