//! AWS Signature Version 4 on the upgrade request, as a presigned URL.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{
    SessionTokenMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use zeroize::Zeroizing;

use crate::credentials::{Cached, Clock};
use crate::custom_authorizer::encoded;
use crate::region::region_of;
use crate::websocket::{Authorizer, Refusal, UpgradeRequest};
use crate::{Attempt, ConnectError, ConnectErrorKind as Kind, Phase};

/// The service that WebSocket connections are signed for.
const SERVICE: &str = "iotdevicegateway";
/// How long a presigned request says that it is good for. AWS IoT Core takes it for some minutes whatever it says.
const EXPIRES_IN: Duration = Duration::from_secs(86_400);
/// 10000-01-01T00:00:00Z, which four digits cannot name any more. The signer would panic.
const END_OF_DATES: Duration = Duration::from_secs(253_402_300_800);
/// Of the parameters that a signature adds, those that nobody else is to see.
const SECRET: [&str; 2] = ["X-Amz-Signature", "X-Amz-Security-Token"];
/// How far AWS lets a client's clock be off.
const SKEW: Duration = Duration::from_secs(5 * 60);

/// Signs the upgrade of a [`WebSocket`](crate::WebSocket) with AWS credentials (IAM User Guide, "AWS Signature Version
/// 4 for API requests"; AWS IoT Core Developer Guide, "Connecting to AWS IoT Core by using MQTT over WSS").
///
/// Credentials are asked for at each attempt, and each attempt is signed anew: a renewed key, a rotated file or a
/// temporary credential that has expired meanwhile is nothing that ends a device's life. Temporary credentials are
/// [kept](crate::credentials::Cached) until five minutes before they expire, or until the server refuses them. Their
/// session token is appended behind the signature, as AWS IoT Core wants it.
///
/// Any provider of the `aws-credential-types` family will do, [`Credentials`] themselves included.
///
/// ```no_run
/// use iot_transport::credentials::Credentials;
/// use iot_transport::{SigV4, Tcp, WebSocket};
///
/// let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "configured");
/// let endpoint = "abc-ats.iot.eu-west-1.amazonaws.com"; // tells the region
/// # let tls = Tcp::new(endpoint, 443);
/// let connector = WebSocket::new(tls).authorizer(SigV4::new(credentials));
/// ```
#[derive(Clone)]
pub struct SigV4 {
    credentials: Cached<SharedCredentialsProvider>,
    region: Option<String>,
    expires_in: Duration,
    clock: Clock,
}

/// What [`SigV4`] remembers of a request, to explain a refusal.
#[derive(Debug)]
pub struct Presigned {
    region: String,
    expiry: Option<SystemTime>,
}

impl SigV4 {
    /// Signs with what this provider gives, for the region that the endpoint's name tells.
    pub fn new(provider: impl ProvideCredentials + 'static) -> Self {
        Self {
            credentials: Cached::new(SharedCredentialsProvider::new(provider)),
            region: None,
            expires_in: EXPIRES_IN,
            clock: Clock::default(),
        }
    }

    /// The region, such as `eu-west-1`, where the endpoint's name does not tell it: custom domains, interface
    /// endpoints, addresses. Default: [as the name tells](crate::region_of).
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// How long the request says that it is good for, in whole seconds from 1 s to 7 days; what is outside is brought
    /// inside. AWS IoT Core takes a request for some minutes at most, whatever it says. Default: 24 h.
    #[must_use]
    pub fn expires_in(mut self, expires_in: Duration) -> Self {
        self.expires_in = Duration::from_secs(expires_in.as_secs().clamp(1, 7 * 86_400));
        self
    }

