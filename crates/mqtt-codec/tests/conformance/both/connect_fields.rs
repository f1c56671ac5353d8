//! Sections 3.1.2.4 to 3.1.3 of both standards: what the flags of CONNECT promise, and the fields of its payload.

use mqtt_codec::packet::{Connect, ConnectBuilder, Will};
use mqtt_codec::{DecodeError, InvalidTopic, Packet, QoS, TopicName, Version};

use crate::support::*;

/// The will flag.
const WILL: u8 = 0x04;
const CLEAN: u8 = 0x02;
const USER: u8 = 0x80;
const WORD: u8 = 0x40;

fn taken(version: Version, bytes: &[u8]) -> Connect {
    let Packet::Connect(connect) = client_may_send(version, bytes) else { panic!("no CONNECT") };
    connect
}

/// What a client writes of these options: the flags, and what is behind the client identifier `id`.
fn written(options: &ConnectBuilder) -> (u8, Vec<u8>) {
    let bytes = by_client(options.version, options.build().unwrap()).unwrap();
    let at = if options.version == V5 { 13 } else { 12 };
    assert_eq!(bytes[at..at + 4], *b"\0\x02id");
    (bytes[9], bytes[at + 4..].to_vec())
}

// also [v3.1.1 MQTT-3.1.2-9]
#[test]
fn mqtt5_3_1_2_9_the_will_flag_promises_all_of_the_will() {
    let (id, topic_field, bye) = (field(b"id"), field(b"a/b"), field(b"bye"));
    for version in BOTH {
        let whole = [none(version), &topic_field, &bye].concat();
        for len in 0..whole.len() {
            let refused = from_client(version, &connect(version, WILL | CLEAN, &[&id, &whole[..len]]));
            malformed(refused, DecodeError::Truncated);
        }
        let will = taken(version, &connect(version, WILL | CLEAN, &[&id, &whole])).will().unwrap();
        assert_eq!((will.topic.as_str(), &will.payload[..]), ("a/b", &b"bye"[..]));

        let mut options = ConnectBuilder::new(version, text("id"));
        options.will = Some(Will::new(topic("a/b"), "bye"));
        assert_eq!(written(&options), (WILL | CLEAN, whole));
    }
}

// also [v3.1.1 MQTT-3.1.2-11, v3.1.1 MQTT-3.1.2-13]
#[test]
fn mqtt5_3_1_2_11_without_a_will_its_qos_is_0() {
    let (id, will) = (field(b"id"), [field(b"a/b"), field(b"bye")].concat());
    for version in BOTH {
        for qos in 1..=3 {
            let refused = from_client(version, &connect(version, CLEAN | qos << 3, &[&id]));
            malformed(refused, DecodeError::ConnectFlags);
        }
        // Nor are its fields there.
        let fields = [none(version), &will].concat();
        let refused = from_client(version, &connect(version, CLEAN, &[&id, &fields]));
        malformed(refused, DecodeError::TrailingBytes);
        assert_eq!(taken(version, &connect(version, CLEAN, &[&id])).will(), None);
        assert_eq!(written(&ConnectBuilder::new(version, text("id"))), (CLEAN, vec![]));
    }
}

// also [v3.1.1 MQTT-3.1.2-14]
#[test]
fn mqtt5_3_1_2_12_a_will_has_qos_0_1_or_2() {
    let (id, topic_field, bye) = (field(b"id"), field(b"a/b"), field(b"bye"));
    for version in BOTH {
        let bytes =
            |qos: u8| connect(version, WILL | CLEAN | qos << 3, &[&id, none(version), &topic_field, &bye]);
        malformed(from_client(version, &bytes(3)), DecodeError::InvalidQoS);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            assert_eq!(taken(version, &bytes(qos as u8)).will().map(|will| will.qos), Some(qos));
            let mut options = ConnectBuilder::new(version, text("id"));
            options.will = Some(Will { qos, ..Will::new(topic("a/b"), "bye") });
            assert_eq!(written(&options).0, WILL | CLEAN | (qos as u8) << 3);
        }
    }
}

// also [v3.1.1 MQTT-3.1.2-11, v3.1.1 MQTT-3.1.2-15]
#[test]
fn mqtt5_3_1_2_13_without_a_will_it_is_not_retained() {
    let (id, topic_field, bye) = (field(b"id"), field(b"a/b"), field(b"bye"));
    for version in BOTH {
        let refused = from_client(version, &connect(version, CLEAN | 0x20, &[&id]));
        malformed(refused, DecodeError::ConnectFlags);
        for retain in [false, true] {
            let flags = WILL | CLEAN | if retain { 0x20 } else { 0 };
            let bytes = connect(version, flags, &[&id, none(version), &topic_field, &bye]);
            assert_eq!(taken(version, &bytes).will().map(|will| will.retain), Some(retain));
            let mut options = ConnectBuilder::new(version, text("id"));
            options.will = Some(Will { retain, ..Will::new(topic("a/b"), "bye") });
            assert_eq!(written(&options).0, flags);
            options.will = None;
            assert_eq!(written(&options).0, CLEAN);
        }
    }
}

// also [v3.1.1 MQTT-3.1.2-18]
#[test]
fn mqtt5_3_1_2_16_without_its_flag_there_is_no_user_name() {
    let (id, name) = (field(b"id"), field(b"user"));
    for version in BOTH {
        let refused = from_client(version, &connect(version, CLEAN, &[&id, &name]));
        malformed(refused, DecodeError::TrailingBytes);
        assert_eq!(taken(version, &connect(version, CLEAN, &[&id])).username(), None);
        assert_eq!(written(&ConnectBuilder::new(version, text("id"))), (CLEAN, vec![]));
    }
}

