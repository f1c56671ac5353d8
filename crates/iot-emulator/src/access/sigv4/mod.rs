//! Signature Version 4, verified: written from the algorithm, and shared with no signer. It comes in a query, as for
//! WebSockets, or in the header `Authorization`, as for requests to the data plane.
//!
//! As AWS IoT Core takes it in a query, the session token is *not* signed: it is left out of the canonical query, wherever
//! it stands. In a header it is signed, like all headers of AWS's own.

mod canonical;
mod header;
mod query;
mod refusal;

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST};
use ring::digest::{SHA256, digest};
use ring::hmac;

use super::credentials::AwsCredentials;
use super::date::parse_basic;

pub(crate) use query::{Parameter, decoded, parameters};
pub(crate) use refusal::Refusal;

const ALGORITHM: &str = "X-Amz-Algorithm";
const CREDENTIAL: &str = "X-Amz-Credential";
const DATE: &str = "X-Amz-Date";
const EXPIRES: &str = "X-Amz-Expires";
const SIGNED_HEADERS: &str = "X-Amz-SignedHeaders";
const SIGNATURE: &str = "X-Amz-Signature";
const TOKEN: &str = "X-Amz-Security-Token";

const HMAC_SHA256: &str = "AWS4-HMAC-SHA256";

/// What WebSocket connections and requests for shadows are signed for. `iotdata` is what the first SDK for Python says.
const SERVICES: [&str; 2] = ["iotdevicegateway", "iotdata"];

/// The longest that a signature can be made for: a week.
const MAX_EXPIRES: u64 = 604_800;

/// A request as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignedRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a [Parameter],
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What a signature has to fit.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    pub(crate) region: String,
    /// How far the date may be away from now, either way.
    pub(crate) window: Duration,
}

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Query,
    Header,
}

/// The parameters of a signature, each there once.
struct Signature<'a> {
    place: Place,
    key: &'a str,
    /// `20240115/us-east-1/iotdevicegateway/aws4_request`
    scope: [&'a str; 4],
    /// In the form that is signed.
    date: Cow<'a, str>,
    signed_at: SystemTime,
    expires: Option<Duration>,
    signed_headers: &'a str,
    bytes: [u8; 32],
    token: Option<&'a str>,
}

impl<'a> SignedRequest<'a> {
    /// Whether the query has anything of a signature.
    pub(crate) fn is_signed(&self) -> bool {
        [ALGORITHM, CREDENTIAL, SIGNATURE].iter().any(|name| self.query.iter().any(|p| p.name == *name))
    }

    /// Whether there is a header for one.
    pub(crate) fn has_authorization(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }

    fn signature(&self) -> Result<Signature<'a>, Refusal> {
        match self.is_signed() {
            false if self.has_authorization() => header::read(self.headers, self.body),
            _ => Signature::read(self.query),
        }
    }
}

impl Verifier {
    /// Whether a request is signed as it should be.
    pub(crate) fn verify(
        &self,
        request: SignedRequest<'_>,
        find: impl FnOnce(&str) -> Option<AwsCredentials>,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        let signature = request.signature()?;
        self.check_scope(&signature)?;
        self.check_time(&signature, now)?;
        let credentials = find(signature.key).ok_or(Refusal::UnknownKey)?;
        let key = signing_key(&credentials.secret_access_key, signature.scope);
        let signed_with = |token_too| signature.is_good(request, &key, token_too);
        if !signed_with(false)? {
            let in_query = signature.place == Place::Query;
            let token_signed = in_query && signature.token.is_some() && signed_with(true)?;
            return Err(if token_signed { Refusal::TokenSigned } else { Refusal::Signature });
        }
        check_token(&credentials, signature.token)?;
        if credentials.expires.is_some_and(|at| at <= now) {
            return Err(Refusal::CredentialsExpired);
        }
        Ok(())
    }

    fn check_scope(&self, signature: &Signature<'_>) -> Result<(), Refusal> {
        let [date, region, service, end] = signature.scope;
        if signature.date.get(..8) != Some(date) {
            Err(Refusal::ScopeDate)
        } else if region != self.region {
            Err(Refusal::Region { expected: self.region.clone() })
        } else if !SERVICES.contains(&service) {
            Err(Refusal::Service)
        } else if end != "aws4_request" {
            Err(Refusal::Malformed(CREDENTIAL))
        } else {
            Ok(())
        }
    }

