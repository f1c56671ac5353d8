//! Credentials from an Amazon Cognito identity pool.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_credential_types::provider::future;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request};
use serde_json::{Value, json};

use super::service::{Reply, Service, TIMEOUT};
use super::{Credentials, CredentialsError, ProvideCredentials, timestamp};
use crate::words::Secrets;
use crate::{BoxConnector, Connector, Tcp, Tls, TlsOptions};

type Tokens = Result<HashMap<String, String>, Box<dyn Error + Send + Sync>>;
type Login = dyn Fn() -> Pin<Box<dyn Future<Output = Tokens> + Send>> + Send + Sync;

/// Temporary credentials from an Amazon Cognito identity pool, for somebody who has logged in elsewhere, or for
/// anybody.
///
/// The enhanced flow of [Identity pools authentication
/// flow](https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flow.html): `GetId` once, then
/// `GetCredentialsForIdentity` at each call; put [`Cached`](super::Cached) around it. The identity is remembered in this
/// value; [`identity`](Self::identity) keeps it across restarts. It is asked for anew when the pool no longer knows it, and,
/// unless it was given, when the service refuses it to the login: it may be another login's.
///
/// For AWS IoT, an identity without a login is bound by the IAM role of the pool alone; one with a login needs an
/// AWS IoT policy attached to it as well.
///
/// # Errors
///
/// [`CredentialsError::ProviderError`] when the service cannot be reached, or refuses: the text has the service's
/// reason and what to do. [`CredentialsError::InvalidConfiguration`] for TLS that cannot work.
///
/// Cancelling: dropping the future closes the connection; an identity that was learned by then stays.
///
/// ```
/// use iot_transport::{Material, TlsOptions, TrustAnchors};
/// use iot_transport::credentials::{Cached, Cognito};
///
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsOptions::new(TrustAnchors::ca(Material::file("AmazonRootCA1.pem")));
/// let pool = Cognito::new("eu-west-1:01234567-89ab-cdef-0123-456789abcdef", tls)?;
/// let credentials = Cached::new(pool);
/// # drop(credentials); Ok(()) }
/// # f().unwrap();
/// ```
pub struct Cognito {
    pool: String,
    host: String,
    service: Service,
    login: Option<Arc<Login>>,
    identity: Mutex<Option<Identity>>,
}

/// Whom credentials are for.
#[derive(Clone)]
struct Identity {
    id: String,
    /// By the user, who may be attached to what it owns.
    given: bool,
}

impl Cognito {
    /// The identity pool with this identifier (`REGION:UUID`), in the service of its region, over TLS with these
    /// options; they need trust anchors that the service's certificate leads to, and no identity.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::InvalidConfiguration`] when the identifier does not begin with a region.
    pub fn new(identity_pool_id: impl Into<String>, tls: TlsOptions) -> Result<Self, CredentialsError> {
        let pool = identity_pool_id.into();
        let host = host_for(&pool)?;
        Self::over(pool, Tls::new(Tcp::new(host, 443), tls))
    }

