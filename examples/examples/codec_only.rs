//! The codec alone: packets of MQTT into bytes and back, without a network, a task or a clock.
//! It encodes a PUBLISH of MQTT 5 with properties, decodes it from a buffer as it would come from a socket, in two pieces, and
//! looks at a broken packet. It takes no arguments.
//! Shows: one set of types for both versions, decoding without a copy, the borrowed view, and errors that name the clause.
//! Exit codes: 0 done, 1 something failed.

use std::process::ExitCode;

use aws_iot::crates::mqtt_codec::packet::Publish;
use aws_iot::crates::mqtt_codec::{Codec, Packet, PacketRef, Properties, Property, TopicName, Version};
use examples::{Failure, end, say};

fn main() -> ExitCode {
    end(run())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

fn run() -> Result<(), Failure> {
    let topic = TopicName::try_from("sensor/1").map_err(failed)?;
    let properties = Properties::new().with(Property::ContentType("text/plain")).map_err(failed)?;
    let publish = Publish::new(topic, "21.5").with_properties(&properties).map_err(failed)?;

    let mut wire = bytes::BytesMut::new();
    Codec::client(Version::V5).encode(&publish.into(), &mut wire).map_err(failed)?;
    say(format_args!("{} bytes: {wire:02x?}", wire.len()))?;

    // As it comes: the first piece is not yet a packet.
    let mut server = Codec::server_after_connect(Version::V5);
    let mut buffer = wire.split_to(5);
    let nothing = server.decode(&mut buffer).map_err(failed)?;
    say(format_args!("after 5 bytes: {nothing:?}"))?;
    buffer.unsplit(wire);
    let view = server.decode_ref(&buffer).map_err(failed)?;
    if let Some((PacketRef::Publish(publish), len)) = view {
        say(format_args!("borrowed, of {len} bytes: {} {:?}", publish.topic(), publish.payload()))?;
    }
    if let Some(Packet::Publish(publish)) = server.decode(&mut buffer).map_err(failed)? {
        say(format_args!("owned: {} {:?}", publish.topic(), String::from_utf8_lossy(publish.payload())))?;
    }

    // A PUBLISH at QoS 3, which there is not.
    let mut broken = bytes::BytesMut::from(&[0x36, 0x03, 0x00, 0x01, b'a'][..]);
    match server.decode(&mut broken) {
        Ok(packet) => Err(Failure::Failed(format!("that is no packet: {packet:?}"))),
        Err(error) => say(format_args!("refused: {error}")),
    }
}
