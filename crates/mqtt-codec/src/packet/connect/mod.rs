//! CONNECT (section 3.1 of both standards).

mod builder;

use core::fmt;
use core::ops::Range;

use bytes::Bytes;

pub use builder::ConnectBuilder;

use crate::layout::Sink;
use crate::properties::{self, Context};
use crate::reader::Reader;
use crate::rules::Rules;
use crate::text;
use crate::{Buffer, DecodeError, Properties, PropertiesRef, QoS, TopicName, Version, topic};

const USERNAME: u8 = 0x80;
const PASSWORD: u8 = 0x40;
const WILL_RETAIN: u8 = 0x20;
const WILL_QOS: u8 = 0x18;
const WILL: u8 = 0x04;
const CLEAN_START: u8 = 0x02;
const RESERVED: u8 = 0x01;

/// A client asks for a connection. `Debug` shows neither user name nor password.
///
/// It is put together by [`ConnectBuilder`], and read in place: each getter looks for its field in the packet's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Connect<B: Buffer = Bytes> {
    version: Version,
    flags: u8,
    keep_alive: u16,
    /// What stands behind the keep-alive, as on the wire.
    fields: B,
}

/// The message that the server publishes for a client that went away. `Debug` shows its payload's length only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Will<B: Buffer = Bytes> {
    /// Where to.
    pub topic: TopicName<B>,
    /// The message, at most 65,535 bytes.
    pub payload: B,
    /// Quality of service.
    pub qos: QoS,
    /// Whether it is kept as the topic's retained message.
    pub retain: bool,
    /// MQTT 5 properties, the will's own set.
    pub properties: Properties<B>,
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

/// Where the fields behind the keep-alive stand.
#[derive(Default)]
struct Fields {
    properties: Range<usize>,
    client_id: Range<usize>,
    will: Option<[Range<usize>; 3]>,
    username: Option<Range<usize>>,
    password: Option<Range<usize>>,
}

impl Fields {
    fn read(reader: &mut Reader<'_>, flags: u8, rules: &Rules) -> Result<Self, DecodeError> {
        let (properties, _) = properties::read(reader, rules, Context::Connect)?;
        // [v5 MQTT-3.1.3-3, v5 MQTT-3.1.3-4, v3.1.1 MQTT-3.1.3-3, v3.1.1 MQTT-3.1.3-4]
        let client_id = span(reader, Reader::text)?;
        let mut will = None;
        // [v5 MQTT-3.1.2-9, v3.1.1 MQTT-3.1.2-9]
        if flags & WILL != 0 {
            let (properties, _) = properties::read(reader, rules, Context::Will)?;
            // [v5 MQTT-3.1.3-11, v3.1.1 MQTT-3.1.3-10]
            let topic = span(reader, |reader| {
                let topic = reader.binary()?;
                let glance = text::check(topic)?;
                topic::check_name(topic, glance)?;
                Ok(topic)
            })?;
            will = Some([properties, topic, span(reader, Reader::binary)?]);
        }
        // [v5 MQTT-3.1.3-12, v3.1.1 MQTT-3.1.3-11]; there as its flag says [v5 MQTT-3.1.2-17, v3.1.1 MQTT-3.1.2-19].
        let username = if flags & USERNAME == 0 { None } else { Some(span(reader, Reader::text)?) };
        // [v5 MQTT-3.1.2-19, v3.1.1 MQTT-3.1.2-21]
        let password = if flags & PASSWORD == 0 { None } else { Some(span(reader, Reader::binary)?) };
        Ok(Self { properties, client_id, will, username, password })
    }
}

/// Where the bytes stand that `read` takes from behind a two-byte length.
fn span<'a>(
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<&'a [u8], DecodeError>,
) -> Result<Range<usize>, DecodeError> {
    let len = read(reader)?.len();
    let end = reader.position();
    Ok(end.saturating_sub(len)..end)
}

impl<B: Buffer> Connect<B> {
    /// On memory of its own: what is borrowed is copied, what is shared stays shared.
    #[must_use]
    pub fn into_owned(self) -> Connect {
        let Self { version, flags, keep_alive, fields } = self;
        Connect { version, flags, keep_alive, fields: fields.into_bytes() }
    }

    /// The version that this connection will speak.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether an earlier session is thrown away (MQTT 3.1.1: clean session).
    #[must_use]
    pub fn clean_start(&self) -> bool {
        self.flags & CLEAN_START != 0
    }

    /// The longest silence of the client in seconds; 0: no limit.
    #[must_use]
    pub fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    /// Names the session. Empty: the server makes one up.
    #[must_use]
    pub fn client_id(&self) -> &str {
        text::checked(self.bytes(self.fields().client_id))
    }

    /// Published by the server when the connection ends without DISCONNECT.
    #[must_use]
    pub fn will(&self) -> Option<Will<B>> {
        let [properties, topic, payload] = self.fields().will?;
        Some(Will {
            topic: TopicName::from_checked(self.fields.share(topic)),
            payload: self.fields.share(payload),
            qos: QoS::try_from((self.flags & WILL_QOS) >> 3).unwrap_or_default(),
            retain: self.flags & WILL_RETAIN != 0,
            properties: Properties::from_checked(self.fields.share(properties)),
        })
    }