// also [v3.1.1 MQTT-3.1.2-19]
#[test]
fn mqtt5_3_1_2_17_with_its_flag_there_is_a_user_name() {
    let (id, name) = (field(b"id"), field(b"user"));
    for version in BOTH {
        for len in 0..name.len() {
            let refused = from_client(version, &connect(version, USER | CLEAN, &[&id, &name[..len]]));
            malformed(refused, DecodeError::Truncated);
        }
        let bytes = connect(version, USER | CLEAN, &[&id, &name]);
        assert_eq!(taken(version, &bytes).username(), Some("user"));
        let mut options = ConnectBuilder::new(version, text("id"));
        options.username = Some(text("user"));
        assert_eq!(written(&options), (USER | CLEAN, name.clone()));
        // An empty one is one.
        options.username = Some(text(""));
        assert_eq!(written(&options), (USER | CLEAN, vec![0, 0]));
    }
}

// also [v3.1.1 MQTT-3.1.2-20]
#[test]
fn mqtt5_3_1_2_18_without_its_flag_there_is_no_password() {
    let (id, name, word) = (field(b"id"), field(b"user"), field(b"word"));
    for version in BOTH {
        let refused = from_client(version, &connect(version, USER | CLEAN, &[&id, &name, &word]));
        malformed(refused, DecodeError::TrailingBytes);
        let bytes = connect(version, USER | CLEAN, &[&id, &name]);
        assert_eq!(taken(version, &bytes).password(), None);
        let mut options = ConnectBuilder::new(version, text("id"));
        options.username = Some(text("user"));
        assert_eq!(written(&options), (USER | CLEAN, name.clone()));
    }
}

// also [v3.1.1 MQTT-3.1.2-21]
#[test]
fn mqtt5_3_1_2_19_with_its_flag_there_is_a_password() {
    let (id, name, word) = (field(b"id"), field(b"user"), field(b"w\0\xff"));
    for version in BOTH {
        let flags = USER | WORD | CLEAN;
        for len in 0..word.len() {
            let refused = from_client(version, &connect(version, flags, &[&id, &name, &word[..len]]));
            malformed(refused, DecodeError::Truncated);
        }
        // It is binary data and no string.
        let bytes = connect(version, flags, &[&id, &name, &word]);
        assert_eq!(taken(version, &bytes).password(), Some(&b"w\0\xff"[..]));
        let mut options = ConnectBuilder::new(version, text("id"));
        options.username = Some(text("user"));
        options.password = Some(b"w\0\xff"[..].into());
        assert_eq!(written(&options), (flags, [&name[..], &word].concat()));
    }
}

// also [v3.1.1 MQTT-3.1.3-1]
#[test]
fn mqtt5_3_1_3_1_the_fields_of_the_payload_have_one_order() {
    let [id, topic_field, bye, name, word] = [&b"id"[..], b"will/topic", b"bye", b"user", b"word"].map(field);
    for version in BOTH {
        let bytes = connect(version, 0xE6, &[&id, none(version), &topic_field, &bye, &name, &word]);
        let connect = taken(version, &bytes);
        let will = connect.will().unwrap();
        assert_eq!(
            (
                connect.client_id(),
                will.topic.as_str(),
                &will.payload[..],
                connect.username(),
                connect.password()
            ),
            ("id", "will/topic", &b"bye"[..], Some("user"), Some(&b"word"[..]))
        );
        let mut options = ConnectBuilder::new(version, text("id"));
        options.password = Some("word".into());
        options.username = Some(text("user"));
        options.will = Some(Will { retain: true, ..Will::new(topic("will/topic"), "bye") });
        let rest = [none(version), &topic_field, &bye, &name, &word].concat();
        assert_eq!(written(&options), (0xE6, rest));
    }
}

// also [v3.1.1 MQTT-3.1.3-3]
#[test]
fn mqtt5_3_1_3_3_the_client_identifier_is_always_there_and_first() {
    for version in BOTH {
        malformed(from_client(version, &connect(version, CLEAN, &[])), DecodeError::Truncated);
        // An empty one has its length all the same.
        assert_eq!(taken(version, &connect(version, CLEAN, &[&[0, 0]])).client_id(), "");
        let two = connect(version, USER | CLEAN, &[&field(b"first"), &field(b"second")]);
        assert_eq!(taken(version, &two).client_id(), "first");
        let options = ConnectBuilder::new(version, text(""));
        let bytes = by_client(version, options.build().unwrap()).unwrap();
        assert_eq!(bytes[12..], [none(version), &[0, 0]].concat());
    }
}

// also [v3.1.1 MQTT-3.1.3-4]
#[test]
fn mqtt5_3_1_3_4_the_client_identifier_is_a_string() {
    for version in BOTH {
        wants_a_string(version, |id| connect(version, CLEAN, &[&field(id)]));
    }
}

// also [v3.1.1 MQTT-3.1.3-10]
#[test]
fn mqtt5_3_1_3_11_the_topic_of_the_will_is_a_string() {
    for version in BOTH {
        let around = |topic: &[u8]| {
            connect(version, WILL | CLEAN, &[&field(b"id"), none(version), &field(topic), &field(b"bye")])
        };
        wants_a_string(version, around);
        // And a topic name at that.
        let refused = from_client(version, &around(b"a/#"));
        malformed(refused, DecodeError::Topic(InvalidTopic::WildcardInName));
        assert_eq!(TopicName::borrowed("a/#"), Err(InvalidTopic::WildcardInName));
    }
}

// also [v3.1.1 MQTT-3.1.3-11]
#[test]
fn mqtt5_3_1_3_12_the_user_name_is_a_string() {
    for version in BOTH {
        wants_a_string(version, |name| connect(version, USER | CLEAN, &[&field(b"id"), &field(name)]));
    }
}
