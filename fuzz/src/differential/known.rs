//! The disagreements that are known, and the clause of the standard that decides each.

use core::fmt;

use mqtt_codec::{DecodeError, PropertyId, Version};

use super::said::Said;

/// A packet that a peer sees in another way than our codec.
#[derive(Debug)]
pub struct Disagreement {
    pub peer: &'static str,
    pub version: Version,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// The peer panics, on a packet that we take or not.
    Panics { taken: bool },
    /// We refuse it, the peer takes it.
    Taken(DecodeError, Said),
    /// We wait for more bytes, the peer takes it as it is.
    Completed(Said),
    /// We take it, the peer does not.
    Refused(Said),
    /// Both take it, and do not read the same in it.
    ReadInAnotherWay { ours: Said, theirs: Said },
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) ", self.peer, self.version)?;
        match &self.what {
            What::Panics { taken: true } => write!(f, "panics on what we take"),
            What::Panics { taken: false } => write!(f, "panics on what we do not take"),
            What::Taken(error, theirs) => write!(f, "takes what we refuse: {error:?} in {theirs:?}"),
            What::Completed(theirs) => write!(f, "takes what is not complete to us: {theirs:?}"),
            What::Refused(ours) => write!(f, "refuses what we take: {ours:?}"),
            What::ReadInAnotherWay { ours, theirs } => {
                write!(f, "reads\n{theirs:?}\nwhere we read\n{ours:?}")
            }
        }
    }
}

/// What a class of disagreements looks like.
#[derive(Debug, Clone, Copy)]
pub enum Shows {
    /// The peer panics on what we refuse.
    Panics,
    /// The peer takes what we refuse with this error, as `Debug` writes it; what is inside may be left out.
    Takes(&'static str),
    /// The same, in this packet only.
    TakesIn(&'static str, &'static str),
    /// The peer refuses what we take when the packet says this.
    Refuses(fn(&Said) -> bool),
}

/// A class of disagreements.
#[derive(Debug)]
pub struct Known {
    pub peer: &'static str,
    pub version: Version,
    pub shows: Shows,
    /// The clause that decides; where nothing else is said it forbids the packet, and we are right.
    pub clause: &'static str,
}

impl Disagreement {
    /// The class that this one belongs to.
    #[must_use]
    pub fn known(&self) -> Option<&'static Known> {
        KNOWN.iter().find(|known| {
            known.peer == self.peer
                && known.version == self.version
                && match (known.shows, &self.what) {
                    (Shows::Panics, What::Panics { taken }) => !taken,
                    (Shows::Takes(name), What::Taken(error, _)) => is_named(error, name),
                    (Shows::TakesIn(packet, name), What::Taken(error, theirs)) => {
                        theirs.is(packet) && is_named(error, name)
                    }
                    (Shows::Refuses(when), What::Refused(ours)) => when(ours),
                    _ => false,
                }
        })
    }
}

/// Whether an error is written like this, or without what is inside.
fn is_named(error: &DecodeError, name: &str) -> bool {
    let debug = format!("{error:?}");
    let rest = debug.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '(']))
}

const fn mqttrs(shows: Shows, clause: &'static str) -> Known {
    Known { peer: "mqttrs", version: Version::V3_1_1, shows, clause }
}

const fn rmqtt3(shows: Shows, clause: &'static str) -> Known {
    Known { peer: "rmqtt-codec", version: Version::V3_1_1, shows, clause }
}

const fn rmqtt5(shows: Shows, clause: &'static str) -> Known {
    Known { peer: "rmqtt-codec", version: Version::V5, shows, clause }
}

const fn mqtt5(shows: Shows, clause: &'static str) -> Known {
    Known { peer: "mqtt5-protocol", version: Version::V5, shows, clause }
}

