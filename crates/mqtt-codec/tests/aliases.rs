//! Topic aliases put in and taken out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

use core::num::NonZeroU16;

use bytes::BytesMut;
use mqtt_codec::packet::Publish;
use mqtt_codec::{Codec, Packet, PacketId, Properties, Property, TopicName, Version};

const ALIAS: NonZeroU16 = NonZeroU16::new(7).unwrap();

fn topic() -> TopicName {
    TopicName::try_from("a/long/topic").unwrap()
}

/// Without properties, and with some.
fn messages() -> [Publish; 2] {
    let plain = Publish::new(topic(), "payload").at_least_once(PacketId::new(3).unwrap()).with_dup(true);
    let properties = Properties::new()
        .with(Property::ContentType("text"))
        .unwrap()
        .with(Property::UserProperty("unit", "K"))
        .unwrap();
    [plain.clone().with_retain(true), plain.with_properties(&properties).unwrap()]
}

/// Over the wire, as a server reads it.
fn sent(publish: &Publish) -> Publish {
    let mut bytes = BytesMut::new();
    Codec::client(Version::V5).encode(&Packet::from(publish.clone()), &mut bytes).unwrap();
    let mut codec = Codec::server_after_connect(Version::V5);
    let Ok(Some(Packet::Publish(received))) = codec.decode(&mut bytes) else { panic!("no PUBLISH") };
    assert!(bytes.is_empty());
    received
}

#[test]
fn an_alias_stands_for_the_topic_and_changes_nothing_else() {
    for message in messages() {
        let first = sent(&message.with_topic_alias(ALIAS, false));
        assert_eq!(first.topic(), "a/long/topic");
        assert_eq!(first.properties().topic_alias(), Some(7));
        let next = sent(&message.with_topic_alias(ALIAS, true));
        assert_eq!(next.topic(), "");
        assert_eq!(next.properties().topic_alias(), Some(7));
        for received in [first, next] {
            assert_eq!(received.with_full_topic(topic()), message);
            // As well from a message that was built, and into one with another alias.
            let other = received.with_topic_alias(NonZeroU16::MIN, true);
            assert_eq!(other.properties().topic_alias(), Some(1));
            assert_eq!(other.with_full_topic(topic()), message);
        }
    }
}

#[test]
fn a_message_whose_only_property_was_the_alias_shares_the_topic() {
    let [plain, _] = messages();
    let topic = topic();
    let full = plain.with_topic_alias(ALIAS, true).with_full_topic(topic.clone());
    assert_eq!(full.topic().as_ptr(), topic.as_str().as_ptr());
    assert_eq!(full.payload().as_ptr(), plain.payload().as_ptr());
}
