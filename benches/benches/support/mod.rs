//! What the benches of iot-session and their tests share.
#![allow(dead_code, unreachable_pub, reason = "shared by binaries, each of which uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot run has to say so")]

pub mod broker;
pub mod rig;

use bytes::BytesMut;
use iot_session::layers::{DrainRate, OfflineQueue, Standard};
use iot_session::proto::{ConnectOptions, Engine};
use iot_session::{Message, Stage, Version, stack};
use mqtt_codec::packet::{Ack, ConnAck, SubAck};
use mqtt_codec::{Codec, Packet, ReasonCode};

pub const VERSIONS: [(&str, Version); 2] = [("v3.1.1", Version::V3_1_1), ("v5", Version::V5)];
pub const TOPIC: &str = "bench/device-1/telemetry";
pub const PAYLOAD: &[u8] = &[b'x'; 64];

/// The stack that is measured, outermost layer last. The queue drains as fast as the window allows, nothing is paced.
pub fn default_stack(version: Version, window: u16) -> (impl Stage + Send + 'static, Codec) {
    let options = ConnectOptions::new(version, "bench").unwrap().window(window);
    options.validate().unwrap();
    let engine = Engine::new(options);
    let codec = engine.codec();
    let queue = OfflineQueue::unbounded().drain_rate(DrainRate::unlimited());
    let stage = stack(engine).layer(Standard { queue, ..Standard::default() });
    (stage.into_stage(), codec)
}

/// 64 B at QoS 1.
pub fn message() -> Message {
    Message::new(TOPIC, PAYLOAD).unwrap()
}

/// A server that grants everything and keeps nothing.
pub struct Server {
    codec: Codec,
    input: BytesMut,
}

impl Server {
    pub fn new() -> Self {
        Self { codec: Codec::server(), input: BytesMut::new() }
    }

    /// Answers what is in `bytes`, and says how many messages that were.
    pub fn answer(&mut self, bytes: &[u8], replies: &mut BytesMut) -> usize {
        let mut messages = 0;
        self.input.extend_from_slice(bytes);
        while let Some(packet) = self.codec.decode(&mut self.input).unwrap() {
            let reply = match packet {
                Packet::Connect(_) => ConnAck::new(false, ReasonCode::Success).into(),
                Packet::Publish(publish) => {
                    messages += 1;
                    let Some(id) = publish.packet_id() else { continue };
                    Packet::PubAck(Ack::new(id))
                }
                Packet::Subscribe(subscribe) => {
                    let granted = subscribe.filters().map(|_| ReasonCode::GrantedQoS1);
                    Packet::SubAck(SubAck::new(subscribe.packet_id, granted))
                }
                Packet::PingReq => Packet::PingResp,
                Packet::Disconnect(_) => continue,
                other => panic!("{} is not expected", other.name()),
            };
            self.codec.encode(&reply, replies).unwrap();
        }
        messages
    }
}
