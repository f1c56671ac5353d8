//! Packets and errors in the words of the byte vectors.

use std::fmt::Write;

use mqtt_codec::packet::{Ack, Connect, Publish, SubAck, Subscribe, Unsubscribe};
use mqtt_codec::{AnyPacket, Buffer, DecodeError, PropertiesRef, Property, ReasonCode};

/// The error as it stands behind `error:`.
pub(crate) fn error(error: &DecodeError) -> String {
    match error {
        DecodeError::UnknownPacketType(number) => format!("UnknownPacketType(0x{number:02X})"),
        DecodeError::ProtocolLevel(number) => format!("ProtocolLevel(0x{number:02X})"),
        DecodeError::InvalidReasonCode(number) => format!("InvalidReasonCode(0x{number:02X})"),
        DecodeError::UnknownProperty(number) => format!("UnknownProperty(0x{number:02X})"),
        DecodeError::WrongDirection { .. } => "WrongDirection".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The packet as it stands behind `expect:`.
pub(crate) fn packet<B: Buffer>(packet: &AnyPacket<B>) -> String {
    let body = match packet {
        AnyPacket::Connect(packet) => connect(packet),
        AnyPacket::ConnAck(packet) => format!(
            " session_present={} {} {}",
            u8::from(packet.session_present),
            reason(packet.reason),
            properties(packet.properties.as_ref())
        ),
        AnyPacket::Publish(packet) => publish(packet),
        AnyPacket::PubAck(packet)
        | AnyPacket::PubRec(packet)
        | AnyPacket::PubRel(packet)
        | AnyPacket::PubComp(packet) => ack(packet),
        AnyPacket::Subscribe(packet) => subscribe(packet),
        AnyPacket::SubAck(packet) | AnyPacket::UnsubAck(packet) => suback(packet),
        AnyPacket::Unsubscribe(packet) => unsubscribe(packet),
        AnyPacket::Disconnect(packet) => end(packet.reason, packet.properties.as_ref()),
        AnyPacket::Auth(packet) => end(packet.reason, packet.properties.as_ref()),
        _ => String::new(),
    };
    format!("{}{body}", packet.name())
}

fn connect<B: Buffer>(packet: &Connect<B>) -> String {
    let mut out = format!(
        " version={} clean={} keep_alive={} client_id={}",
        packet.version().level(),
        u8::from(packet.clean_start()),
        packet.keep_alive(),
        text(packet.client_id().as_bytes())
    );
    if let Some(will) = packet.will() {
        let (topic, payload) = (text(will.topic.as_bytes()), binary(will.payload.as_ref()));
        let (qos, retain) = (will.qos as u8, u8::from(will.retain));
        let _ = write!(
            out,
            " will_topic={topic} will_payload={payload} will_qos={qos} will_retain={retain} will_{}",
            properties(will.properties.as_ref())
        );
    }
    if let Some(username) = packet.username() {
        let _ = write!(out, " username={}", text(username.as_bytes()));
    }
    if let Some(password) = packet.password() {
        let _ = write!(out, " password={}", binary(password));
    }
    format!("{out} {}", properties(packet.properties()))
}

fn publish<B: Buffer>(packet: &Publish<B>) -> String {
    let id = packet.packet_id().map(|id| format!(" id={id}")).unwrap_or_default();
    format!(
        " qos={} dup={} retain={} topic={}{id} payload={} {}",
        packet.qos() as u8,
        u8::from(packet.dup()),
        u8::from(packet.retain()),
        text(packet.topic().as_bytes()),
        binary(packet.payload()),
        properties(packet.properties())
    )
}

fn ack<B: Buffer>(packet: &Ack<B>) -> String {
    format!(" id={}{}", packet.packet_id, end(packet.reason, packet.properties.as_ref()))
}

fn end(code: ReasonCode, set: PropertiesRef<'_>) -> String {
    format!(" {} {}", reason(code), properties(set))
}

fn subscribe<B: Buffer>(packet: &Subscribe<B>) -> String {
    let filters = packet.filters().map(|(filter, options)| {
        format!(
            "{}:qos={},nl={},rap={},rh={}",
            text(filter.as_bytes()),
            options.qos as u8,
            u8::from(options.no_local),
            u8::from(options.retain_as_published),
            options.retain_handling as u8
        )
    });
    let properties = properties(packet.properties.as_ref());
    format!(" id={} filters={} {properties}", packet.packet_id, list(filters))
}

fn unsubscribe<B: Buffer>(packet: &Unsubscribe<B>) -> String {
    let filters = packet.filters().map(|filter| text(filter.as_bytes()));
    let properties = properties(packet.properties.as_ref());
    format!(" id={} filters={} {properties}", packet.packet_id, list(filters))
}

fn suback<B: Buffer>(packet: &SubAck<B>) -> String {
    let reasons = list(packet.reasons().map(|code| format!("0x{:02X}", code.code())));
    format!(" id={} reasons={reasons} {}", packet.packet_id, properties(packet.properties.as_ref()))
}

fn reason(code: ReasonCode) -> String {
    format!("reason=0x{:02X}", code.code())
}

fn properties(set: PropertiesRef<'_>) -> String {
    format!("properties={}", list(set.iter().map(property)))
}

fn property(property: Property<'_>) -> String {
    use Property as P;
    let value = match property {
        P::PayloadFormatIndicator(value)
        | P::RequestProblemInformation(value)
        | P::RequestResponseInformation(value)
        | P::MaximumQoS(value)
        | P::RetainAvailable(value)
        | P::WildcardSubscriptionAvailable(value)
        | P::SubscriptionIdentifierAvailable(value)
        | P::SharedSubscriptionAvailable(value) => u8::from(value).to_string(),
        P::ServerKeepAlive(value)
        | P::ReceiveMaximum(value)
        | P::TopicAliasMaximum(value)
        | P::TopicAlias(value) => value.to_string(),
        P::MessageExpiryInterval(value)
        | P::SubscriptionIdentifier(value)
        | P::SessionExpiryInterval(value)
        | P::WillDelayInterval(value)
        | P::MaximumPacketSize(value) => value.to_string(),
        P::ContentType(value)
        | P::ResponseTopic(value)
        | P::AssignedClientIdentifier(value)
        | P::AuthenticationMethod(value)
        | P::ResponseInformation(value)
        | P::ServerReference(value)
        | P::ReasonString(value) => text(value.as_bytes()),
        P::CorrelationData(value) | P::AuthenticationData(value) => binary(value),
        P::UserProperty(name, value) => format!("{}={}", text(name.as_bytes()), text(value.as_bytes())),
        other => panic!("{other:?} is new: say here how it reads"),
    };
    format!("{:?}={value}", property.id())
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(" "))
}

/// What is longer is told by its length; the bytes are compared anyway.
const LONG: usize = 64;

fn text(bytes: &[u8]) -> String {
    if bytes.len() > LONG {
        return format!("len:{}", bytes.len());
    }
    let mut out = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                let _ = write!(out, "\\x{byte:02X}");
            }
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02X}");
            }
        }
    }
    out + "\""
}

fn binary(bytes: &[u8]) -> String {
    if bytes.len() > LONG {
        return format!("len:{}", bytes.len());
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{hex}>")
}
