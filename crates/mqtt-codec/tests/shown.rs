//! What packets, topics and errors look like to who reads a log: no secrets, no payloads, and words for each error.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

use std::error::Error;

use mqtt_codec::packet::{Auth, ConnectBuilder, Publish, Subscribe, SubscriptionOptions, Unsubscribe, Will};
use mqtt_codec::{
    Codec, DecodeError, EncodeError, ErrorKind, InvalidText, InvalidTopic, PacketId, Properties, Property,
    PropertyId, ReasonCode, Text, TopicFilter, TopicName, Version,
};

/// Stands in each field whose contents are nobody's business, as text and as a list of numbers.
const SECRET: &str = "hunter2";

fn shows_no_secret(shown: &str) {
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(!shown.contains(&format!("{:?}", SECRET.as_bytes()).replace(['[', ']'], "")), "{shown}");
}

fn properties(all: &[Property<'_>]) -> Properties {
    all.iter().fold(Properties::new(), |properties, one| properties.with(*one).unwrap())
}

fn topic(name: &str) -> TopicName {
    TopicName::try_from(name).unwrap()
}

#[test]
fn a_connect_shows_that_there_are_a_user_name_a_password_and_a_will_but_not_what_they_say() {
    let mut connect = ConnectBuilder::new(Version::V5, Text::try_from("device").unwrap());
    connect.username = Some(Text::try_from(SECRET).unwrap());
    connect.password = Some(SECRET.into());
    connect.properties = properties(&[
        Property::AuthenticationMethod("method"),
        Property::AuthenticationData(SECRET.as_bytes()),
    ]);
    connect.will = Some(Will::new(topic("gone"), SECRET));
    let built = connect.build().unwrap();
    for shown in [format!("{connect:?}"), format!("{built:?}"), format!("{:#?}", built.into_owned())] {
        shows_no_secret(&shown);
        for said in ["device", "gone", "7 bytes", "method", "AuthenticationData(7 bytes)"] {
            assert!(shown.contains(said), "{said}: {shown}");
        }
        assert_eq!(shown.matches("redacted").count(), 2, "{shown}");
    }
    let bare = ConnectBuilder::new(Version::V5, Text::default());
    assert!(!format!("{bare:?} {:?}", bare.build().unwrap()).contains("redacted"));
}

#[test]
fn payloads_and_binary_properties_are_shown_by_their_length() {
    let all = properties(&[
        Property::PayloadFormatIndicator(true),
        Property::TopicAlias(3),
        Property::MessageExpiryInterval(70_000),
        Property::ContentType("text/plain"),
        Property::CorrelationData(SECRET.as_bytes()),
        Property::UserProperty("unit", "K"),
    ]);
    let shown = format!("{all:?}");
    assert_eq!(
        shown,
        "[PayloadFormatIndicator(true), TopicAlias(3), MessageExpiryInterval(70000), \
         ContentType(\"text/plain\"), CorrelationData(7 bytes), UserProperty(\"unit\", \"K\")]"
    );
    assert_eq!(format!("{:?}", all.as_ref()), shown);
    assert!(!all.as_ref().is_empty() && Properties::new().as_ref().is_empty());
    assert_eq!(format!("{:?}", all.as_ref().iter()), shown);
    let publish = Publish::new(topic("a/b"), SECRET).with_properties(&all).unwrap();
    let packet = format!("{publish:?}");
    shows_no_secret(&packet);
    assert!(packet.contains("a/b") && packet.contains("7 bytes") && packet.contains(&shown), "{packet}");
    let auth = Auth {
        properties: properties(&[Property::AuthenticationData(SECRET.as_bytes())]),
        ..Auth::default()
    };
    shows_no_secret(&format!("{auth:?}"));
}

#[test]
fn a_number_names_its_property_and_no_other() {
    for number in 0..=0x200 {
        let named = PropertyId::ALL.iter().copied().find(|id| *id as u32 == number);
        assert_eq!(PropertyId::from_u32(number), named, "{number}");
    }
    assert_eq!(PropertyId::ALL.len(), 27);
}

#[test]
fn subscriptions_show_their_filters() {
    let (id, filter) = (PacketId::new(7).unwrap(), TopicFilter::try_from("a/+").unwrap());
    let subscribe = Subscribe::new(id, [(&filter, SubscriptionOptions::default())]);
    let shown = format!("{subscribe:?}");
    assert!(shown.contains("a/+") && shown.contains("qos: AtMostOnce"), "{shown}");
    assert!(format!("{:?}", subscribe.filters()).contains("a/+"));
    assert!(format!("{:?}", Unsubscribe::new(id, [&filter])).contains("a/+"));
}

#[test]
fn each_error_says_something_of_its_own_and_which_error_is_under_it() {
    let too_many = DecodeError::TooMany { what: "properties", max: 3 };
    assert_eq!((too_many.kind(), too_many.reason()), (ErrorKind::Protocol, ReasonCode::QuotaExceeded));
    let errors = [
        too_many,
        DecodeError::PacketTooLarge { size: 11, max: 10 },
        DecodeError::WrongDirection { what: "PINGREQ" },
        DecodeError::ConnectExpected,
        DecodeError::SecondConnect,
        DecodeError::Text(InvalidText::TooLong),
        DecodeError::Topic(InvalidTopic::Text(InvalidText::ContainsNull)),
        DecodeError::Topic(InvalidTopic::Share),
    ];
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    for (text, said) in texts.iter().zip([
        "more than 3 properties",
        "a packet of 11 bytes, at most 10 are taken",
        "PINGREQ may only be sent by the other side",
        "the first packet of a connection is not CONNECT",
        "a second CONNECT",
        "longer than 65,535 bytes",
        "U+0000",
        "$share/<name>/<filter>",
    ]) {
        assert!(text.contains(said), "{text}");
    }
    let sources: Vec<_> = errors.iter().map(|error| error.source().map(ToString::to_string)).collect();
    assert!(sources[..5].iter().all(Option::is_none), "{sources:?}");
    for (source, text) in sources[5..].iter().zip(&texts[5..]) {
        assert!(text.contains(source.as_ref().unwrap()), "{text}");
    }

    let under = DecodeError::MissingProperty(PropertyId::AuthenticationMethod);
    let property = EncodeError::Property(under);
    assert_eq!(property.to_string(), under.to_string());
    assert_eq!(property.source().unwrap().to_string(), under.to_string());
    for (error, said) in [
        (
            EncodeError::PacketTooLarge { size: 11, max: 10 },
            "the packet has 11 bytes, at most 10 are allowed",
        ),
        (
            EncodeError::NotInVersion { what: "properties", version: Version::V3_1_1 },
            "MQTT 3.1.1 cannot carry properties",
        ),
        (EncodeError::NotInVersion { what: "this", version: Version::V5 }, "MQTT 5 cannot carry this"),
        (EncodeError::Empty, "at least one entry"),
        (EncodeError::ReasonCode(ReasonCode::ServerBusy), "server busy (0x89)"),
        (EncodeError::ConnectExpected, "before CONNECT came in"),
        (EncodeError::WrongDirection("PINGREQ"), "PINGREQ may only be sent by the other side"),
        (EncodeError::Inconsistent("fields that disagree"), "fields that disagree"),
    ] {
        assert!(error.to_string().contains(said), "{error}");
        assert!(error.source().is_none());
    }
}

#[test]
fn a_topic_that_is_no_mqtt_string_says_which_rule_of_strings_it_breaks() {
    let refused = TopicName::try_from("a\0b").unwrap_err();
    assert_eq!(refused, InvalidTopic::Text(InvalidText::ContainsNull));
    assert_eq!(refused.to_string(), InvalidText::ContainsNull.to_string());
    assert_eq!(format!("{:?}", topic("a/b")), "\"a/b\"");
}

#[test]
fn a_borrowed_text_is_held_to_the_same_rules_and_compares_as_the_string_it_is() {
    let text = Text::borrowed("a/b").unwrap();
    assert!(text == "a/b" && text == *"a/b" && text != "a/c");
    assert_eq!(format!("{text:?}"), "\"a/b\"");
    assert_eq!(Text::borrowed("a\0"), Err(InvalidText::ContainsNull));
    assert_eq!(Text::borrowed(&"x".repeat(65_536)), Err(InvalidText::TooLong));
    assert_eq!(PacketId::try_from(0), Err(DecodeError::ZeroPacketId));
    assert_eq!(PacketId::try_from(7).ok(), PacketId::new(7));
}

#[test]
fn an_encoder_says_what_it_refuses_in_the_words_of_the_version() {
    let nothing = Publish::new(topic("a"), "").with_properties(&properties(&[Property::ContentType("t")]));
    let error = Codec::client(Version::V3_1_1).encoded_len(&nothing.unwrap().into()).unwrap_err();
    assert_eq!(error.to_string(), "MQTT 3.1.1 cannot carry properties");
}
