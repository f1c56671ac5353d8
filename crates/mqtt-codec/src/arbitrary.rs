//! [`arbitrary::Arbitrary`] for packets and what they are made of: feature `arbitrary`.

use alloc::string::String;
use alloc::vec::Vec;

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;

use crate::packet::{
    Ack, Auth, ConnAck, ConnectBuilder, Disconnect, Publish, RetainHandling, SubAck, Subscribe,
    SubscriptionOptions, Unsubscribe, Will,
};
use crate::properties::{Context, allows};
use crate::{
    Packet, PacketId, Properties, Property, PropertyId, QoS, ReasonCode, Text, TopicFilter, TopicName,
    Version,
};

/// A packet that can be sent in its version, by one side or the other.
///
/// ```
/// use arbitrary::{Arbitrary, Unstructured};
/// use bytes::BytesMut;
/// use mqtt_codec::{Codec, VersionedPacket};
///
/// let VersionedPacket { version, packet } = VersionedPacket::arbitrary(&mut Unstructured::new(&[7; 64]))?;
/// assert!(Codec::observer(version).encode(&packet, &mut BytesMut::new()).is_ok());
/// # Ok::<(), arbitrary::Error>(())
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "arbitrary")))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedPacket {
    /// The version.
    pub version: Version,
    /// The packet.
    pub packet: Packet,
}

impl<'a> Arbitrary<'a> for Version {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(&[Self::V3_1_1, Self::V5]).copied()
    }
}

impl<'a> Arbitrary<'a> for QoS {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(&[Self::AtMostOnce, Self::AtLeastOnce, Self::ExactlyOnce]).copied()
    }
}

impl<'a> Arbitrary<'a> for PacketId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Self::new(u.int_in_range(1..=u16::MAX)?).ok_or(arbitrary::Error::IncorrectFormat)
    }
}

/// A string that `keep` has nothing against, cut to the longest that MQTT carries.
fn string(u: &mut Unstructured<'_>, keep: fn(char) -> bool) -> Result<String> {
    let mut text: String = u.arbitrary::<&str>()?.chars().filter(|c| *c != '\0' && keep(*c)).collect();
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.truncate(end);
    Ok(text)
}

