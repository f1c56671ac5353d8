//! What incoming bytes are held to: limits, leniency, and who sends them.

use crate::Version;
use crate::properties::Context;

/// What a decoder takes; the sizes are checked as soon as the fixed header is there, before anything is buffered.
///
/// ```
/// use mqtt_codec::{Codec, Limits};
///
/// // A server that takes small packets from clients it does not know yet.
/// let mut limits = Limits::default();
/// limits.max_control_packet_size = 4096;
/// limits.max_filters = 8;
/// let codec = Codec::server().with_limits(limits);
/// # let _ = codec;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest packet in bytes, fixed header included. Default: 1 MiB; at most 268,435,460.
    pub max_packet_size: u32,
    /// The largest packet of any type other than PUBLISH in bytes, fixed header included, within
    /// [`max_packet_size`](Self::max_packet_size). Default: no limit of its own.
    pub max_control_packet_size: u32,
    /// How many filters a SUBSCRIBE or UNSUBSCRIBE may carry. Default: no limit but the packet's size.
    pub max_filters: u32,
    /// How many properties a set may hold. Default: no limit but the packet's size.
    pub max_properties: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_packet_size: 1024 * 1024,
            max_control_packet_size: u32::MAX,
            max_filters: u32::MAX,
            max_properties: u32::MAX,
        }
    }
}

impl Limits {
    /// The defaults with this packet size in bytes.
    #[must_use]
    pub fn with_max_packet_size(max_packet_size: u32) -> Self {
        Self { max_packet_size, ..Self::default() }
    }
}

/// What is let pass although the standard forbids it, because programs in the field send it. Nothing by default.
///
/// Each field says who was seen to err. What is let pass is read as what it should have been, so that encoding it
/// again yields a valid packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Leniency {
    /// The reserved flags of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK are not looked at. ThingsBoard has sent
    /// PUBACK as `0x42` and SUBACK as `0x92`, older HiveMQ web clients PUBREL as `0x60` (against `[MQTT-2.1.3-1]`).
    pub flags_of_acknowledgements: bool,
    /// DUP on a QoS 0 message is read as 0. EMQX 2 has sent it (against `[MQTT-3.3.1-2]`).
    pub dup_on_qos_0: bool,
}

impl Leniency {
    /// Nothing is let pass: the default.
    #[must_use]
    pub const fn none() -> Self {
        Self { flags_of_acknowledgements: false, dup_on_qos_0: false }
    }

    /// All of it is let pass.
    #[must_use]
    pub const fn all() -> Self {
        Self { flags_of_acknowledgements: true, dup_on_qos_0: true }
    }
}

/// One end of a connection, or both for those who look on from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
    Both,
}

impl Side {
    /// The other end, which sends what this one receives.
    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
            Self::Both => Self::Both,
        }
    }

    /// The packet types that this side may send, a bit for each (MQTT 5, table 2-1; MQTT 3.1.1, table 2.1).
    pub(crate) const fn sends(self, version: Version) -> u16 {
        const CLIENT: u16 = 1 << 1 | 1 << 8 | 1 << 10 | 1 << 12;
        const SERVER: u16 = 1 << 2 | 1 << 9 | 1 << 11 | 1 << 13;
        const EITHER: u16 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7;
        const DISCONNECT: u16 = 1 << 14;
        const AUTH: u16 = 1 << 15;
        match (self, version) {
            (Self::Client, Version::V3_1_1) => CLIENT | EITHER | DISCONNECT,
            (Self::Client, Version::V5) => CLIENT | EITHER | DISCONNECT | AUTH,
            (Self::Server, Version::V3_1_1) => SERVER | EITHER,
            (Self::Server, Version::V5) => SERVER | EITHER | DISCONNECT | AUTH,
            (Self::Both, Version::V3_1_1) => CLIENT | SERVER | EITHER | DISCONNECT,
            (Self::Both, Version::V5) => CLIENT | SERVER | EITHER | DISCONNECT | AUTH,
        }
    }

    pub(crate) const fn publish(self) -> Context {
        match self {
            Self::Client => Context::PublishByClient,
            Self::Server | Self::Both => Context::Publish,
        }
    }

    pub(crate) const fn disconnect(self) -> Context {
        match self {
            Self::Client => Context::DisconnectByClient,
            Self::Server => Context::DisconnectByServer,
            Self::Both => Context::Disconnect,
        }
    }
}

/// What the body of one packet is read by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) version: Version,
    /// Who sends what is read.
    pub(crate) sender: Side,
    pub(crate) limits: Limits,
    pub(crate) lenient: Leniency,
}

impl Rules {
    /// For bytes that were checked before.
    pub(crate) fn trusting(version: Version) -> Self {
        Self { version, sender: Side::Both, limits: Limits::default(), lenient: Leniency::all() }
    }
}