    /// Takes the time from here, for signatures and for the expiry of credentials. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(clock);
        self.credentials = self.credentials.with_clock(self.clock.clone());
        self
    }

    /// The URL that opens a WebSocket to `host` at `path` at this time, for tools that connect by themselves. It is a
    /// secret as long as it is good: some minutes.
    ///
    /// # Errors
    ///
    /// The region is not known, host or path cannot be part of a URL, or the time is before 1970 or after 9999.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use iot_transport::credentials::Credentials;
    /// use iot_transport::SigV4;
    ///
    /// let credentials = Credentials::new("AKIDEXAMPLE", "secret", None, None, "configured");
    /// let signer = SigV4::new(credentials.clone()).region("eu-west-1");
    /// let time = UNIX_EPOCH + Duration::from_secs(1_705_320_000);
    /// let url = signer.presigned_url("broker.example", "/mqtt", &credentials, time)?;
    /// assert!(url.starts_with("wss://broker.example/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20240115"));
    /// # Ok::<(), iot_transport::ConnectError>(())
    /// ```
    pub fn presigned_url(
        &self,
        host: &str,
        path: &str,
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<Zeroizing<String>, ConnectError> {
        let region = self.region_for(host)?;
        let mut parts = vec![Zeroizing::new(format!("wss://{host}{path}"))];
        let mut separator = if path.contains('?') { "&" } else { "?" };
        for (name, value) in self.sign(host, path, &region, credentials, time)? {
            parts.extend([
                separator.to_owned().into(),
                encoded(&name),
                "=".to_owned().into(),
                encoded(&value),
            ]);
            separator = "&";
        }
        let parts: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
        Ok(Zeroizing::new(parts.concat()))
    }

    fn region_for(&self, host: &str) -> Result<String, ConnectError> {
        match &self.region {
            Some(region) => Ok(region.clone()),
            None => region_of(host).map_err(|error| {
                failed(Kind::Configuration, format!("{error} (SigV4::region)")).with_source(error)
            }),
        }
    }

    /// The query parameters that make the request a signed one, in their order on the wire.
    fn sign(
        &self,
        host: &str,
        path: &str,
        region: &str,
        credentials: &Credentials,
        time: SystemTime,
    ) -> Result<Vec<(String, Zeroizing<String>)>, ConnectError> {
        // The signer's own errors may quote the request.
        let wrong = |what: &str| failed(Kind::Configuration, format!("the request cannot be signed: {what}"));
        if !time.duration_since(UNIX_EPOCH).is_ok_and(|since| since < END_OF_DATES) {
            let clock = "the clock's year is before 1970 or after 9999; set this device's clock";
            return Err(wrong(clock).with_retryable(true));
        }
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.session_token_mode = SessionTokenMode::Exclude;
        settings.expires_in = Some(self.expires_in);
        let identity = credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(SERVICE)
            .time(time)
            .settings(settings)
            .build()
            .map_err(|_| wrong("a parameter of the signature is missing"))?
            .into();
        let url = format!("https://{host}{path}");
        let headers = std::iter::once(("host", host));
        let request = SignableRequest::new("GET", url, headers, SignableBody::Bytes(&[]))
            .map_err(|_| wrong("check host and path"))?;
        let (instructions, _) =
            sign(request, &parameters).map_err(|_| wrong("check host, path and region"))?.into_parts();
        let (_, parameters) = instructions.into_parts();
        Ok(parameters
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Zeroizing::new(value.into_owned())))
            .collect())
    }
}

impl Authorizer for SigV4 {
    type Proof = Presigned;

    async fn authorize(
        &self,
        request: &mut UpgradeRequest,
        attempt: &Attempt,
    ) -> Result<Presigned, ConnectError> {
        let region = self.region_for(request.host())?;
        attempt.enter(Phase::Credentials);
        let credentials = self.credentials.provide_credentials().await.map_err(|error| {
            failed(Kind::Credentials, crate::credentials::explain(&error)).with_source(error)
        })?;
        request.bare_host();
        let time = self.clock.now();
        for (name, value) in self.sign(request.host(), request.path(), &region, &credentials, time)? {
            if SECRET.contains(&name.as_str()) {
                request.add_query(&name, &value);
            } else {
                request.add_public_query(&name, &value);
            }
        }
        Ok(Presigned { region, expiry: credentials.expiry() })
    }

    /// AWS says 403 to everything: what can be told from here is told.
    fn refused(&self, proof: &Presigned, refusal: &Refusal<'_>) -> Option<String> {
        if !matches!(refusal.status(), 401 | 403) {
            return None;
        }
        // They may have been revoked: the next attempt asks for others.
        self.credentials.invalidate();
        let now = self.clock.now();
        let server = refusal.date().and_then(|date| httpdate::parse_http_date(date).ok());
        if let Some(skew) = server.and_then(|server| skew(now, server)) {
            return Some(skew);
        }
        let region = &proof.region;
        Some(if proof.expiry.is_some_and(|expiry| expiry <= now) {
            "the temporary credentials had expired: renew them where they come from".into()
        } else {
            format!(
                "check that the endpoint is in {region}, that the access key is active and its secret the right \
                 one, and, with temporary credentials, that the session token is theirs"
            )
        })
    }
}

/// What to say if this device's clock is too far from the server's.
fn skew(ours: SystemTime, server: SystemTime) -> Option<String> {
    let (off, way) = match ours.duration_since(server) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    // The server's answer was on its way for a moment, and its date has no fractions.
    (off + Duration::from_secs(2) >= SKEW).then(|| {
        format!(
            "this device's clock is {} s {way} the server's, and a signature is good for 5 minutes: set the clock",
            off.as_secs()
        )
    })
}

