//! The standard's tables of what goes into which packet.

use mqtt_codec::PropertyId::{self, self as Id};

// Table 2-4 of MQTT 5.
pub(crate) const CONNECT: &[PropertyId] = &[
    Id::SessionExpiryInterval,
    Id::AuthenticationMethod,
    Id::AuthenticationData,
    Id::RequestProblemInformation,
    Id::RequestResponseInformation,
    Id::ReceiveMaximum,
    Id::TopicAliasMaximum,
    Id::MaximumPacketSize,
];
pub(crate) const CONNACK: &[PropertyId] = &[
    Id::SessionExpiryInterval,
    Id::AssignedClientIdentifier,
    Id::ServerKeepAlive,
    Id::AuthenticationMethod,
    Id::AuthenticationData,
    Id::ResponseInformation,
    Id::ServerReference,
    Id::ReasonString,
    Id::ReceiveMaximum,
    Id::TopicAliasMaximum,
    Id::MaximumQoS,
    Id::RetainAvailable,
    Id::MaximumPacketSize,
    Id::WildcardSubscriptionAvailable,
    Id::SubscriptionIdentifierAvailable,
    Id::SharedSubscriptionAvailable,
];
pub(crate) const WILL: &[PropertyId] = &[
    Id::PayloadFormatIndicator,
    Id::MessageExpiryInterval,
    Id::ContentType,
    Id::ResponseTopic,
    Id::CorrelationData,
    Id::WillDelayInterval,
];
pub(crate) const PUBLISH: &[PropertyId] = &[
    Id::PayloadFormatIndicator,
    Id::MessageExpiryInterval,
    Id::ContentType,
    Id::ResponseTopic,
    Id::CorrelationData,
    Id::TopicAlias,
];
pub(crate) const AUTH: &[PropertyId] = &[Id::AuthenticationMethod, Id::AuthenticationData, Id::ReasonString];
pub(crate) const REASON: &[PropertyId] = &[Id::ReasonString];

// Tables 3-1, 3-4 to 3-10 and sections 3.9.3, 3.11.3 and 3.15.2.1 of MQTT 5.
pub(crate) const CONNACK_CODES: &[u8] = &[
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
    0x9B, 0x9C, 0x9D, 0x9F,
];
pub(crate) const PUBACK_CODES: &[u8] = &[0x00, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
pub(crate) const SUBACK_CODES: &[u8] = &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
pub(crate) const UNSUBACK_CODES: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
pub(crate) const DISCONNECT_CODES: &[u8] =
    &[0x00, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
pub(crate) const SERVER_DISCONNECT_CODES: &[u8] =
    &[0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2];