    fn check_time(&self, signature: &Signature<'_>, now: SystemTime) -> Result<(), Refusal> {
        match now.duration_since(signature.signed_at) {
            Err(ahead) if ahead.duration() > self.window => Err(Refusal::NotYetCurrent),
            Ok(age) if age > self.window || signature.expires.is_some_and(|good_for| age > good_for) => {
                Err(Refusal::Expired)
            }
            _ => Ok(()),
        }
    }
}

impl<'a> Signature<'a> {
    fn read(query: &'a [Parameter]) -> Result<Self, Refusal> {
        let find = |name: &'static str| {
            let mut found = query.iter().filter(|parameter| parameter.name == name);
            match (found.next(), found.next()) {
                (first, None) => Ok(first.map(|parameter| parameter.value.as_str())),
                _ => Err(Refusal::Repeated(name)),
            }
        };
        let need = |name| find(name)?.ok_or(Refusal::Missing(name));
        if need(ALGORITHM)? != HMAC_SHA256 {
            return Err(Refusal::Algorithm);
        }
        let (key, scope) = scope_of(need(CREDENTIAL)?).ok_or(Refusal::Malformed(CREDENTIAL))?;
        let date = need(DATE)?;
        let expires = match find(EXPIRES)? {
            None => None,
            Some(text) => match text.parse() {
                Ok(seconds @ 1..=MAX_EXPIRES) => Some(Duration::from_secs(seconds)),
                _ => return Err(Refusal::Malformed(EXPIRES)),
            },
        };
        Ok(Self {
            place: Place::Query,
            key,
            scope,
            date: date.into(),
            signed_at: parse_basic(date).ok_or(Refusal::Malformed(DATE))?,
            expires,
            signed_headers: need(SIGNED_HEADERS)?,
            bytes: from_hex(need(SIGNATURE)?).ok_or(Refusal::Malformed(SIGNATURE))?,
            token: find(TOKEN)?,
        })
    }

    /// Compares in constant time. A port in the host is taken both as signed and as not.
    fn is_good(&self, request: SignedRequest<'_>, key: &hmac::Key, token_too: bool) -> Result<bool, Refusal> {
        let mut hosts = request.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refusal::NoHost) };
        let host = host.to_str().map_err(|_| Refusal::NoHost)?;
        let query = canonical::query(request.query, |name| match name {
            _ if self.place == Place::Header => true,
            SIGNATURE => false,
            TOKEN => token_too,
            _ => true,
        });
        for host in [host, without_port(host)] {
            let headers = canonical::headers(self.signed_headers, request.headers, host)?;
            let (method, path) = (request.method, canonical::path(request.path));
            let payload = hex(digest(&SHA256, request.body).as_ref());
            let canonical =
                format!("{method}\n{path}\n{query}\n{headers}\n{}\n{payload}", self.signed_headers);
            let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
            let (date, scope) = (&self.date, self.scope.join("/"));
            let to_sign = format!("{HMAC_SHA256}\n{date}\n{scope}\n{hash}");
            if hmac::verify(key, to_sign.as_bytes(), &self.bytes).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A key's name, and what it is good for: `AKIDEXAMPLE/20240115/us-east-1/iotdata/aws4_request`.
fn scope_of(credential: &str) -> Option<(&str, [&str; 4])> {
    let mut parts = credential.split('/');
    let key = parts.next()?;
    let scope = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some((key, scope))
}

/// A key for one scope: the secret, signed over with each part of it.
fn signing_key(secret: &str, scope: [&str; 4]) -> hmac::Key {
    let key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    scope
        .into_iter()
        .fold(key, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
}

/// Temporary credentials come with their token, others without.
fn check_token(credentials: &AwsCredentials, given: Option<&str>) -> Result<(), Refusal> {
    match (&credentials.session_token, given) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refusal::TokenMissing),
        (None, Some(_)) => Err(Refusal::Token),
        (Some(expected), Some(given)) => {
            // Compared in constant time, by way of a code that nobody knows.
            let key = hmac::Key::new(hmac::HMAC_SHA256, credentials.secret_access_key.as_bytes());
            let expected = hmac::sign(&key, expected.as_bytes());
            hmac::verify(&key, given.as_bytes(), expected.as_ref()).map_err(|_| Refusal::Token)
        }
    }
}

/// Signers differ in whether a port belongs to the host that they sign.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 lower-case digits.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes?.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