    /// The identity pool with this identifier, over the streams of this connector: through a proxy, or to another
    /// endpoint. The connector has to bring TLS.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn over(
        identity_pool_id: impl Into<String>,
        connector: impl Connector,
    ) -> Result<Self, CredentialsError> {
        let pool = identity_pool_id.into();
        let host = host_for(&pool)?;
        let service = Service {
            name: "the Cognito identity service",
            connector: BoxConnector::new(connector),
            timeout: TIMEOUT,
        };
        Ok(Self { pool, host, service, login: None, identity: Mutex::new(None) })
    }

    /// Presents these logins: tokens by the name of their provider, such as
    /// `cognito-idp.REGION.amazonaws.com/USER_POOL_ID` or `accounts.google.com`. The function is asked at each
    /// call, within the [time limit](Self::timeout), so that it can renew a token. Default: no login.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use iot_transport::credentials::Cognito;
    ///
    /// # fn f(pool: Cognito) {
    /// let pool = pool.logins(async || {
    ///     let token = "what the provider gave".to_owned();
    ///     Ok(HashMap::from([("accounts.google.com".to_owned(), token)]))
    /// });
    /// # drop(pool); }
    /// ```
    #[must_use]
    pub fn logins<F, Fut>(mut self, logins: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Tokens> + Send + 'static,
    {
        self.login = Some(Arc::new(move || Box::pin(logins())));
        self
    }

    /// Goes on as this identity (`REGION:UUID`), which [`identity_id`](Self::identity_id) told earlier, instead of
    /// asking for one. Only if the pool no longer knows it is another asked for. Default: one is asked for, which without
    /// a login makes a new one in the pool.
    #[must_use]
    pub fn identity(self, id: impl Into<String>) -> Self {
        self.remember(Identity { id: id.into(), given: true });
        self
    }

    /// The longest that one question may take, from the dial to the answer; there are up to four in a call.
    /// Default: 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.service.timeout = timeout;
        self
    }

    /// The identity that credentials are for, once it is known.
    #[must_use]
    pub fn identity_id(&self) -> Option<String> {
        self.remembered().as_ref().map(|identity| identity.id.clone())
    }

    fn remembered(&self) -> MutexGuard<'_, Option<Identity>> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, identity: Identity) {
        *self.remembered() = Some(identity);
    }

    /// Forgets this identity, if it is still the one that is remembered and `which` of it is so.
    fn forget(&self, id: &str, which: impl Fn(&Identity) -> bool) {
        self.remembered().take_if(|identity| identity.id == id && which(identity));
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let logins = self.tokens().await?;
        if let Some(id) = self.identity_id() {
            match self.credentials_for(&id, &logins).await? {
                Ok(credentials) => return Ok(credentials),
                Err(refusal) if refusal.kind == "ResourceNotFoundException" => self.forget(&id, |_| true),
                Err(refusal) => return Err(self.refused(&refusal)),
            }
        }
        let id = self.get_id(&logins).await?;
        self.remember(Identity { id: id.clone(), given: false });
        self.credentials_for(&id, &logins).await?.map_err(|refusal| self.refused(&refusal))
    }

    async fn tokens(&self) -> Result<Option<Value>, CredentialsError> {
        let Some(login) = &self.login else { return Ok(None) };
        let tokens = tokio::time::timeout(self.service.timeout, login()).await.map_err(|_| {
            let limit = self.service.timeout;
            let text = format!("the logins for the identity pool were not there within {limit:?}");
            CredentialsError::provider_error(text)
        })?;
        let tokens = tokens.map_err(CredentialsError::provider_error)?;
        Ok((!tokens.is_empty()).then(|| json!(tokens)))
    }

    async fn get_id(&self, logins: &Option<Value>) -> Result<String, CredentialsError> {
        let reply = self.ask("GetId", json!({ "IdentityPoolId": self.pool }), logins).await?;
        let reply = reply.map_err(|refusal| self.refused(&refusal))?;
        match reply.json.get("IdentityId").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(self.service.not_as_documented("IdentityId")),
        }
    }

    async fn credentials_for(
        &self,
        id: &str,
        logins: &Option<Value>,
    ) -> Result<Result<Credentials, Refusal>, CredentialsError> {
        let reply = match self.ask("GetCredentialsForIdentity", json!({ "IdentityId": id }), logins).await? {
            Ok(reply) => reply,
            Err(refusal) => {
                if refusal.kind == "NotAuthorizedException" && logins.is_some() {
                    // It may be the identity of another login.
                    self.forget(id, |identity| !identity.given);
                }
                return Ok(Err(refusal));
            }
        };
        let object = reply.json.get("Credentials").unwrap_or(&Value::Null);
        let expiry = object.get("Expiration").and_then(Value::as_f64).and_then(timestamp::from_seconds);
        let names = ["AccessKeyId", "SecretKey", "SessionToken"];
        self.service.credentials(object, names, expiry, "Cognito").map(Ok)
    }

    async fn ask(
        &self,
        operation: &str,
        mut question: Value,
        logins: &Option<Value>,
    ) -> Result<Result<Reply, Refusal>, CredentialsError> {
        if let (Some(logins), Some(fields)) = (logins, question.as_object_mut()) {
            fields.insert("Logins".to_owned(), logins.clone());
        }
        let mut call = Request::new(Full::new(Bytes::from(question.to_string())));
        *call.method_mut() = Method::POST;
        call.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        let target = HeaderValue::from_str(&format!("AWSCognitoIdentityService.{operation}"))
            .map_err(CredentialsError::unhandled)?;
        call.headers_mut().insert(HeaderName::from_static("x-amz-target"), target);
        let reply = self.service.ask(call, &self.host).await?;
        Ok(if reply.status.is_success() { Ok(reply) } else { Err(Refusal::of(&reply, logins)) })
    }

    fn refused(&self, refusal: &Refusal) -> CredentialsError {
        let Refusal { kind, said, status } = refusal;
        let login = self.login.is_some();
        let advice = match kind.as_str() {
            "NotAuthorizedException" if login => {
                "a login token has expired, or its provider is not one of the pool's"
            }
            "NotAuthorizedException" => {
                "allow guest access (unauthenticated identities) in the identity pool, or give logins"
            }
            "ResourceNotFoundException" => {
                "check the identity pool's identifier, and that it begins with its region"
            }
            "InvalidIdentityPoolConfigurationException" => {
                "give the identity pool an IAM role for these identities, with a trust policy that names the pool"
            }
            "TooManyRequestsException" | "LimitExceededException" => {
                "too many ask at once; keep credentials in Cached, and try again later"
            }
            "InvalidParameterException" => {
                "check the identity pool's identifier, the identity and the logins"
            }
            "ResourceConflictException" => {
                "a login is linked to another identity already; start without an identity"
            }
            "ExternalServiceException" => "the login's provider did not answer the service; try again later",
            _ if status.is_server_error() => "the service has a problem; try again later",
            _ => "check the endpoint, and that no proxy answers for it",
        };
        let name = self.service.name;
        let what = if kind.is_empty() { "without a reason" } else { kind };
        let pool = &self.pool;
        CredentialsError::provider_error(format!(
            "{name} refused the identity pool {pool} with status {}, {what}{said}: {advice}",
            status.as_u16()
        ))
    }
}

