//! What AWS IoT Core's custom authorizers are told, in an MQTT user name or in an upgrade request.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// All but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const NAME: &str = "x-amz-customauthorizer-name";
const SIGNATURE: &str = "x-amz-customauthorizer-signature";

/// The parameters of custom authentication (AWS IoT Core Developer Guide, "Connecting to AWS IoT Core by using custom
/// authentication").
///
/// Over MQTT they are part of CONNECT's user name: see [`username`](Self::username); the port is 443 and the ALPN
/// protocol [`mqtt`](crate::alpn::CUSTOM_AUTHORIZER). Over WebSocket it is an `Authorizer` and they are headers of the
/// upgrade, or [its query](Self::in_query). `Debug` shows the authorizer's name and the token's key.
///
/// ```
/// use iot_transport::CustomAuthorizer;
///
/// let custom = CustomAuthorizer::new().name("my-authorizer").token("device-token", "42").signature("c2ln+bg==");
/// assert_eq!(
///     custom.username("alice").as_str(),
///     "alice?x-amz-customauthorizer-name=my-authorizer&x-amz-customauthorizer-signature=c2ln%2Bbg%3D%3D&device-token=42"
/// );
/// ```
#[derive(Clone, Default)]
pub struct CustomAuthorizer {
    name: Option<String>,
    token: Option<(String, Zeroizing<String>)>,
    signature: Option<Zeroizing<String>>,
    in_query: bool,
}

impl CustomAuthorizer {
    /// The endpoint's default authorizer, which is told nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The authorizer's name. Default: the endpoint's default authorizer.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The token, and the token key name that the authorizer is configured with. Needed if it has signing enabled.
    #[must_use]
    pub fn token(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.token = Some((key.into(), Zeroizing::new(value.into())));
        self
    }

    /// The token's signature, base64, as it is or percent-encoded already: a value with a `%` in it is left as it is.
    /// Needed if the authorizer has signing enabled.
    #[must_use]
    pub fn signature(mut self, signature: impl Into<String>) -> Self {
        self.signature = Some(Zeroizing::new(signature.into()));
        self
    }

    /// Over WebSocket, puts the parameters into the query instead of headers, as browsers have to. Default: headers.
    #[must_use]
    pub fn in_query(mut self) -> Self {
        self.in_query = true;
        self
    }

    /// The user name for CONNECT: `user`, which may be empty and may have parameters of its own, and the parameters,
    /// percent-encoded.
    #[must_use]
    pub fn username(&self, user: &str) -> Zeroizing<String> {
        let parameters = self.encoded();
        let room =
            parameters.iter().map(|(key, value)| key.len().saturating_add(value.len()).saturating_add(2));
        let room = room.fold(user.len(), usize::saturating_add);
        // Room from the start: a text that grows leaves what it held behind.
        let mut username = Zeroizing::new(String::with_capacity(room));
        username.push_str(user);
        for (key, value) in parameters {
            let separator = if username.contains('?') { '&' } else { '?' };
            username.push(separator);
            username.push_str(&key);
            username.push('=');
            username.push_str(&value);
        }
        username
    }

    /// Keys and values, percent-encoded.
    fn encoded(&self) -> Vec<(String, Zeroizing<String>)> {
        let name = self.name.iter().map(|name| (NAME.to_owned(), encoded(name)));
        let signature = self.signature.iter().map(|signature| {
            let done = signature.contains('%');
            (SIGNATURE.to_owned(), if done { signature.clone() } else { encoded(signature) })
        });
        let token = self.token.iter().map(|(key, value)| (encoded(key).to_string(), encoded(value)));
        name.chain(signature).chain(token).collect()
    }
}

/// The text, percent-encoded.
pub(crate) fn encoded(text: &str) -> Zeroizing<String> {
    // Room for the longest outcome: a text that grows leaves what it held behind.
    let mut encoded = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
    encoded.extend(utf8_percent_encode(text, RESERVED));
    encoded
}

impl fmt::Debug for CustomAuthorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomAuthorizer")
            .field("name", &self.name)
            .field("token_key", &self.token.as_ref().map(|(key, _)| key))
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "websocket")]
impl crate::websocket::Authorizer for CustomAuthorizer {
    type Proof = ();

    async fn authorize(
        &self,
        request: &mut crate::websocket::UpgradeRequest,
        _: &crate::Attempt,
    ) -> Result<(), crate::ConnectError> {
        if self.in_query {
            for (key, value) in self.encoded() {
                request.add_encoded_query(&key, &value, key != NAME);
            }
            return Ok(());
        }
        if let Some(name) = &self.name {
            request.add_public_header(NAME, name)?;
        }
        if let Some(signature) = &self.signature {
            let plain = crate::words::decoded(signature);
            request.add_header(SIGNATURE, if signature.contains('%') { &plain } else { signature })?;
        }
        if let Some((key, value)) = &self.token {
            request.add_header(key, value)?;
        }
        Ok(())
    }

    fn refused(&self, (): &(), refusal: &crate::websocket::Refusal<'_>) -> Option<String> {
        matches!(refusal.status(), 401 | 403).then(|| {
            "the custom authorizer did not let it pass: check its name, the token key and the signature, and what \
             its function logged"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parameter_follows_a_question_mark_unless_the_user_name_has_one() {
        let custom = CustomAuthorizer::new().name("a").token("t", "v");
        assert_eq!(custom.username("").as_str(), "?x-amz-customauthorizer-name=a&t=v");
        assert_eq!(custom.username("u?SDK=Rust").as_str(), "u?SDK=Rust&x-amz-customauthorizer-name=a&t=v");
        assert_eq!(CustomAuthorizer::new().username("u").as_str(), "u");
    }

    #[test]
    fn a_signature_is_encoded_once() {
        let with = |signature| CustomAuthorizer::new().signature(signature).username("").to_string();
        assert_eq!(with("a+/="), "?x-amz-customauthorizer-signature=a%2B%2F%3D");
        assert_eq!(with("a%2B%2F%3D"), "?x-amz-customauthorizer-signature=a%2B%2F%3D");
    }

    #[test]
    fn neither_token_nor_signature_is_shown() {
        let custom = CustomAuthorizer::new().name("a").token("key", "s3cret").signature("s1gned");
        let shown = format!("{custom:?}");
        assert!(shown.contains("key") && !shown.contains("s3cret") && !shown.contains("s1gned"), "{shown}");
    }
}
