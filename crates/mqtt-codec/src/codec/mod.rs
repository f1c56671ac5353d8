//! The codec of one connection: what it is, and what it is held to.

mod decode;
mod encode;

use crate::rules::{Rules, Side};
use crate::{Leniency, Limits, Version};

/// The largest number a variable byte integer holds, and so the largest Remaining Length.
pub(crate) const MAX_VAR_INT: u32 = 268_435_455;

/// The largest packet that MQTT can say: a fixed header of 5 bytes and a Remaining Length of 268,435,455.
const MAX_PACKET: u32 = MAX_VAR_INT + 5;

// Lengths of packets go into `usize`.
const _: () = assert!(usize::BITS >= 32);

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;

/// Decodes and encodes the packets of one connection.
///
/// # Contract
/// A codec stands at one end of a connection: [`client`](Self::client) decodes what servers may send and encodes what
/// clients may send, [`server`](Self::server) the other way round, [`observer`](Self::observer) both.
///
/// Feed [`decode`](Self::decode) one buffer to which incoming bytes are appended. It takes whole packets from the
/// buffer's front and leaves the rest. [`decode_ref`](Self::decode_ref) does the same on borrowed bytes. After an error
/// the position in the stream is lost: answer, then close.
///
/// A codec made by [`server`](Self::server) takes its version from the first packet, which must be CONNECT; before it came,
/// nothing but CONNACK, AUTH and DISCONNECT can be encoded. A CONNACK that refuses a faulty CONNECT is written in the version
/// that the CONNECT asked for, and in that of MQTT 3.1.1 when it is unknown. An observer follows the version of each CONNECT
/// that it decodes.
///
/// Both decoders change the codec's state when they take a CONNECT: whoever looks ahead does so on a clone.
///
/// ```
/// use bytes::BytesMut;
/// use mqtt_codec::{Codec, Packet, Version};
///
/// let mut codec = Codec::client(Version::V5);
/// let mut buffer = BytesMut::from(&[0xD0, 0x00, 0xD0][..]);
/// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingResp));
/// assert_eq!(codec.decode(&mut buffer)?, None); // the second one is not complete yet
/// # Ok::<(), mqtt_codec::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Codec {
    side: Side,
    /// Whether the version is known: always at the client's side, from CONNECT on at the server's.
    started: bool,
    rules: Rules,
    /// The packet types that are taken now, a bit for each.
    takes: u16,
}

impl Codec {
    /// For the client's side, which knows its version.
    #[must_use]
    pub fn client(version: Version) -> Self {
        Self::of(Side::Client, Some(version))
    }

    /// For the server's side, which learns the version from CONNECT.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, DecodeError, Packet, Version};
    ///
    /// let mut codec = Codec::server();
    /// let mut buffer = BytesMut::from(&b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02id\xc0\x00"[..]);
    /// assert!(matches!(codec.decode(&mut buffer)?, Some(Packet::Connect(_))));
    /// assert_eq!(codec.version(), Some(Version::V3_1_1));
    /// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingReq));
    /// // CONNECT comes first, and once.
    /// let error = Codec::server().decode(&mut BytesMut::from(&b"\xc0\x00"[..])).unwrap_err();
    /// assert_eq!(error, DecodeError::ConnectExpected);
    /// # Ok::<(), DecodeError>(())
    /// ```
    #[must_use]
    pub fn server() -> Self {
        Self::of(Side::Server, None)
    }

    /// For the server's side of a connection whose CONNECT was read elsewhere: any further one is refused.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, Packet, Version, packet::ConnAck};
    ///
    /// let mut answer = BytesMut::new();
    /// Codec::server_after_connect(Version::V5).encode(&Packet::from(ConnAck::default()), &mut answer)?;
    /// assert_eq!(answer, &b"\x20\x03\x00\x00\x00"[..]);
    /// # Ok::<(), mqtt_codec::EncodeError>(())
    /// ```
    #[must_use]
    pub fn server_after_connect(version: Version) -> Self {
        let mut codec = Self::of(Side::Server, Some(version));
        codec.takes &= !(1 << CONNECT);
        codec
    }

    /// For those who look on from outside (proxies, analysers, tests): takes what either side may send, CONNECT of
    /// whatever version at any time, whose version it then follows.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, Packet, Version};
    ///
    /// let mut codec = Codec::observer(Version::V5);
    /// let mut buffer = BytesMut::from(&b"\xc0\x00\xd0\x00"[..]);
    /// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingReq)); // from the client
    /// assert_eq!(codec.decode(&mut buffer)?, Some(Packet::PingResp)); // from the server
    /// # Ok::<(), mqtt_codec::DecodeError>(())
    /// ```
    #[must_use]
    pub fn observer(version: Version) -> Self {
        Self::of(Side::Both, Some(version))
    }

    fn of(side: Side, version: Option<Version>) -> Self {
        let sender = side.peer();
        let known = version.unwrap_or(Version::V5);
        Self {
            side,
            started: version.is_some(),
            rules: Rules { version: known, sender, limits: Limits::default(), lenient: Leniency::none() },
            takes: if version.is_some() { sender.sends(known) } else { 1 << CONNECT },
        }
    }

    /// With limits other than the defaults.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.rules.limits = limits;
        self
    }

    /// Lets pass what real programs are known to get wrong; nothing by default.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use mqtt_codec::{Codec, DecodeError, Leniency, Version};
    ///
    /// // A PUBACK with reserved flags set.
    /// let bytes = &[0x42, 0x02, 0x00, 0x07][..];
    /// let mut strict = Codec::client(Version::V3_1_1);
    /// assert_eq!(strict.decode(&mut BytesMut::from(bytes)), Err(DecodeError::InvalidFlags));
    /// let mut lenient = strict.with_leniency(Leniency::all());
    /// assert!(lenient.decode(&mut BytesMut::from(bytes))?.is_some());
    /// # Ok::<(), DecodeError>(())
    /// ```
    #[must_use]
    pub fn with_leniency(mut self, leniency: Leniency) -> Self {
        self.rules.lenient = leniency;
        self
    }

    /// The connection's version, once it is known.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.started.then_some(self.rules.version)
    }
}
