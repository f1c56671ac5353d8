//! Custom authorizers: a closure in the place of the Lambda function.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::packet::Connect;

use super::Origin;
use super::sigv4::{Parameter, decoded, parameters};

/// Names the authorizer, among the parameters.
const NAME: &str = "x-amz-customauthorizer-name";
/// The signature of the token.
const SIGNATURE: &str = "x-amz-customauthorizer-signature";

/// What an authorizer is asked: the fields of the event that AWS IoT Core hands to a Lambda function.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthorizerRequest {
    /// `x-amz-customauthorizer-name`; without it, the default authorizer is meant.
    pub authorizer_name: Option<String>,
    /// The value of the parameter that [holds the token](crate::Builder::authorizer_token_key).
    pub token: Option<String>,
    /// `x-amz-customauthorizer-signature` as it came, base64 of an RSA signature over the token. The emulator does not
    /// know the public key, so it is the authorizer that verifies it or does not.
    pub token_signature: Option<String>,
    /// What the client has connected through: of `tls`, `http` and `mqtt`, those that are known at this point.
    pub protocols: Vec<&'static str>,
    /// The host name that the client has asked for in its TLS handshake.
    pub tls_server_name: Option<String>,
    /// The request for a WebSocket, if the client came that way.
    pub http: Option<HttpContext>,
    /// CONNECT, unless the client was asked before it.
    pub mqtt: Option<MqttContext>,
}

/// A request for a WebSocket.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HttpContext {
    /// Names in lower case, in the order of arrival. What is not text is left out.
    pub headers: Vec<(String, String)>,
    /// With its `?`; empty without a query.
    pub query_string: String,
}

/// What CONNECT says about the client.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MqttContext {
    /// The user name as sent, its parameters included.
    pub username: Option<String>,
    /// The password as sent. (AWS IoT Core hands it on in base64.)
    pub password: Option<Bytes>,
    /// The client identifier; empty when the server is to make one up.
    pub client_id: String,
}

/// What an authorizer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorizerReply {
    allow: bool,
    disconnect_after: Option<Duration>,
}

impl AuthorizerReply {
    /// The client may connect.
    #[must_use]
    pub fn allow() -> Self {
        Self { allow: true, disconnect_after: None }
    }

    /// The client may not connect.
    #[must_use]
    pub fn deny() -> Self {
        Self { allow: false, disconnect_after: None }
    }

    /// Ends the connection after that time; its will is published. AWS IoT Core takes 5 minutes to 24 hours, the
    /// emulator anything.
    #[must_use]
    pub fn disconnect_after(mut self, time: Duration) -> Self {
        self.disconnect_after = Some(time);
        self
    }
}

/// The closure, and where it finds the token.
#[derive(Clone)]
pub(crate) struct Authorizer {
    decide: Option<Decide>,
    pub(crate) token_key: String,
}

type Decide = Arc<dyn Fn(&AuthorizerRequest) -> AuthorizerReply + Send + Sync>;

/// How long an authorized connection may last; `Denied` when it may not be.
pub(crate) type Decision = Result<Option<Duration>, Denied>;

/// The client may not connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Denied;

impl Default for Authorizer {
    fn default() -> Self {
        Self { decide: None, token_key: "token".to_owned() }
    }
}

impl Authorizer {
    pub(crate) fn set(
        &mut self,
        decide: impl Fn(&AuthorizerRequest) -> AuthorizerReply + Send + Sync + 'static,
    ) {
        self.decide = Some(Arc::new(decide));
    }

    /// Whether there is one.
    pub(crate) fn is_set(&self) -> bool {
        self.decide.is_some()
    }

    /// Asks about a CONNECT, over TLS alone or over a WebSocket.
    pub(crate) fn authorize_connect(
        &self,
        connect: &Connect,
        origin: &Origin,
        http: Option<HttpContext>,
    ) -> Decision {
        let username = connect.username();
        let query = username.and_then(|name| name.split_once('?')).map_or("", |(_, query)| query);
        // This is no form: a plus is a plus. What cannot be decoded holds no parameters.
        let parameters = parameters(&query.replace('+', "%2B")).unwrap_or_default();
        let mut request = self.request(&parameters, origin);
        request.http = http;
        request.mqtt = Some(MqttContext {
            username: username.map(Into::into),
            password: connect.password().map(Bytes::copy_from_slice),
            client_id: connect.client_id().to_owned(),
        });
        self.decide(request, origin)
    }

    /// Asks about a request for a WebSocket, if that has anything for an authorizer in its headers or its query.
    pub(crate) fn authorize_request(
        &self,
        query: &[Parameter],
        http: HttpContext,
        origin: &Origin,
    ) -> Option<Decision> {
        let headers = http.headers.iter().map(|(name, value)| Parameter {
            name: name.clone(),
            // Only a signature needs encoding, and only in some clients.
            value: if name == SIGNATURE { decoded_signature(value) } else { value.clone() },
        });
        let parameters: Vec<Parameter> = headers.chain(query.iter().cloned()).collect();
        let mut request = self.request(&parameters, origin);
        if request.authorizer_name.is_none() && request.token.is_none() && request.token_signature.is_none() {
            return None;
        }
        request.http = Some(http);
        Some(self.decide(request, origin))
    }

    fn request(&self, parameters: &[Parameter], origin: &Origin) -> AuthorizerRequest {
        let find = |name: &str| {
            let found = parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name));
            found.map(|parameter| parameter.value.clone())
        };
        AuthorizerRequest {
            authorizer_name: find(NAME),
            token: find(&self.token_key),
            token_signature: find(SIGNATURE),
            protocols: Vec::new(),
            tls_server_name: origin.server_name.clone(),
            http: None,
            mqtt: None,
        }
    }

    fn decide(&self, mut request: AuthorizerRequest, origin: &Origin) -> Decision {
        let used = [("tls", origin.tls), ("http", request.http.is_some()), ("mqtt", request.mqtt.is_some())];
        request.protocols = used.into_iter().filter(|(_, used)| *used).map(|(name, _)| name).collect();
        let reply = self.decide.as_ref().map_or(AuthorizerReply::deny(), |decide| decide(&request));
        if reply.allow { Ok(reply.disconnect_after) } else { Err(Denied) }
    }
}

/// Base64 has no `%`, so one shows that the client has encoded it. Its `+` is no space.
fn decoded_signature(value: &str) -> String {
    decoded(&value.replace('+', "%2B")).unwrap_or_else(|| value.to_owned())
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer")
            .field("is_set", &self.is_set())
            .field("token_key", &self.token_key)
            .finish()
    }
}

impl fmt::Debug for AuthorizerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizerRequest")
            .field("authorizer_name", &self.authorizer_name)
            .field("token", &self.token.as_ref().map(|_| "redacted"))
            .field("token_signature", &self.token_signature.as_ref().map(|_| "redacted"))
            .field("protocols", &self.protocols)
            .field("tls_server_name", &self.tls_server_name)
            .field("http", &self.http)
            .field("mqtt", &self.mqtt)
            .finish()
    }
}

impl fmt::Debug for HttpContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Credentials may stand in any of the values.
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpContext").field("headers", &names).finish_non_exhaustive()
    }
}

impl fmt::Debug for MqttContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttContext")
            .field("username", &self.username.as_ref().map(|_| "redacted"))
            .field("password", &self.password.as_ref().map(|_| "redacted"))
            .field("client_id", &self.client_id)
            .finish()
    }
}
