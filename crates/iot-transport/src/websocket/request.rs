//! The upgrade request, what may be added to it, and what a refusal of it says.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;

use hyper::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::custom_authorizer::encoded;
use crate::http::Answer;
use crate::words::{Secrets, quoted};
use crate::{Attempt, ConnectError, ConnectErrorKind as Kind, Endpoint, Phase};

/// What lets an upgrade request pass: adds query parameters and headers to it, anew for each attempt.
///
/// `()` adds nothing.
pub trait Authorizer: Send + Sync + 'static {
    /// What [`refused`](Self::refused) needs to know of a request.
    type Proof: Send + Sync;

    /// Adds what the server asks for. Runs before anything is dialled; it is left at the attempt's deadline.
    ///
    /// # Errors
    ///
    /// A [`ConnectError`] of the phase [`Phase::Credentials`] that holds no secret.
    fn authorize(
        &self,
        request: &mut UpgradeRequest,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<Self::Proof, ConnectError>> + Send;

    /// Told of a refusal: what must not be used again can be forgotten here, and what the refusal most likely means and
    /// what to do about it can be said, in lower case and without a full stop. Default: nothing is said that the status
    /// would not say.
    fn refused(&self, proof: &Self::Proof, refusal: &Refusal<'_>) -> Option<String> {
        let _ = (proof, refusal);
        None
    }
}

impl Authorizer for () {
    type Proof = ();

    async fn authorize(&self, _: &mut UpgradeRequest, _: &Attempt) -> Result<(), ConnectError> {
        Ok(())
    }
}

/// A GET request that asks for a WebSocket. `Debug` shows host and path; values in query and headers are treated as
/// secrets: where an answer repeats one, it is not shown.
pub struct UpgradeRequest {
    host: String,
    port: Option<u16>,
    path: String,
    query: Zeroizing<String>,
    headers: HeaderMap,
    secrets: Secrets,
}

/// A request that is complete.
pub(super) struct Parts {
    pub(super) target: Zeroizing<String>,
    pub(super) host: String,
    /// Those that were added.
    pub(super) headers: HeaderMap,
    pub(super) secrets: Secrets,
}

impl UpgradeRequest {
    pub(super) fn new(endpoint: Option<&Endpoint>, path: &str) -> Result<Self, ConnectError> {
        let wrong = |reason: &str| ConnectError::new(Phase::Upgrade, Kind::Configuration, reason);
        let endpoint = endpoint
            .ok_or_else(|| wrong("the host to ask is not known: give the inner connector an endpoint"))?;
        if !path.starts_with('/') || path.contains(['?', '#']) || path.contains(char::is_whitespace) {
            return Err(wrong(
                "the path does not begin with a slash, or holds a query, a fragment or a space",
            ));
        }
        let host = match endpoint.host().parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => endpoint.host().trim_end_matches('.').to_ascii_lowercase(),
        };
        // Which port may be left out depends on TLS, which is not known here; one that need not be there does no harm
        // (RFC 9110, section 7.2). 443 without TLS is nobody's.
        let port = Some(endpoint.port()).filter(|port| *port != 443);
        Ok(Self {
            host,
            port,
            path: path.to_owned(),
            query: Zeroizing::default(),
            headers: HeaderMap::new(),
            secrets: Secrets::default(),
        })
    }

    /// The host in lower case, without a port; an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path, which begins with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Leaves the port out of the `Host` header, where it stands unless it is 443: for signatures over the bare host
    /// name.
    pub fn bare_host(&mut self) {
        self.port = None;
    }

    /// Adds a query parameter; name and value are percent-encoded. The value is treated as a secret.
    pub fn add_query(&mut self, name: &str, value: &str) {
        self.secrets.add(value);
        self.append(&encoded(name), &encoded(value));
    }

    /// Adds a query parameter whose value is no secret.
    #[cfg(feature = "sigv4")]
    pub(crate) fn add_public_query(&mut self, name: &str, value: &str) {
        self.append(&encoded(name), &encoded(value));
    }

    /// Adds a query parameter that is encoded already; its value is kept as a secret if it is one.
    pub(crate) fn add_encoded_query(&mut self, name: &str, value: &str, secret: bool) {
        if secret {
            self.secrets.add(value);
        }
        self.append(name, value);
    }

    fn append(&mut self, name: &str, value: &str) {
        let separator = if self.query.is_empty() { "" } else { "&" };
        // The old one is wiped, where one that grows would be left behind.
        self.query = Zeroizing::new([self.query.as_str(), separator, name, "=", value].concat());
    }

    /// Adds a header, whose value is treated as a secret.
    ///
    /// # Errors
    ///
    /// Name or value is not one that HTTP can carry, or the header belongs to the upgrade itself.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<(), ConnectError> {
        self.add_public_header(name, value)?;
        self.secrets.add(value);
        Ok(())
    }

    /// Adds a header whose value is no secret.
    pub(crate) fn add_public_header(&mut self, name: &str, value: &str) -> Result<(), ConnectError> {
        let wrong = |what: &str| {
            let shown: String = name.chars().take(50).collect();
            ConnectError::new(
                Phase::Credentials,
                Kind::Configuration,
                format!("the header {shown:?} cannot be sent: {what}"),
            )
        };
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong("its name has a character that no header's may have"))?;
        let own = ["host", "connection", "upgrade", "content-length", "transfer-encoding"];
        if own.contains(&name.as_str()) || name.as_str().starts_with("sec-websocket-") {
            return Err(wrong("it belongs to the upgrade itself"));
        }
        let mut value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| wrong("its value has a control character, a line break perhaps"))?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(())
    }

    pub(super) fn into_parts(self) -> Parts {
        let Self { host, port, path, query, headers, secrets } = self;
        let target =
            Zeroizing::new(if query.is_empty() { path } else { [&path, "?", query.as_str()].concat() });
        let host = match port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        Parts { target, host, headers, secrets }
    }
}

