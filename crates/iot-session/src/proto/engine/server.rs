//! What a server said in CONNACK.

use std::sync::Arc;

use mqtt_codec::packet::ConnAck;
use mqtt_codec::{QoS, Text, Version};

use super::super::options::ConnectOptions;
use crate::stage::{Connected, ServerInfo};

/// What the server takes, and what it said besides.
#[derive(Debug, Clone)]
pub(super) struct Server {
    version: Version,
    pub(super) window: usize,
    pub(super) max_packet_size: usize,
    pub(super) max_qos: QoS,
    pub(super) retain: bool,
    pub(super) wildcards: bool,
    pub(super) shared: bool,
    /// How many topics may go by an alias.
    pub(super) topic_aliases: u16,
    /// How long the session outlives the connection, in seconds.
    session_expiry: u32,
}

impl Server {
    pub(super) fn new(connack: &ConnAck, options: &ConnectOptions) -> Self {
        let says = connack.properties.as_ref();
        Self {
            version: options.version,
            window: options.window.min(says.receive_maximum().unwrap_or(u16::MAX)).into(),
            max_packet_size: says.maximum_packet_size().map_or(usize::MAX, |bytes| bytes as usize),
            max_qos: match says.maximum_qos() {
                None => QoS::ExactlyOnce,
                Some(true) => QoS::AtLeastOnce,
                Some(false) => QoS::AtMostOnce,
            },
            retain: says.retain_available().unwrap_or(true),
            wildcards: says.wildcard_subscription_available().unwrap_or(true),
            shared: says.shared_subscription_available().unwrap_or(true),
            topic_aliases: options.topic_aliases.min(says.topic_alias_maximum().unwrap_or(0)),
            session_expiry: match options.version {
                _ if !options.is_persistent() => 0,
                // It does not say how long, but it may be there.
                Version::V3_1_1 => u32::MAX,
                Version::V5 => says.session_expiry_interval().unwrap_or(options.session_expiry),
            },
        }
    }

    /// Whether the session outlives the connection. The server has the last word on that.
    pub(super) fn session_lasts(&self) -> bool {
        self.session_expiry != 0
    }

    /// What is told of it. `keep_alive`: the one in force; `certain`: whose session it is.
    pub(super) fn connected(&self, connack: &ConnAck, keep_alive: u16, certain: bool) -> Connected {
        let says = connack.properties.as_ref();
        let info = ServerInfo {
            assigned_client_id: text(says.assigned_client_identifier()),
            response_information: text(says.response_information()),
            server_reference: text(says.server_reference()),
            message: text(says.reason_string()),
        };
        Connected {
            version: self.version,
            session_present: connack.session_present,
            session_certain: certain,
            keep_alive,
            window: u16::try_from(self.window).unwrap_or(u16::MAX),
            session_expiry: self.session_expiry,
            max_packet_size: says.maximum_packet_size().unwrap_or(u32::MAX),
            max_qos: self.max_qos,
            retain: self.retain,
            wildcards: self.wildcards,
            shared: self.shared,
            subscription_identifiers: says.subscription_identifiers_available().unwrap_or(true),
            topic_alias_maximum: says.topic_alias_maximum().unwrap_or(0),
            info: (info != ServerInfo::default()).then(|| Arc::new(info)),
        }
    }
}

/// A copy of the server's words: they outlive the buffer that they were read into.
pub(super) fn text(words: Option<&str>) -> Option<Text> {
    words.and_then(|words| Text::try_from(words).ok())
}
