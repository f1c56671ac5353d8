//! What a server said it takes.

use mqtt_codec::QoS;
use mqtt_codec::packet::ConnAck;

use super::super::options::ConnectOptions;

/// What the server said it takes.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) window: usize,
    pub(super) max_packet_size: usize,
    pub(super) max_qos: QoS,
    pub(super) retain: bool,
    pub(super) wildcards: bool,
    pub(super) shared: bool,
}

impl Server {
    pub(super) fn new(connack: &ConnAck, options: &ConnectOptions) -> Self {
        let says = connack.properties.as_ref();
        Self {
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
        }
    }
}