fn topic(u: &mut Unstructured<'_>) -> Result<String> {
    let text = string(u, |c| !matches!(c, '+' | '#'))?;
    Ok(if text.is_empty() { "/".into() } else { text })
}

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Self::try_from(string(u, |_| true)?).map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for TopicName {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Self::try_from(topic(u)?).map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for TopicFilter {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut levels: Vec<String> = Vec::new();
        if u.ratio(1, 8)? {
            let name: String = string(u, |c| !matches!(c, '+' | '#' | '/'))?.chars().take(9).collect();
            levels.extend(["$share".into(), if name.is_empty() { "g".into() } else { name }]);
        }
        for _ in 0..u.int_in_range(1..=6)? {
            levels.push(if u.ratio(1, 4)? {
                "+".into()
            } else {
                string(u, |c| !matches!(c, '+' | '#' | '/'))?.chars().take(9).collect()
            });
        }
        if u.ratio(1, 4)? {
            levels.push("#".into());
        }
        // A single empty level is no filter.
        Self::try_from(levels.join("/"))
            .or_else(|_| Self::try_from("/"))
            .map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for SubscriptionOptions {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
        Ok(Self {
            qos: u.arbitrary()?,
            no_local: u.arbitrary()?,
            retain_as_published: u.arbitrary()?,
            retain_handling: *u.choose(&handling)?,
        })
    }
}

/// Properties that may stand in `context`.
fn properties(u: &mut Unstructured<'_>, version: Version, context: Context) -> Result<Properties> {
    let mut all = Properties::new();
    if !version.is_v5() {
        return Ok(all);
    }
    for id in PropertyId::ALL {
        if !allows(*id, context) || !u.ratio(1, 4)? {
            continue;
        }
        let times = if *id == PropertyId::UserProperty { u.int_in_range(1..=3)? } else { 1 };
        for _ in 0..times {
            all = with(u, all, *id)?;
        }
    }
    // The data of an authentication goes with its method.
    if all.as_ref().authentication_data().is_some() && all.as_ref().authentication_method().is_none() {
        all = with(u, all, PropertyId::AuthenticationMethod)?;
    }
    Ok(all)
}

fn with(u: &mut Unstructured<'_>, all: Properties, id: PropertyId) -> Result<Properties> {
    let (text, more) = if id == PropertyId::ResponseTopic {
        (topic(u)?, String::new())
    } else {
        (string(u, |_| true)?, string(u, |_| true)?)
    };
    let data = u.arbitrary::<&[u8]>()?;
    let data = data.get(..usize::from(u16::MAX)).unwrap_or(data);
    let number: u32 = u.arbitrary()?;
    let (flag, short) = (number & 1 != 0, (number >> 16) as u16);
    let property = match id {
        PropertyId::PayloadFormatIndicator => Property::PayloadFormatIndicator(flag),
        PropertyId::MessageExpiryInterval => Property::MessageExpiryInterval(number),
        PropertyId::ContentType => Property::ContentType(&text),
        PropertyId::ResponseTopic => Property::ResponseTopic(&text),
        PropertyId::CorrelationData => Property::CorrelationData(data),
        PropertyId::SubscriptionIdentifier => {
            Property::SubscriptionIdentifier((number & crate::codec::MAX_VAR_INT).max(1))
        }
        PropertyId::SessionExpiryInterval => Property::SessionExpiryInterval(number),
        PropertyId::AssignedClientIdentifier => Property::AssignedClientIdentifier(&text),
        PropertyId::ServerKeepAlive => Property::ServerKeepAlive(short),
        PropertyId::AuthenticationMethod => Property::AuthenticationMethod(&text),
        PropertyId::AuthenticationData => Property::AuthenticationData(data),
        PropertyId::RequestProblemInformation => Property::RequestProblemInformation(flag),
        PropertyId::WillDelayInterval => Property::WillDelayInterval(number),
        PropertyId::RequestResponseInformation => Property::RequestResponseInformation(flag),
        PropertyId::ResponseInformation => Property::ResponseInformation(&text),
        PropertyId::ServerReference => Property::ServerReference(&text),
        PropertyId::ReasonString => Property::ReasonString(&text),
        PropertyId::ReceiveMaximum => Property::ReceiveMaximum(short.max(1)),
        PropertyId::TopicAliasMaximum => Property::TopicAliasMaximum(short),
        PropertyId::TopicAlias => Property::TopicAlias(short.max(1)),
        PropertyId::MaximumQoS => Property::MaximumQoS(flag),
        PropertyId::RetainAvailable => Property::RetainAvailable(flag),
        PropertyId::UserProperty => Property::UserProperty(&text, &more),
        PropertyId::MaximumPacketSize => Property::MaximumPacketSize(number.max(1)),
        PropertyId::WildcardSubscriptionAvailable => Property::WildcardSubscriptionAvailable(flag),
        PropertyId::SubscriptionIdentifierAvailable => Property::SubscriptionIdentifierAvailable(flag),
        PropertyId::SharedSubscriptionAvailable => Property::SharedSubscriptionAvailable(flag),
    };
    all.with(property).map_err(|_| arbitrary::Error::IncorrectFormat)
}

/// A reason code that `packet` may carry, by trying: what the encoder refuses is replaced by success.
fn reason(
    u: &mut Unstructured<'_>,
    packet: impl Fn(ReasonCode) -> Packet,
    version: Version,
) -> Result<Packet> {
    let wanted = packet(ReasonCode::from_u8(u.arbitrary()?).unwrap_or_default());
    let fits = crate::Codec::observer(version).encoded_len(&wanted).is_ok();
    Ok(if fits { wanted } else { packet(ReasonCode::Success) })
}

fn bytes(u: &mut Unstructured<'_>) -> Result<Bytes> {
    u.arbitrary::<&[u8]>().map(Bytes::copy_from_slice)
}

fn publish(u: &mut Unstructured<'_>, version: Version) -> Result<Packet> {
    let message = Publish::new(u.arbitrary()?, bytes(u)?).with_retain(u.arbitrary()?);
    let properties = properties(u, version, Context::Publish)?;
    let message = message.with_properties(&properties).map_err(|_| arbitrary::Error::IncorrectFormat)?;
    let message = match u.arbitrary()? {
        QoS::AtMostOnce => message,
        QoS::AtLeastOnce => message.at_least_once(u.arbitrary()?),
        QoS::ExactlyOnce => message.exactly_once(u.arbitrary()?),
    };
    Ok(message.with_dup(u.arbitrary()?).into())
}

fn connect(u: &mut Unstructured<'_>, version: Version) -> Result<Packet> {
    let short = |u: &mut Unstructured<'_>| {
        bytes(u).map(|bytes| bytes.slice(..bytes.len().min(usize::from(u16::MAX))))
    };
    let mut connect = ConnectBuilder::new(version, u.arbitrary()?);
    connect.clean_start = u.arbitrary::<bool>()? || connect.client_id.is_empty();
    connect.keep_alive = u.arbitrary()?;
    connect.properties = properties(u, version, Context::Connect)?;
    if u.arbitrary()? {
        let mut will = Will::new(u.arbitrary()?, short(u)?);
        (will.qos, will.retain) = (u.arbitrary()?, u.arbitrary()?);
        will.properties = properties(u, version, Context::Will)?;
        connect.will = Some(will);
    }
    connect.username = u.arbitrary()?;
    if (version.is_v5() || connect.username.is_some()) && u.arbitrary()? {
        connect.password = Some(short(u)?);
    }
    connect.build().map(Packet::from).map_err(|_| arbitrary::Error::IncorrectFormat)
}

