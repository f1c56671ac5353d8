//! The adapters: one file for each codec.

mod floor;
mod mqtt5;
mod mqttbytes;
mod mqttrs;
mod ntex;
mod ours;
mod rmqtt;
mod rumqttc;
mod rumqttc_next;

use crate::harness::Adapter;

/// Under what a copy or a walk over the headers takes, no codec can come.
pub fn floors() -> Vec<Box<dyn Adapter>> {
    vec![Box::new(floor::Copy), Box::new(floor::Walk), Box::new(floor::Share)]
}

pub fn peers() -> Vec<Box<dyn Adapter>> {
    vec![
        Box::new(mqttbytes::Mqttbytes),
        Box::new(rumqttc::Rumqttc),
        Box::new(rumqttc_next::RumqttcNext),
        Box::new(mqttrs::Mqttrs),
        Box::new(ntex::Ntex),
        Box::new(rmqtt::Rmqtt),
        Box::new(mqtt5::Mqtt5),
    ]
}

pub fn ours() -> Vec<Box<dyn Adapter>> {
    vec![Box::new(ours::Owned), Box::new(ours::Borrowed)]
}

/// The error of a peer, said by a codec whose errors have no common trait.
#[cold]
fn said(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
