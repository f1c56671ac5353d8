//! The ways in: a function for each kind of identity.

use iot_transport::{BoxConnector, Connector, CustomAuthorizer, Identity, Material};

use crate::builder::Builder;
use crate::door::Door;

/// A connection to `endpoint` by mutual TLS: with the device's certificate and private key, PEM or DER, each from a file
/// ([`Material::file`]) or from bytes ([`Material::bytes`]). Port 8883, or 443 by ALPN.
///
/// See [`Builder`] for the settings; every one has a default.
pub fn mutual_tls(endpoint: &str, certificate: Material, private_key: Material) -> Builder {
    mutual_tls_with(endpoint, Identity::new(certificate, private_key))
}

/// As [`mutual_tls`], with an identity whose private key this program need not see: in a TPM, behind PKCS#11 or in a secure
/// element, by [`Identity::resolver`].
pub fn mutual_tls_with(endpoint: &str, identity: Identity) -> Builder {
    Builder::new(endpoint, Door::MutualTls(identity))
}

/// A connection over the streams of this connector: for ways to a broker that have no function of their own here.
///
/// Endpoint, TLS and whatever else lies below MQTT are the connector's: [`root_ca`](Builder::root_ca),
/// [`port`](Builder::port) and what is said to be the same of region, proxy and the system's roots have no effect. All other
/// settings have theirs.
///
/// ```no_run
/// use aws_iot::crates::iot_transport::Tcp;
///
/// # async fn f() -> Result<(), aws_iot::Error> {
/// // A broker on this very machine, without TLS.
/// let client = aws_iot::over(Tcp::new("localhost", 1883)).client_id("my-device").connect().await?;
/// # drop(client); Ok(()) }
/// ```
pub fn over(connector: impl Connector) -> Builder {
    let connector = BoxConnector::new(connector);
    let endpoint = connector.endpoint().map(ToString::to_string).unwrap_or_default();
    Builder::new(&endpoint, Door::Own(connector))
}

/// A connection to `endpoint` by WebSocket on port 443, signed by AWS Signature Version 4 with what `credentials` gives at
/// each attempt: [`Credentials`](crate::credentials::Credentials) themselves, a
/// [`Chain`](crate::credentials::Chain) of places to look in, or any other provider of the AWS SDK for Rust. Temporary
/// credentials are kept until shortly before they expire, or until they are refused.
///
/// The identity's policy must allow `iot:Connect` and what follows. See [`Builder`] for the settings.
///
/// ```no_run
/// use aws_iot::credentials::Chain;
///
/// # async fn f() -> Result<(), aws_iot::Error> {
/// // From the environment, or the shared credentials file.
/// let client = aws_iot::websocket("abc-ats.iot.eu-west-1.amazonaws.com", Chain::new()).connect().await?;
/// # drop(client); Ok(()) }
/// ```
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub fn websocket(
    endpoint: &str,
    credentials: impl crate::credentials::ProvideCredentials + 'static,
) -> Builder {
    Builder::new(endpoint, Door::SigV4(iot_transport::SigV4::new(credentials)))
}

/// A connection to `endpoint` by TLS on port 443 that a custom authorizer lets pass, by what the user name of CONNECT
/// tells it and, if it looks at them, [`username`](Builder::username) and [`password`](Builder::password).
///
/// See [`Builder`] for the settings.
///
/// ```no_run
/// use aws_iot::CustomAuthorizer;
///
/// # async fn f() -> Result<(), aws_iot::Error> {
/// let parameters = CustomAuthorizer::new().name("my-authorizer").token("token-key", "42").signature("c2ln+bg==");
/// let client = aws_iot::custom_authorizer("abc-ats.iot.eu-west-1.amazonaws.com", parameters)
///     .username("my-device")
///     .connect()
///     .await?;
/// # drop(client); Ok(()) }
/// ```
pub fn custom_authorizer(endpoint: &str, parameters: CustomAuthorizer) -> Builder {
    Builder::new(endpoint, Door::CustomAuthorizer(parameters))
}

/// As [`custom_authorizer`], by WebSocket: the parameters are headers, or the query, of the upgrade.
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub fn websocket_custom_authorizer(endpoint: &str, parameters: CustomAuthorizer) -> Builder {
    Builder::new(endpoint, Door::WebSocketCustomAuthorizer(parameters))
}