fn ack(
    u: &mut Unstructured<'_>,
    version: Version,
    context: Context,
    wrap: fn(Ack) -> Packet,
) -> Result<Packet> {
    let packet_id = u.arbitrary()?;
    let properties = properties(u, version, context)?;
    reason(u, |reason| wrap(Ack { packet_id, reason, properties: properties.clone() }), version)
}

fn subscribe(u: &mut Unstructured<'_>, version: Version) -> Result<Packet> {
    let mut entries: Vec<(TopicFilter, SubscriptionOptions)> = Vec::new();
    for _ in 0..u.int_in_range(1..=4)? {
        let (filter, mut options): (TopicFilter, SubscriptionOptions) = u.arbitrary()?;
        if !version.is_v5() {
            options = SubscriptionOptions::at(options.qos);
        }
        options.no_local &= filter.share_name().is_none();
        entries.push((filter, options));
    }
    let mut packet =
        Subscribe::new(u.arbitrary()?, entries.iter().map(|(filter, options)| (filter, *options)));
    packet.properties = properties(u, version, Context::Subscribe)?;
    Ok(packet.into())
}

fn suback(
    u: &mut Unstructured<'_>,
    version: Version,
    context: Context,
    wrap: fn(SubAck) -> Packet,
) -> Result<Packet> {
    let packet_id = u.arbitrary()?;
    let properties = properties(u, version, context)?;
    let count = u.int_in_range(1..=4)?;
    let count = if context == Context::UnsubAck && !version.is_v5() { 0 } else { count };
    reason(
        u,
        |reason| {
            let mut packet = SubAck::new(packet_id, core::iter::repeat_n(reason, count));
            packet.properties = properties.clone();
            wrap(packet)
        },
        version,
    )
}

impl<'a> Arbitrary<'a> for VersionedPacket {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let version: Version = u.arbitrary()?;
        let last = if version.is_v5() { 15 } else { 14 };
        let packet = match u.int_in_range(1..=last)? {
            1 => connect(u, version)?,
            2 => {
                let session_present = u.arbitrary()?;
                let properties = properties(u, version, Context::ConnAck)?;
                let packet = |reason| {
                    let session_present = session_present && reason == ReasonCode::Success;
                    ConnAck { session_present, reason, properties: properties.clone() }.into()
                };
                reason(u, packet, version)?
            }
            4 => ack(u, version, Context::PubAck, Packet::PubAck)?,
            5 => ack(u, version, Context::PubRec, Packet::PubRec)?,
            6 => ack(u, version, Context::PubRel, Packet::PubRel)?,
            7 => ack(u, version, Context::PubComp, Packet::PubComp)?,
            8 => subscribe(u, version)?,
            9 => suback(u, version, Context::SubAck, Packet::SubAck)?,
            10 => {
                let filters: [TopicFilter; 2] = u.arbitrary()?;
                let count = u.int_in_range(1..=2)?;
                let mut packet = Unsubscribe::new(u.arbitrary()?, filters.iter().take(count));
                packet.properties = properties(u, version, Context::Unsubscribe)?;
                packet.into()
            }
            11 => suback(u, version, Context::UnsubAck, Packet::UnsubAck)?,
            12 => Packet::PingReq,
            13 => Packet::PingResp,
            14 => {
                let properties = properties(u, version, Context::Disconnect)?;
                reason(u, |reason| Disconnect { reason, properties: properties.clone() }.into(), version)?
            }
            15 => {
                let mut properties = properties(u, version, Context::Auth)?;
                if properties.as_ref().authentication_method().is_none() {
                    properties = with(u, properties, PropertyId::AuthenticationMethod)?;
                }
                reason(u, |reason| Auth { reason, properties: properties.clone() }.into(), version)?
            }
            _ => publish(u, version)?,
        };
        Ok(Self { version, packet })
    }
}