/// Every class that was found. The tests hold a seed against each.
pub static KNOWN: &[Known] = &[
    mqttrs(
        Shows::Panics,
        "section 2.2.3: the packet ends before its fields do, and it reads on without looking",
    ),
    mqttrs(
        Shows::Takes("ConnAckFlags"),
        "section 3.2.2.1: reserved bits; [MQTT-3.2.2-4]: a session behind a refusal",
    ),
    mqttrs(Shows::Takes("ConnectExpected"), "[MQTT-3.1.0-1]; it does not know what came before"),
    mqttrs(Shows::Takes("ConnectFlags"), "[MQTT-3.1.2-3], [MQTT-3.1.2-11], [MQTT-3.1.2-22]"),
    mqttrs(Shows::Takes("DupOnQoS0"), "[MQTT-3.3.1-2]"),
    mqttrs(Shows::Takes("Empty"), "[MQTT-3.8.3-3], [MQTT-3.8.4-5], [MQTT-3.10.3-2]"),
    mqttrs(Shows::Takes("EmptyClientId"), "[MQTT-3.1.3-7]"),
    mqttrs(Shows::Takes("InvalidVariableByteInteger"), "section 2.2.3: values up to 127 take a single byte"),
    mqttrs(Shows::Takes("NoTopic"), "[MQTT-4.7.3-1]"),
    mqttrs(Shows::Takes("ProtocolName"), "[MQTT-3.1.2-1]: MQTT 3.1, which we do not speak"),
    mqttrs(Shows::Takes("SecondConnect"), "[MQTT-3.1.0-2]; it does not know what came before"),
    mqttrs(Shows::Takes("Text(ContainsNull)"), "[MQTT-1.5.3-2]"),
    mqttrs(Shows::Takes("Topic(Empty)"), "[MQTT-4.7.3-1]"),
    mqttrs(Shows::Takes("Topic(MisplacedHash)"), "[MQTT-4.7.1-2]"),
    mqttrs(Shows::Takes("Topic(MisplacedPlus)"), "[MQTT-4.7.1-3]"),
    mqttrs(Shows::Takes("Topic(WildcardInName)"), "[MQTT-3.3.2-2], [MQTT-4.7.1-1]"),
    mqttrs(Shows::Takes("TrailingBytes"), "section 2.2.3: the length counts the packet's fields"),
    mqttrs(Shows::Takes("WrongDirection"), "table 2.1; it does not know the sides"),
    rmqtt3(Shows::Takes("ConnAckFlags"), "[MQTT-3.2.2-4]"),
    rmqtt3(Shows::Takes("ConnectExpected"), "[MQTT-3.1.0-1]; it does not know what came before"),
    rmqtt3(Shows::Takes("ConnectFlags"), "[MQTT-3.1.2-22]"),
    rmqtt3(Shows::Takes("DupOnQoS0"), "[MQTT-3.3.1-2]"),
    rmqtt3(Shows::Takes("Empty"), "[MQTT-3.8.3-3] and [MQTT-3.8.4-5]: a return code for each filter"),
    rmqtt3(Shows::Takes("InvalidReasonCode(6)"), "section 3.2.2.3: 6 and above are reserved"),
    rmqtt3(Shows::Takes("InvalidVariableByteInteger"), "section 2.2.3: values up to 127 take a single byte"),
    rmqtt3(Shows::Takes("ProtocolLevel(3)"), "[MQTT-3.1.2-2]: MQTT 3.1, which we do not speak"),
    rmqtt3(Shows::Takes("ProtocolName"), "[MQTT-3.1.2-1]: MQTT 3.1, which we do not speak"),
    rmqtt3(Shows::Takes("SubscriptionOptions"), "[MQTT-3.8.3-4]"),
    rmqtt3(Shows::Takes("SecondConnect"), "[MQTT-3.1.0-2]; it does not know what came before"),
    rmqtt3(Shows::Takes("Text(ContainsNull)"), "[MQTT-1.5.3-2]"),
    rmqtt3(Shows::Takes("Topic(Empty)"), "[MQTT-4.7.3-1]: the will's topic"),
    rmqtt3(Shows::Takes("Topic(MisplacedHash)"), "[MQTT-4.7.1-2]"),
    rmqtt3(Shows::Takes("Topic(MisplacedPlus)"), "[MQTT-4.7.1-3]"),
    rmqtt3(Shows::Takes("Topic(WildcardInName)"), "[MQTT-3.3.2-2], [MQTT-4.7.1-1]"),
    rmqtt3(Shows::Takes("TrailingBytes"), "section 2.2.3: the length counts the packet's fields"),
    rmqtt3(Shows::Takes("WrongDirection"), "table 2.1; it does not know the sides"),
    rmqtt5(
        Shows::Refuses(|said| said.has_field("client id", "") && said.has_field("clean", false)),
        "[MQTT-3.1.3-6]: an empty client identifier is allowed; no clause asks for a clean start. We are right",
    ),
    rmqtt5(
        Shows::Refuses(|said| said.has(PropertyId::MessageExpiryInterval, 0u32)),
        "section 3.3.2.3.3: a four byte integer, no value is forbidden. We are right",
    ),
    rmqtt5(
        Shows::Refuses(|said| said.is("CONNACK") && said.has_field("reason", 0x84u8)),
        "MQTT 3.1.1, [MQTT-3.1.2-2]: a server that knows no other version refuses in the form of 3.1.1. Nobody is wrong",
    ),
    rmqtt5(Shows::Takes("ConnAckFlags"), "[MQTT-3.2.2-6]"),
    rmqtt5(Shows::Takes("ConnectExpected"), "[MQTT-3.1.0-1]; it does not know what came before"),
    rmqtt5(Shows::Takes("ConnectFlags"), "[MQTT-3.1.2-11], [MQTT-3.1.2-13]"),
    rmqtt5(Shows::Takes("DupOnQoS0"), "[MQTT-3.3.1-2]"),
    rmqtt5(
        Shows::Takes("Empty"),
        "[MQTT-3.8.3-2], [MQTT-3.9.3-1], [MQTT-3.11.3-1]: a reason code for each filter",
    ),
    rmqtt5(Shows::Takes("InvalidVariableByteInteger"), "[MQTT-1.5.5-1]"),
    rmqtt5(
        Shows::Takes("MissingProperty(AuthenticationMethod)"),
        "sections 3.1.2.11.10 and 3.15.2.2.2: the method must be there",
    ),
    rmqtt5(Shows::Takes("NoLocalOnShared"), "[MQTT-3.8.3-4]"),
    rmqtt5(Shows::Takes("NoTopic"), "section 3.3.2.1"),
    rmqtt5(Shows::Takes("PropertyValue(MaximumPacketSize)"), "section 3.2.2.3.6: zero"),
    rmqtt5(Shows::Takes("PropertyValue(MaximumQoS)"), "section 3.2.2.3.4: neither 0 nor 1"),
    rmqtt5(Shows::Takes("PropertyValue(ResponseTopic)"), "[MQTT-3.3.2-14], [MQTT-4.7.3-1]"),
    rmqtt5(Shows::Takes("SecondConnect"), "[MQTT-3.1.0-2]; it does not know what came before"),
    rmqtt5(Shows::Takes("Text(ContainsNull)"), "[MQTT-1.5.4-2]"),
    rmqtt5(Shows::Takes("Topic(Empty)"), "[MQTT-4.7.3-1]"),
    rmqtt5(Shows::Takes("Topic(MisplacedHash)"), "[MQTT-4.7.1-1]"),
    rmqtt5(Shows::Takes("Topic(MisplacedPlus)"), "[MQTT-4.7.1-2]"),
    rmqtt5(Shows::Takes("Topic(Share)"), "[MQTT-4.8.2-1], [MQTT-4.8.2-2]"),
    rmqtt5(Shows::Takes("Topic(WildcardInName)"), "[MQTT-3.3.2-2], [MQTT-4.7.0-1]"),
    rmqtt5(Shows::Takes("TrailingBytes"), "section 2.1.4: the length counts the packet's fields"),
    rmqtt5(
        Shows::TakesIn("AUTH", "Truncated"),
        "section 3.15.2.1: AUTH leaves out the property length with success only",
    ),
    rmqtt5(
        Shows::Takes("WrongDirection"),
        "table 2-1, sections 3.3.4, 3.14.2, 3.15.2; it does not know the sides",
    ),
    mqtt5(
        Shows::Refuses(|said| said.is("CONNECT") && said.has_no_field("user name")),
        "section 3.1.2.9: a password needs no user name in this version. We are right",
    ),
    mqtt5(
        Shows::Refuses(|said| said.is("DISCONNECT") && said.has_field("reason", 0x8Cu8)),
        "table 2-6 gives Bad authentication method to DISCONNECT, table 3-10 leaves it out. Nobody is wrong",
    ),
    mqtt5(Shows::Takes("ConnAckFlags"), "[MQTT-3.2.2-6]"),
    mqtt5(Shows::Takes("ConnectExpected"), "[MQTT-3.1.0-1]; it does not know what came before"),
    mqtt5(Shows::TakesIn("AUTH", "InvalidReasonCode"), "[MQTT-3.15.2-1]"),
    mqtt5(
        Shows::TakesIn("CONNACK", "InvalidReasonCode"),
        "[MQTT-3.2.2-8]: of the return codes of MQTT 3.1.1, only 1 answers a CONNECT of another version",
    ),
    mqtt5(Shows::Takes("InvalidVariableByteInteger"), "[MQTT-1.5.5-1]"),
    mqtt5(Shows::Takes("MisplacedProperty"), "table 2-4; it takes any property in any packet"),
    mqtt5(Shows::Takes("MissingProperty"), "sections 3.1.2.11.10 and 3.15.2.2.2: the method must be there"),
    mqtt5(Shows::Takes("NoLocalOnShared"), "[MQTT-3.8.3-4]"),
    mqtt5(Shows::Takes("NoTopic"), "section 3.3.2.1"),
    mqtt5(Shows::Takes("PropertyValue"), "the section of each property; it looks at the type only"),
    mqtt5(Shows::TakesIn("SUBSCRIBE", "RepeatedProperty"), "section 3.8.2.1.2: one Subscription Identifier"),
    mqtt5(Shows::Takes("SecondConnect"), "[MQTT-3.1.0-2]; it does not know what came before"),
    mqtt5(Shows::Takes("Topic(Empty)"), "[MQTT-4.7.3-1]"),
    mqtt5(Shows::Takes("Topic(MisplacedHash)"), "[MQTT-4.7.1-1]"),
    mqtt5(Shows::Takes("Topic(MisplacedPlus)"), "[MQTT-4.7.1-2]"),
    mqtt5(Shows::Takes("Topic(Share)"), "[MQTT-4.8.2-1], [MQTT-4.8.2-2]"),
    mqtt5(Shows::Takes("Topic(WildcardInName)"), "[MQTT-3.3.2-2], [MQTT-4.7.0-1]"),
    mqtt5(
        Shows::TakesIn("AUTH", "Truncated"),
        "section 3.15.2.1: only an AUTH of no bytes leaves out the property length",
    ),
    mqtt5(Shows::TakesIn("CONNACK", "Truncated"), "section 3.2.2.3: CONNACK has properties, if of length 0"),
    mqtt5(
        Shows::Takes("WrongDirection"),
        "table 2-1, sections 3.3.4, 3.14.2, 3.15.2; it does not know the sides",
    ),
    mqtt5(Shows::Takes("ZeroPacketId"), "[MQTT-2.2.1-3], [MQTT-2.2.1-4]"),
];
