//! What a session is opened with.

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

use bytes::Bytes;
use mqtt_codec::packet::{Connect, ConnectBuilder, Will};
use mqtt_codec::{Codec, EncodeError, InvalidText, Properties, Property, Text, Version};

/// What CONNECT says, and the engine's own limits. `Debug` shows neither user name nor password.
#[derive(Clone)]
pub struct ConnectOptions {
    pub(crate) version: Version,
    client_id: Text,
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    pub(crate) session_expiry: u32,
    will: Option<Will>,
    username: Option<Text>,
    password: Option<Bytes>,
    pub(crate) receive_maximum: u16,
    pub(crate) max_packet_size: u32,
    pub(crate) window: u16,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) containment: Option<NonZeroU8>,
}

/// Why options do not make a CONNECT.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionsError {
    /// A string is no MQTT string.
    Text(&'static str, InvalidText),
    /// A value is out of its range.
    Range(&'static str),
    /// The version cannot carry it.
    Encode(EncodeError),
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(what, error) => write!(f, "the {what} is {error}"),
            Self::Range(what) => f.write_str(what),
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OptionsError {}

impl ConnectOptions {
    /// A clean start, keep-alive 30 s, connect timeout 30 s, operation timeout 5 s, a window of 100 both ways,
    /// packets up to 1 MiB.
    ///
    /// # Errors
    /// The client identifier is no MQTT string.
    pub fn new(version: Version, client_id: &str) -> Result<Self, OptionsError> {
        Ok(Self {
            version,
            client_id: Text::try_from(client_id).map_err(|error| OptionsError::Text("client id", error))?,
            clean_start: true,
            keep_alive: 30,
            session_expiry: 0,
            will: None,
            username: None,
            password: None,
            receive_maximum: 100,
            max_packet_size: 1024 * 1024,
            window: 100,
            connect_timeout: Duration::from_secs(30),
            operation_timeout: Duration::from_secs(5),
            containment: NonZeroU8::new(3),
        })
    }

    /// Whether an earlier session is thrown away at the first connection. Default: yes.
    ///
    /// In MQTT 3.1.1 this is the clean session flag: with it, each connection has a session of its own. In MQTT 5
    /// later connections of the same client take the session up again if it outlives the connection, see
    /// [`session_expiry`](Self::session_expiry).
    #[must_use]
    pub fn clean_start(mut self, clean_start: bool) -> Self {
        self.clean_start = clean_start;
        self
    }

    /// MQTT 5: how long the session outlives its connection, in seconds, rounded up; from 4,294,967,295 s on: for ever.
    /// Default: not at all. MQTT 3.1.1 has no such word: a session without clean start lives as the server likes.
    #[must_use]
    pub fn session_expiry(mut self, expiry: Duration) -> Self {
        self.session_expiry = u32::try_from(whole_seconds(expiry)).unwrap_or(u32::MAX);
        self
    }

    /// The longest silence on the link before it is tested by PINGREQ, in seconds, rounded up, at most 65,535 s; zero
    /// turns it off. Default: 30 s. A PINGREQ not answered within half of it ends the connection.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.keep_alive = u16::try_from(whole_seconds(keep_alive)).unwrap_or(u16::MAX);
        self
    }

    /// What the server publishes when this client goes away without DISCONNECT. Default: nothing.
    #[must_use]
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// User name and password. Default: neither.
    ///
    /// # Errors
    /// The user name is no MQTT string, or the password is longer than 65,535 bytes.
    pub fn login(mut self, username: &str, password: Option<Bytes>) -> Result<Self, OptionsError> {
        self.username =
            Some(Text::try_from(username).map_err(|error| OptionsError::Text("user name", error))?);
        if password.as_ref().is_some_and(|password| password.len() > usize::from(u16::MAX)) {
            return Err(OptionsError::Range("the password is longer than 65,535 bytes"));
        }
        self.password = password;
        Ok(self)
    }

    /// How many received messages of QoS 1 and 2 may wait for their acknowledgement, 1 to 65,535. Default: 100. MQTT 5
    /// servers are told and obey; the driver stops reading from others.
    #[must_use]
    pub fn receive_maximum(mut self, messages: u16) -> Self {
        self.receive_maximum = messages.max(1);
        self
    }

    /// The largest packet taken, in bytes, at least 128. Default: 1 MiB.
    #[must_use]
    pub fn max_packet_size(mut self, bytes: u32) -> Self {
        self.max_packet_size = bytes.max(128);
        self
    }

    /// How many sent messages of QoS 1 and 2 may wait for their acknowledgement, 1 to 65,535; the server's Receive Maximum
    /// lowers it. Default: 100, AWS IoT Core's limit.
    #[must_use]
    pub fn window(mut self, messages: u16) -> Self {
        self.window = messages.max(1);
        self
    }

    /// How long CONNACK may take from the moment the link is up. Default: 30 s. A driver sets a limit to the whole
    /// attempt besides (`Config::connect_timeout`); the earlier one holds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long an answer to a publish, subscribe or unsubscribe is waited for, from the hand-over to the link.
    /// Default: 5 s.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How often in a row the server may end the connection within the operation timeout after a message of QoS 1 or 2
    /// was sent, and before it was acknowledged, until the message is given up as
    /// [`OpError::Poisoned`](crate::OpError); 1 to 255, `None`: for ever. Default: 3.
    ///
    /// A server that does not allow a topic often says so by ending the connection only. Sent again each time, one such
    /// message would keep the client from ever doing anything else. Since others were on their way with it, a message
    /// goes alone once its next strike would be the last: with 1, messages always go one at a time.
    #[must_use]
    pub fn containment(mut self, strikes: Option<u8>) -> Self {
        self.containment = strikes.map(|strikes| NonZeroU8::new(strikes).unwrap_or(NonZeroU8::MIN));
        self
    }

    /// The client identifier.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client_id.as_str()
    }

    /// Whether the options make a CONNECT that can be sent.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if self.version == Version::V3_1_1 && self.session_expiry != 0 {
            return Err(OptionsError::Encode(EncodeError::NotInVersion {
                what: "a session expiry; use clean_start(false)",
                version: self.version,
            }));
        }
        let connect = self.connect(true).map_err(OptionsError::Encode)?;
        Codec::client(self.version).encoded_len(&connect.into()).map(|_| ()).map_err(OptionsError::Encode)
    }

    /// Whether the session outlives a connection, as far as this side is concerned.
    pub(crate) fn is_persistent(&self) -> bool {
        match self.version {
            Version::V3_1_1 => !self.clean_start,
            Version::V5 => self.session_expiry != 0,
        }
    }

    /// The CONNECT of the first connection, or of a later one.
    pub(crate) fn connect(&self, first: bool) -> Result<Connect, EncodeError> {
        let mut properties = Properties::new();
        if self.version.is_v5() {
            if self.session_expiry != 0 {
                properties = properties.with(Property::SessionExpiryInterval(self.session_expiry))?;
            }
            properties = properties
                .with(Property::ReceiveMaximum(self.receive_maximum))?
                .with(Property::MaximumPacketSize(self.max_packet_size))?;
        }
        let mut connect = ConnectBuilder::new(self.version, self.client_id.clone());
        connect.clean_start = self.clean_start && (first || !self.is_persistent());
        connect.keep_alive = self.keep_alive;
        connect.will.clone_from(&self.will);
        connect.username.clone_from(&self.username);
        connect.password.clone_from(&self.password);
        connect.properties = properties;
        connect.build()
    }
}

/// Seconds, rounded up: what is not zero stays not zero.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("session_expiry", &self.session_expiry)
            .field("will", &self.will)
            .field("login", &self.username.as_ref().map(|_| "redacted"))
            .field("receive_maximum", &self.receive_maximum)
            .field("max_packet_size", &self.max_packet_size)
            .field("window", &self.window)
            .field("connect_timeout", &self.connect_timeout)
            .field("operation_timeout", &self.operation_timeout)
            .field("containment", &self.containment)
            .finish()
    }
}