fn failed(kind: Kind, reason: impl Into<String>) -> ConnectError {
    ConnectError::new(Phase::Credentials, kind, reason)
}

impl fmt::Debug for SigV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigV4")
            .field("region", &self.region)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "abc123example-ats.iot.us-east-1.amazonaws.com";

    /// 2024-01-15T12:00:00Z
    fn noon() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_705_320_000)
    }

    fn credentials(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test")
    }

    fn url(token: Option<&str>) -> String {
        let credentials = credentials(token);
        SigV4::new(credentials.clone())
            .presigned_url(HOST, "/mqtt", &credentials, noon())
            .unwrap()
            .to_string()
    }

    #[test]
    fn a_presigned_url_is_the_one_that_other_signers_compute() {
        let expected = "wss://abc123example-ats.iot.us-east-1.amazonaws.com/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                        &X-Amz-Credential=AKIDEXAMPLE%2F20240115%2Fus-east-1%2Fiotdevicegateway%2Faws4_request\
                        &X-Amz-Date=20240115T120000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
                        &X-Amz-Signature=2b5c1ba00dd10a0e72f69a650afb971f04957712ab01af5b92ffa2859bb91482";
        assert_eq!(url(None), expected);
    }

    #[test]
    fn a_session_token_comes_last_and_is_not_part_of_the_signature() {
        let expected = format!("{}&X-Amz-Security-Token=TOKEN%2FEXAMPLE%2Babc%3D%3D", url(None));
        assert_eq!(url(Some("TOKEN/EXAMPLE+abc==")), expected);
    }

    #[test]
    fn the_region_is_read_off_the_name_or_must_be_said() {
        let signer = SigV4::new(credentials(None));
        let error =
            signer.presigned_url("mqtt.example.com", "/mqtt", &credentials(None), noon()).unwrap_err();
        assert!(error.to_string().contains("mqtt.example.com") && !error.is_retryable(), "{error}");
        let url =
            signer.region("eu-west-1").presigned_url("mqtt.example.com", "/mqtt", &credentials(None), noon());
        assert!(url.unwrap().contains("%2Feu-west-1%2F"));
    }

    #[test]
    fn what_cannot_be_signed_is_an_error_without_secrets() {
        let signer = SigV4::new(credentials(None)).region("eu-west-1");
        for (host, path) in [("a b", "/mqtt"), ("", "/"), ("h", "\u{0}")] {
            let error = signer.presigned_url(host, path, &credentials(Some("s3cret")), noon()).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("s3cret") && !shown.contains("wJalr"), "{shown}");
        }
        assert!(!format!("{signer:?}").contains("wJalr"));
    }

    #[test]
    fn an_expiry_outside_of_its_range_is_brought_inside() {
        let expires = |duration| {
            let signer = SigV4::new(credentials(None)).expires_in(duration);
            let url = signer.presigned_url(HOST, "/mqtt", &credentials(None), noon()).unwrap().to_string();
            url.split('&').find_map(|part| part.strip_prefix("X-Amz-Expires=").map(str::to_owned)).unwrap()
        };
        assert_eq!(expires(Duration::ZERO), "1");
        assert_eq!(expires(Duration::from_secs(300)), "300");
        assert_eq!(expires(Duration::MAX), "604800");
    }

    #[test]
    fn a_time_that_no_date_can_name_is_an_error_that_may_pass() {
        let signer = SigV4::new(credentials(None));
        let url = |time| signer.presigned_url(HOST, "/mqtt", &credentials(None), time);
        let far = Duration::from_secs(u64::MAX / 4);
        let ends =
            [UNIX_EPOCH.checked_sub(far), UNIX_EPOCH.checked_add(END_OF_DATES), UNIX_EPOCH.checked_add(far)];
        for time in ends.into_iter().flatten() {
            let error = url(time).unwrap_err();
            assert!(error.reason().contains("clock") && error.is_retryable(), "{error}");
        }
        for (time, date) in [
            (UNIX_EPOCH, "19700101T000000Z"),
            (UNIX_EPOCH + END_OF_DATES - Duration::from_nanos(100), "99991231T235959Z"),
        ] {
            assert!(url(time).unwrap().contains(date));
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_by_how_much_and_which_way() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        assert_eq!(skew(noon(), noon() + minutes(4)), None);
        assert!(skew(noon(), noon() + minutes(10)).unwrap().contains("600 s behind"));
        assert!(skew(noon() + minutes(90), noon()).unwrap().contains("5400 s ahead of"));
    }
}
