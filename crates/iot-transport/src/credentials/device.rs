//! Credentials for a device's X.509 certificate.

use std::fmt;
use std::time::Duration;

use aws_credential_types::provider::future;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, Uri};
use serde_json::Value;

use super::service::{Reply, Service, TIMEOUT};
use super::{Credentials, CredentialsError, ProvideCredentials, timestamp};
use crate::words::Secrets;
use crate::{Address, BoxConnector, Connector, Tcp, Tls, TlsOptions};

/// Temporary credentials for a device's X.509 certificate, from the AWS IoT credential provider.
///
/// It follows [Authorizing direct calls to AWS services using AWS IoT Core credential
/// provider](https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html): the device shows its
/// certificate, and gets credentials for the IAM role that a role alias stands for, for as long as the alias says (15
/// minutes to 12 hours, 1 hour unless set). Each call asks anew; put [`Cached`](super::Cached) around it.
///
/// # Errors
///
/// [`CredentialsError::ProviderError`] when the service cannot be reached, or refuses: the text has the service's
/// reason and what to do. [`CredentialsError::InvalidConfiguration`] for TLS or a thing name that cannot work.
///
/// Cancelling: dropping the future closes the connection.
///
/// ```
/// use iot_transport::{Identity, Material, TlsOptions, TrustAnchors};
/// use iot_transport::credentials::{Cached, IotCredentialProvider};
///
/// # fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = TlsOptions::new(TrustAnchors::ca(Material::file("AmazonRootCA1.pem")))
///     .identity(Identity::new(Material::file("device.pem.crt"), Material::file("private.pem.key")));
/// let provider = IotCredentialProvider::new("abc.credentials.iot.eu-west-1.amazonaws.com", "sensors", tls)?;
/// let credentials = Cached::new(provider.thing_name("sensor-17"));
/// # drop(credentials); Ok(()) }
/// # f().unwrap();
/// ```
pub struct IotCredentialProvider {
    alias: String,
    host: String,
    thing: Option<String>,
    service: Service,
}

impl IotCredentialProvider {
    /// The endpoint that `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` prints (a host, port 443
    /// unless it names one), the role alias (1 to 128 letters, digits and `_=,@-`), and TLS with the device's identity.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::InvalidConfiguration`] when the endpoint or the alias cannot be one.
    pub fn new(
        endpoint: &str,
        role_alias: impl Into<String>,
        tls: TlsOptions,
    ) -> Result<Self, CredentialsError> {
        let address: Address = endpoint.parse().map_err(CredentialsError::invalid_configuration)?;
        let tcp = Tcp::new(address.host(), address.port().unwrap_or(443));
        Self::over(role_alias, Tls::new(tcp, tls))
    }

    /// The role alias, over the streams of this connector: through a proxy, or to another endpoint. The connector
    /// has to bring TLS with the device's identity.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new) about the alias.
    pub fn over(role_alias: impl Into<String>, connector: impl Connector) -> Result<Self, CredentialsError> {
        let alias = role_alias.into();
        let valid = (1..=128).contains(&alias.len())
            && alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_=,@-".contains(&byte));
        if !valid {
            let shown: String = alias.chars().take(130).collect();
            return Err(CredentialsError::invalid_configuration(format!(
                "{shown:?} is no role alias; it has 1 to 128 letters, digits and _=,@-, and is not the role's ARN"
            )));
        }
        let host = connector.endpoint().map(|endpoint| endpoint.host().to_owned()).unwrap_or_default();
        let service = Service {
            name: "the AWS IoT credential provider",
            connector: BoxConnector::new(connector),
            timeout: TIMEOUT,
        };
        Ok(Self { alias, host, thing: None, service })
    }

    /// Names the thing, which policies need that use thing variables. The certificate has to be attached to it.
    /// Default: no name.
    #[must_use]
    pub fn thing_name(mut self, thing_name: impl Into<String>) -> Self {
        self.thing = Some(thing_name.into());
        self
    }

    /// The longest that a call may take, from the dial to the answer. Default: 10 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.service.timeout = timeout;
        self
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let path = format!("/role-aliases/{}/credentials", self.alias);
        let mut call = Request::new(Full::default());
        *call.uri_mut() = Uri::try_from(path).map_err(CredentialsError::invalid_configuration)?;
        if let Some(thing) = &self.thing {
            let value = HeaderValue::from_str(thing).map_err(|_| {
                let text = format!("the thing name {thing:?} holds characters that no thing name has");
                CredentialsError::invalid_configuration(text)
            })?;
            call.headers_mut().insert(HeaderName::from_static("x-amzn-iot-thingname"), value);
        }
        let reply = self.service.ask(call, &self.host).await?;
        if !reply.status.is_success() {
            return Err(self.refused(&reply));
        }
        let object = reply.json.get("credentials").unwrap_or(&Value::Null);
        let expiry = object.get("expiration").and_then(Value::as_str).and_then(timestamp::from_iso_8601);
        let names = ["accessKeyId", "secretAccessKey", "sessionToken"];
        self.service.credentials(object, names, expiry, "IotCredentialProvider")
    }

    fn refused(&self, reply: &Reply) -> CredentialsError {
        let alias = &self.alias;
        let advice = match reply.status.as_u16() {
            400 => "check the role alias, and that the device presents its certificate".to_owned(),
            401 | 403 => format!(
                "check that the device presents its certificate and that it is registered and active, that its AWS IoT \
                 policy allows iot:AssumeRoleWithCertificate on the role alias, that the alias {alias} exists in this \
                 region and account, that its role trusts credentials.iot.amazonaws.com, and that a thing name, if one \
                 is given, is that of a thing the certificate is attached to"
            ),
            404 => format!(
                "check that the role alias {alias} exists in this region and account, and that the endpoint is that of \
                 type iot:CredentialProvider"
            ),
            429 => "too many ask at once; keep credentials in Cached, and try again later".to_owned(),
            500..=599 => "the service has a problem; try again later".to_owned(),
            _ => "check that the endpoint is that of type iot:CredentialProvider, and that no proxy answers for it"
                .to_owned(),
        };
        CredentialsError::provider_error(format!(
            "{} refused the role alias {alias} with status {}{}: {advice}",
            self.service.name,
            reply.status.as_u16(),
            reply.said(&Secrets::default())
        ))
    }
}

impl ProvideCredentials for IotCredentialProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

impl fmt::Debug for IotCredentialProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IotCredentialProvider")
            .field("alias", &self.alias)
            .field("connector", &self.service.connector)
            .field("thing", &self.thing)
            .finish_non_exhaustive()
    }
}