impl fmt::Debug for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeRequest")
            .field("host", &self.host)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A server's answer that is not the upgrade asked for. `Debug` shows status and message.
pub struct Refusal<'a> {
    status: u16,
    headers: &'a HeaderMap,
    secrets: &'a Secrets,
    message: Option<String>,
}

impl<'a> Refusal<'a> {
    pub(super) fn new(answer: &'a Answer, secrets: &'a Secrets) -> Self {
        let message = message(&answer.body, secrets);
        Self { status: answer.status.as_u16(), headers: &answer.headers, secrets, message }
    }

    /// The HTTP status, 200 to 599 other than 101.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The server's own words, if its body has some: one line of at most 300 characters, without queries. A body that
    /// repeats what was added to the request is not shown.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// A header's value, if it is there and text. It may repeat what was sent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A header's value, fit to be shown.
    pub(super) fn quoted_header(&self, name: &str) -> Option<String> {
        quoted(self.header(name)?, self.secrets)
    }

    /// The server's clock when it answered, as the `Date` header has it (RFC 9110, section 6.6.1).
    #[must_use]
    pub fn date(&self) -> Option<&str> {
        self.header(DATE.as_str())
    }
}

impl fmt::Debug for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

/// What a body says: the member `message` of a JSON object, as AWS has it, or the text itself.
fn message(body: &[u8], secrets: &Secrets) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    quoted(json_message(&text).unwrap_or(&text), secrets)
}

/// The text of `"message": "..."`. No JSON parser is pulled in for words that people read; escapes are left as they
/// stand.
fn json_message(text: &str) -> Option<&str> {
    let text = text.trim_start().strip_prefix('{')?;
    let at = ["\"message\"", "\"Message\""].iter().find_map(|key| text.split_once(key))?.1;
    let value = at.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let mut escaped = false;
    let end = value.find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })?;
    value.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusals_words_are_found_in_json_and_in_text() {
        for (body, said) in [
            (r#"{"message":"Forbidden","traceId":"1"}"#, Some("Forbidden")),
            (r#" { "traceId": "1", "message" : "say \"hi\" \\" }"#, Some(r#"say \"hi\" \\"#)),
            (r#"{"Message":"No"}"#, Some("No")),
            (r#"{"message":7}"#, Some(r#"{"message":7}"#)),
            (r#"{"message":"never ends"#, Some(r#"{"message":"never ends"#)),
            (" \n ", None),
            ("", None),
        ] {
            assert_eq!(message(body.as_bytes(), &Secrets::default()).as_deref(), said, "{body}");
        }
        assert!(message(&[0xff, b'x'], &Secrets::default()).unwrap().ends_with('x'));
    }

    #[test]
    fn a_host_header_has_the_port_unless_it_is_that_of_tls_or_must_be_bare() {
        let host = |host: &str, port, bare: bool| {
            let mut request = UpgradeRequest::new(Some(&Endpoint::new(host, port)), "/mqtt").unwrap();
            if bare {
                request.bare_host();
            }
            request.into_parts().host
        };
        assert_eq!(host("Broker.Example.", 443, false), "broker.example");
        assert_eq!(host("broker.example", 80, false), "broker.example:80");
        assert_eq!(host("broker.example", 8443, false), "broker.example:8443");
        assert_eq!(host("broker.example", 8443, true), "broker.example");
        assert_eq!(host("::1", 8443, false), "[::1]:8443");
    }

    #[test]
    fn what_is_added_is_encoded_checked_and_not_shown() {
        let mut request = UpgradeRequest::new(Some(&Endpoint::new("h", 443)), "/mqtt").unwrap();
        request.add_query("a b", "x/y+z=");
        request.add_query("n", "~-._");
        request.add_header("x-token", "s3cret").unwrap();
        assert!(!format!("{request:?}").contains("s3cret"));
        for (name, value, why) in [
            ("x token", "v", "name"),
            ("x", "line\r\nbreak", "line break"),
            ("Host", "other", "upgrade itself"),
            ("Sec-WebSocket-Key", "k", "upgrade itself"),
        ] {
            let error = request.add_header(name, value).unwrap_err();
            assert!(error.reason().contains(why) && !error.is_retryable(), "{error}");
            assert!(!error.to_string().contains(value) || value == "v" || value == "k", "{error}");
        }
        assert_eq!(request.into_parts().target.as_str(), "/mqtt?a%20b=x%2Fy%2Bz%3D&n=~-._");
    }

    #[test]
    fn a_path_or_host_that_cannot_be_asked_for_is_told() {
        for path in ["mqtt", "/a?b", "/a#b", "/a b"] {
            assert!(UpgradeRequest::new(Some(&Endpoint::new("h", 1)), path).is_err(), "{path}");
        }
        let error = UpgradeRequest::new(None, "/mqtt").unwrap_err();
        assert!(error.reason().contains("endpoint") && !error.is_retryable());
    }
}