    /// User name.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.fields().username.map(|range| text::checked(self.bytes(range)))
    }

    /// Password.
    #[must_use]
    pub fn password(&self) -> Option<&[u8]> {
        self.fields().password.map(|range| self.bytes(range))
    }

    /// MQTT 5 properties.
    #[must_use]
    pub fn properties(&self) -> PropertiesRef<'_> {
        PropertiesRef::from_checked(self.bytes(self.fields().properties))
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.fields.as_ref().get(range).unwrap_or_default()
    }

    /// They were checked when the packet came in or was built, so there is no error to tell of.
    fn fields(&self) -> Fields {
        let mut reader = Reader::new(self.fields.as_ref());
        Fields::read(&mut reader, self.flags, &Rules::trusting(self.version)).unwrap_or_default()
    }

    /// The version that a CONNECT asks for, whatever else is in it; `None` if it is unknown.
    pub(crate) fn peek_version(packet: &[u8], at: usize) -> Option<Version> {
        match packet.get(at..)? {
            [0, 4, b'M', b'Q', b'T', b'T', 4, ..] => Some(Version::V3_1_1),
            [0, 4, b'M', b'Q', b'T', b'T', 5, ..] => Some(Version::V5),
            _ => None,
        }
    }

    pub(crate) fn decode(packet: B, at: usize, rules: &Rules) -> Result<Self, DecodeError> {
        let mut reader = Reader::body(packet.as_ref(), at);
        // [v5 MQTT-3.1.2-1, v3.1.1 MQTT-3.1.2-1]
        if reader.binary()? != b"MQTT" {
            return Err(DecodeError::ProtocolName);
        }
        // [v5 MQTT-3.1.2-2, v3.1.1 MQTT-3.1.2-2]
        let version = match reader.u8()? {
            4 => Version::V3_1_1,
            5 => Version::V5,
            level => return Err(DecodeError::ProtocolLevel(level)),
        };
        let flags = reader.u8()?;
        check_flags(flags, version)?;
        let keep_alive = reader.u16()?;
        let start = reader.position();
        let fields = Fields::read(&mut reader, flags, &Rules { version, ..*rules })?;
        // [v3.1.1 MQTT-3.1.3-7, v3.1.1 MQTT-3.1.3-8]
        if !version.is_v5() && fields.client_id.is_empty() && flags & CLEAN_START == 0 {
            return Err(DecodeError::EmptyClientId);
        }
        let end = reader.position();
        // Everything was as it should be, and nothing is left over [v5 MQTT-3.1.4-1, v3.1.1 MQTT-3.1.4-1]: no field that
        // has no flag [v5 MQTT-3.1.2-16, v5 MQTT-3.1.2-18, v3.1.1 MQTT-3.1.2-18, v3.1.1 MQTT-3.1.2-20].
        reader.finish()?;
        Ok(Self { version, flags, keep_alive, fields: packet.cut(start..end) })
    }

    pub(crate) fn layout(&self, sink: &mut impl Sink) {
        sink.binary(b"MQTT");
        sink.u8(self.version.level());
        sink.u8(self.flags);
        sink.u16(self.keep_alive);
        sink.put(self.fields.as_ref());
    }
}

fn check_flags(flags: u8, version: Version) -> Result<(), DecodeError> {
    // [v5 MQTT-3.1.2-3, v3.1.1 MQTT-3.1.2-3]
    if flags & RESERVED != 0 {
        return Err(DecodeError::ConnectFlags);
    }
    // [v5 MQTT-3.1.2-11, v5 MQTT-3.1.2-13, v3.1.1 MQTT-3.1.2-11, v3.1.1 MQTT-3.1.2-13, v3.1.1 MQTT-3.1.2-15]
    if flags & WILL == 0 && flags & (WILL_QOS | WILL_RETAIN) != 0 {
        return Err(DecodeError::ConnectFlags);
    }
    // [v5 MQTT-3.1.2-12, v3.1.1 MQTT-3.1.2-14]
    QoS::try_from((flags & WILL_QOS) >> 3)?;
    // [v3.1.1 MQTT-3.1.2-22]
    if !version.is_v5() && flags & PASSWORD != 0 && flags & USERNAME == 0 {
        return Err(DecodeError::ConnectFlags);
    }
    Ok(())
}

impl<B: Buffer> fmt::Debug for Will<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("payload", &format_args!("{} bytes", self.payload.as_ref().len()))
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("properties", &self.properties)
            .finish()
    }
}

impl<B: Buffer> fmt::Debug for Connect<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // User names carry tokens of custom authorizers, so they are secrets too.
        f.debug_struct("Connect")
            .field("version", &self.version)
            .field("clean_start", &self.clean_start())
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id())
            .field("will", &self.will())
            .field("username", &self.username().map(|_| "redacted"))
            .field("password", &self.password().map(|_| "redacted"))
            .field("properties", &self.properties())
            .finish()
    }
}
