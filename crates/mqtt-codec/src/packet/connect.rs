//! CONNECT (section 3.1 of both standards).

use core::fmt;

use bytes::Bytes;

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::text::Text;
use crate::{DecodeError, EncodeError, Properties, QoS, TopicName, Version, topic};

const USERNAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS: u8 = 0x18;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

/// A client asks for a connection. `Debug` shows neither user name nor password.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The version that this connection will speak.
    pub version: Version,
    /// Whether an earlier session is thrown away (MQTT 3.1.1: clean session).
    pub clean_start: bool,
    /// The longest silence of the client in seconds; 0: no limit.
    pub keep_alive: u16,
    /// Names the session. Empty: the server makes one up (MQTT 3.1.1: only with a clean session).
    pub client_id: Text,
    /// Published by the server when the connection ends without DISCONNECT.
    pub will: Option<Will>,
    /// User name.
    pub username: Option<Text>,
    /// Password; MQTT 3.1.1 allows one only beside a user name.
    pub password: Option<Bytes>,
    /// MQTT 5 properties.
    pub properties: Properties,
}

/// The message that the server publishes for a client that went away. `Debug` shows its payload's length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Will {
    /// Where to.
    pub topic: TopicName,
    /// The message, at most 65,535 bytes.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: QoS,
    /// Whether it is kept as the topic's retained message.
    pub retain: bool,
    /// MQTT 5 properties, the will's own set.
    pub properties: Properties,
}

impl Will {
    /// A QoS 0 will that is not retained.
    #[must_use]
    pub fn new(topic: TopicName, payload: impl Into<Bytes>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::new(),
        }
    }
}

impl Connect {
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

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // [MQTT-3.1.2-1]
        if reader.binary_ref()? != b"MQTT" {
            return Err(DecodeError::ProtocolName);
        }
        // [MQTT-3.1.2-2]
        let version = match reader.u8()? {
            4 => Version::V3_1_1,
            5 => Version::V5,
            level => return Err(DecodeError::ProtocolLevel(level)),
        };
        let flags = reader.u8()?;
        let will_qos = QoS::try_from((flags & WILL_QOS) >> 3)?;
        // [MQTT-3.1.2-3] reserved; [MQTT-3.1.2-11], [MQTT-3.1.2-13] will flags only with a will
        if flags & RESERVED != 0 || (flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0) {
            return Err(DecodeError::ConnectFlags);
        }
        // MQTT 3.1.1 [MQTT-3.1.2-22]
        if !version.is_v5() && flags & PASSWORD != 0 && flags & USERNAME == 0 {
            return Err(DecodeError::ConnectFlags);
        }
        let keep_alive = reader.u16()?;
        let properties = properties::read(reader, version, Context::Connect)?;
        let client_id = reader.text()?;
        let clean_start = flags & CLEAN_START != 0;
        // MQTT 3.1.1 [MQTT-3.1.3-7]
        if !version.is_v5() && client_id.is_empty() && !clean_start {
            return Err(DecodeError::EmptyClientId);
        }
        let will = if flags & WILL == 0 {
            None
        } else {
            let properties = properties::read(reader, version, Context::Will)?;
            let topic = reader.text()?;
            topic::check_name(topic.as_bytes())?;
            Some(Will {
                topic: TopicName::from_checked(topic),
                payload: reader.binary()?,
                qos: will_qos,
                retain: flags & WILL_RETAIN != 0,
                properties,
            })
        };
        let username = if flags & USERNAME == 0 { None } else { Some(reader.text()?) };
        let password = if flags & PASSWORD == 0 { None } else { Some(reader.binary()?) };
        Ok(Self { version, clean_start, keep_alive, client_id, will, username, password, properties })
    }

    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        let version = self.version;
        self.properties.check(version, Context::Connect)?;
        if !version.is_v5() {
            if self.password.is_some() && self.username.is_none() {
                return Err(EncodeError::NotInVersion { what: "a password without a user name", version });
            }
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

    fn flags(&self) -> u8 {
        let will = self
            .will
            .as_ref()
            .map_or(0, |will| WILL | (will.qos as u8) << 3 | if will.retain { WILL_RETAIN } else { 0 });
        will | if self.clean_start { CLEAN_START } else { 0 }
            | if self.username.is_some() { USERNAME } else { 0 }
            | if self.password.is_some() { PASSWORD } else { 0 }
    }

    pub(crate) fn layout(&self, sink: &mut impl Sink) {
        sink.binary(b"MQTT");
        sink.u8(self.version.level());
        sink.u8(self.flags());
        sink.u16(self.keep_alive);
        sink.properties(self.version, &self.properties);
        sink.text(&self.client_id);
        if let Some(will) = &self.will {
            sink.properties(self.version, &will.properties);
            sink.text(will.topic.text());
            sink.binary(&will.payload);
        }
        if let Some(username) = &self.username {
            sink.text(username);
        }
        if let Some(password) = &self.password {
            sink.binary(password);
        }
    }
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("payload", &format_args!("{} bytes", self.payload.len()))
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .finish()
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // User names carry tokens of custom authorizers, so they are secrets too.
        f.debug_struct("Connect")
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