/// Why the service says no.
struct Refusal {
    kind: String,
    said: String,
    status: hyper::StatusCode,
}

impl Refusal {
    fn of(reply: &Reply, logins: &Option<Value>) -> Self {
        let mut secrets = Secrets::default();
        let tokens = logins.iter().filter_map(Value::as_object).flat_map(|logins| logins.values());
        tokens.filter_map(Value::as_str).for_each(|token| secrets.add(token));
        let kind = reply.json.get("__type").and_then(Value::as_str).unwrap_or_default();
        // As in `com.amazonaws.cognito#NotAuthorizedException`.
        let kind = kind.rsplit('#').next().unwrap_or_default();
        let kind = kind.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        Self { kind, said: reply.said(&secrets), status: reply.status }
    }
}

/// The service's host for an identity pool.
fn host_for(pool: &str) -> Result<String, CredentialsError> {
    let region = pool.split_once(':').filter(|(_, id)| !id.is_empty()).map(|(region, _)| region);
    let is_label = |text: &&str| {
        (1..=63).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let Some(region) = region.filter(is_label) else {
        let shown: String = pool.chars().take(100).collect();
        return Err(CredentialsError::invalid_configuration(format!(
            "{shown:?} is not the identifier of a Cognito identity pool; it looks like \
             eu-west-1:01234567-89ab-cdef-0123-456789abcdef, and is not that of a user pool"
        )));
    };
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    Ok(format!("cognito-identity.{region}.amazonaws.com{suffix}"))
}

impl ProvideCredentials for Cognito {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

impl fmt::Debug for Cognito {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cognito")
            .field("pool", &self.pool)
            .field("connector", &self.service.connector)
            .field("identity", &self.identity_id())
            .field("logins", &self.login.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_of_the_pool_is_the_region_of_the_service() {
        let host = |pool| host_for(pool).unwrap();
        assert_eq!(host("eu-west-1:abc"), "cognito-identity.eu-west-1.amazonaws.com");
        assert_eq!(host("cn-north-1:abc"), "cognito-identity.cn-north-1.amazonaws.com.cn");
        for wrong in ["", ":abc", "eu-west-1", "eu-west-1:", "eu-west-1_AbCdEf", "evil.example/:x", "a b:c"] {
            assert!(matches!(host_for(wrong), Err(CredentialsError::InvalidConfiguration(_))), "{wrong}");
        }
    }
}
