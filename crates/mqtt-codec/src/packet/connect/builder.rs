//! Putting a CONNECT together.

use core::fmt;

use bytes::{Bytes, BytesMut};

use super::{CLEAN_START, Connect, PASSWORD, USERNAME, WILL, WILL_RETAIN, Will};
use crate::layout::{Sink, Write};
use crate::properties::Context;
use crate::{EncodeError, Properties, Text, Version};

/// What a CONNECT should say. `Debug` shows neither user name nor password.
///
/// ```
/// use mqtt_codec::{Text, Version, packet::{Connect, ConnectBuilder}};
///
/// let mut options = ConnectBuilder::new(Version::V5, Text::try_from("thermostat-4711")?);
/// options.keep_alive = 60;
/// let connect: Connect = options.build()?;
/// assert_eq!(connect.client_id(), "thermostat-4711");
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectBuilder {
    /// The version that this connection will speak.
    pub version: Version,
    /// Whether an earlier session is thrown away (MQTT 3.1.1: clean session). Default: yes.
    pub clean_start: bool,
    /// The longest silence of the client in seconds; 0: no limit. Default: 30.
    pub keep_alive: u16,
    /// Names the session. Empty: the server makes one up (MQTT 3.1.1: only with a clean session).
    pub client_id: Text,
    /// Published by the server when the connection ends without DISCONNECT.
    pub will: Option<Will>,
    /// User name.
    pub username: Option<Text>,
    /// Password, at most 65,535 bytes; MQTT 3.1.1 allows one only beside a user name.
    pub password: Option<Bytes>,
    /// MQTT 5 properties.
    pub properties: Properties,
}

impl ConnectBuilder {
    /// A clean start with a keep-alive of 30 seconds and nothing optional.
    #[must_use]
    pub fn new(version: Version, client_id: Text) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 30,
            client_id,
            will: None,
            username: None,
            password: None,
            properties: Properties::new(),
        }
    }

    /// Puts the packet together.
    ///
    /// # Errors
    /// [`EncodeError`] says what does not fit together, does not fit the version, or is too long.
    pub fn build(&self) -> Result<Connect, EncodeError> {
        self.check()?;
        let mut fields = BytesMut::new();
        self.layout(&mut Write(&mut fields));
        Ok(Connect {
            version: self.version,
            flags: self.flags(),
            keep_alive: self.keep_alive,
            fields: fields.freeze(),
        })
    }

    fn check(&self) -> Result<(), EncodeError> {
        let version = self.version;
        self.properties.check(version, Context::Connect)?;
        if !version.is_v5() {
            // [v3.1.1 MQTT-3.1.2-22]
            if self.password.is_some() && self.username.is_none() {
                return Err(EncodeError::NotInVersion { what: "a password without a user name", version });
            }
            // [v3.1.1 MQTT-3.1.3-7]
            if self.client_id.is_empty() && !self.clean_start {
                return Err(EncodeError::NotInVersion {
                    what: "an empty client identifier without a clean session",
                    version,
                });
            }
        }
        if self.password.as_ref().is_some_and(|password| password.len() > usize::from(u16::MAX)) {
            return Err(EncodeError::Inconsistent("the password is longer than 65,535 bytes"));
        }
        if let Some(will) = &self.will {
            will.properties.check(version, Context::Will)?;
            if will.payload.len() > usize::from(u16::MAX) {
                return Err(EncodeError::Inconsistent("the will's payload is longer than 65,535 bytes"));
            }
        }
        Ok(())
    }

    /// Each flag says just what is there.
    fn flags(&self) -> u8 {
        // [v5 MQTT-3.1.2-9, v5 MQTT-3.1.2-11, v5 MQTT-3.1.2-12, v5 MQTT-3.1.2-13]
        // [v3.1.1 MQTT-3.1.2-9, v3.1.1 MQTT-3.1.2-11, v3.1.1 MQTT-3.1.2-13, v3.1.1 MQTT-3.1.2-14, v3.1.1 MQTT-3.1.2-15]
        let will = self
            .will
            .as_ref()
            .map_or(0, |will| WILL | (will.qos as u8) << 3 | if will.retain { WILL_RETAIN } else { 0 });
        // [v5 MQTT-3.1.2-16, v5 MQTT-3.1.2-17, v5 MQTT-3.1.2-18, v5 MQTT-3.1.2-19]
        // [v3.1.1 MQTT-3.1.2-18, v3.1.1 MQTT-3.1.2-19, v3.1.1 MQTT-3.1.2-20, v3.1.1 MQTT-3.1.2-21]
        will | if self.clean_start { CLEAN_START } else { 0 }
            | if self.username.is_some() { USERNAME } else { 0 }
            | if self.password.is_some() { PASSWORD } else { 0 }
    }

    /// In the order of [v5 MQTT-3.1.3-1, v3.1.1 MQTT-3.1.3-1].
    fn layout(&self, sink: &mut impl Sink) {
        sink.properties(self.version, self.properties.as_bytes());
        sink.binary(self.client_id.as_bytes());
        if let Some(will) = &self.will {
            sink.properties(self.version, will.properties.as_bytes());
            sink.binary(will.topic.as_bytes());
            sink.binary(&will.payload);
        }
        if let Some(username) = &self.username {
            sink.binary(username.as_bytes());
        }
        if let Some(password) = &self.password {
            sink.binary(password);
        }
    }
}

impl fmt::Debug for ConnectBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectBuilder")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("username", &self.username.as_ref().map(|_| "redacted"))
            .field("password", &self.password.as_ref().map(|_| "redacted"))
            .field("properties", &self.properties)
            .finish()
    }
}
