//! Strings, topics, numbers and sets of properties, as the standard allows them.

use mqtt_codec::{PacketId, Properties, Property, PropertyId, QoS, Text, TopicFilter, TopicName, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Any string without U+0000, mostly short.
pub(crate) fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ -~]{0,20}",
        3 => "[^\\x00]{0,20}",
        1 => "[a-z]{100,300}",
    ]
}

pub(crate) fn text() -> impl Strategy<Value = Text> {
    string().prop_map(|text| Text::try_from(text).unwrap())
}

pub(crate) fn topic_string() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z$/]{1,20}", "[^\\x00#+]{1,20}"]
}

pub(crate) fn topic() -> impl Strategy<Value = TopicName> {
    topic_string().prop_map(|topic| TopicName::try_from(topic).unwrap())
}

/// Levels of any kind, and `$share/` in front of some.
pub(crate) fn filter() -> impl Strategy<Value = TopicFilter> {
    let level = prop_oneof![3 => "[a-z]{0,5}", 1 => Just("+".to_owned()), 1 => "[^\\x00#+/$]{1,5}"];
    let share = prop_oneof![3 => Just(String::new()), 1 => "\\$share/[a-z]{1,5}/"];
    (share, vec(level, 1..5), any::<bool>()).prop_map(|(share, mut levels, hash)| {
        if hash || levels.iter().all(String::is_empty) {
            levels.push("#".to_owned());
        }
        TopicFilter::try_from(share + &levels.join("/")).unwrap()
    })
}

pub(crate) fn binary() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 100..400)]
}

pub(crate) fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

pub(crate) fn id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

pub(crate) fn version() -> impl Strategy<Value = Version> {
    select(vec![Version::V3_1_1, Version::V5])
}

/// Numbers of all sizes, their ends above all.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), 0..300u32, select(vec![0, 1, 127, 128, 65_535, 268_435_455, u32::MAX])]
}

/// What a property's value can be made of, whatever its type.
#[derive(Debug, Clone)]
struct Value {
    id: PropertyId,
    number: u32,
    name: String,
    text: String,
    topic: String,
    data: Vec<u8>,
}

fn value(id: PropertyId) -> impl Strategy<Value = Value> {
    (number(), string(), string(), topic_string(), binary())
        .prop_map(move |(number, name, text, topic, data)| Value { id, number, name, text, topic, data })
}

impl Value {
    fn property(&self) -> Property<'_> {
        use {Property as P, PropertyId as Id};
        let Self { number, name, text, topic, data, .. } = self;
        let (flag, short) = (number % 2 == 1, *number as u16);
        match self.id {
            Id::PayloadFormatIndicator => P::PayloadFormatIndicator(flag),
            Id::MessageExpiryInterval => P::MessageExpiryInterval(*number),
            Id::ContentType => P::ContentType(text),
            Id::ResponseTopic => P::ResponseTopic(topic),
            Id::CorrelationData => P::CorrelationData(data),
            Id::SubscriptionIdentifier => P::SubscriptionIdentifier((*number).clamp(1, 268_435_455)),
            Id::SessionExpiryInterval => P::SessionExpiryInterval(*number),
            Id::AssignedClientIdentifier => P::AssignedClientIdentifier(text),
            Id::ServerKeepAlive => P::ServerKeepAlive(short),
            Id::AuthenticationMethod => P::AuthenticationMethod(text),
            Id::AuthenticationData => P::AuthenticationData(data),
            Id::RequestProblemInformation => P::RequestProblemInformation(flag),
            Id::WillDelayInterval => P::WillDelayInterval(*number),
            Id::RequestResponseInformation => P::RequestResponseInformation(flag),
            Id::ResponseInformation => P::ResponseInformation(text),
            Id::ServerReference => P::ServerReference(text),
            Id::ReasonString => P::ReasonString(text),
            Id::ReceiveMaximum => P::ReceiveMaximum(short.max(1)),
            Id::TopicAliasMaximum => P::TopicAliasMaximum(short),
            Id::TopicAlias => P::TopicAlias(short.max(1)),
            Id::MaximumQoS => P::MaximumQoS(flag),
            Id::RetainAvailable => P::RetainAvailable(flag),
            Id::UserProperty => P::UserProperty(name, text),
            Id::MaximumPacketSize => P::MaximumPacketSize((*number).max(1)),
            Id::WildcardSubscriptionAvailable => P::WildcardSubscriptionAvailable(flag),
            Id::SubscriptionIdentifierAvailable => P::SubscriptionIdentifierAvailable(flag),
            Id::SharedSubscriptionAvailable => P::SharedSubscriptionAvailable(flag),
            other => panic!("{other:?} is new: say here what it is made of"),
        }
    }
}

/// Some of `once`, any number of `repeated` and of user properties, in any order. None in MQTT 3.1.1.
pub(crate) fn properties(
    version: Version,
    once: &'static [PropertyId],
    repeated: &'static [PropertyId],
) -> BoxedStrategy<Properties> {
    if !version.is_v5() {
        return Just(Properties::new()).boxed();
    }
    let some = subsequence(once, 0..=once.len());
    let many = vec(select([repeated, &[PropertyId::UserProperty]].concat()), 0..4);
    prop_oneof![1 => Just(vec![]), 3 => (some, many).prop_map(|(some, many)| [some, many].concat())]
        .prop_map(|mut ids| {
            // Data without a method means nothing (section 3.1.2.11.10).
            if !ids.contains(&PropertyId::AuthenticationMethod) {
                ids.retain(|id| *id != PropertyId::AuthenticationData);
            }
            ids
        })
        .prop_shuffle()
        .prop_flat_map(|ids| ids.into_iter().map(value).collect::<Vec<_>>())
        .prop_map(|values| {
            values.iter().fold(Properties::new(), |all, value| all.with(value.property()).unwrap())
        })
        .boxed()
}

/// `properties` and one more.
pub(crate) fn properties_and(
    properties: BoxedStrategy<Properties>,
    id: PropertyId,
) -> impl Strategy<Value = Properties> {
    (properties, value(id)).prop_map(|(all, value)| all.with(value.property()).unwrap())
}
