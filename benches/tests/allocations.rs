//! How often the session allocates for a message and its acknowledgement. What the application makes, topic and payload,
//! is made beforehand.
//!
//! A binary of its own, because the counting allocator serves all of a binary; it counts for each thread.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests say what they expect and what they count"
)]

#[path = "../benches/support/mod.rs"]
mod support;

use std::collections::VecDeque;

use allocation_counter::measure;
use iot_session::{Ack, Client, Config, Message, Version, client};
use iot_transport::Tcp;
use support::rig::Rig;
use support::{PAYLOAD, TOPIC, VERSIONS, broker, default_stack, message};

const MESSAGES: u64 = 1000;
const WINDOW: usize = 100;

/// With memory of its own, as most are.
fn fresh() -> Vec<Message> {
    (0..MESSAGES).map(|_| Message::new(TOPIC, PAYLOAD.to_vec()).unwrap()).collect()
}

/// For each message, and `besides` in all.
fn assert_at_most(each: u64, besides: u64, counted: u64, what: &str) {
    println!("{what}: {counted} allocations for {MESSAGES} messages");
    let allowed = each * MESSAGES + besides;
    assert!(counted <= allowed, "{what}: {counted} allocations, {allowed} allowed");
}

/// Topic and payload become shared when the engine keeps the message for another connection.
#[test]
fn the_machine_allocates_twice_for_a_message_at_most() {
    for (name, version) in VERSIONS {
        let mut rig = Rig::connected(default_stack(version, 100));
        let mut send = |messages: Vec<Message>| {
            messages.into_iter().for_each(|message| rig.publish_and_acknowledge(message.into_op()));
        };
        send(fresh());
        let messages = fresh();
        assert_at_most(2, 0, measure(|| send(messages)).count_total, name);
        let shared = vec![message(); MESSAGES as usize];
        assert_at_most(0, 0, measure(|| send(shared)).count_total, &format!("{name}, shared already"));
    }
}

/// And once more for the future of its outcome.
#[test]
fn the_client_and_its_driver_allocate_thrice_for_a_message_at_most() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stage, codec) = default_stack(Version::V5, 100);
    let (client, driver) = client(stage, codec, Tcp::new("127.0.0.1", broker::start()), Config::default());
    let driver = runtime.spawn(driver.run());
    runtime.block_on(client.connect()).unwrap();
    runtime.block_on(send(&client, fresh()));
    let messages = fresh();
    let counted = measure(|| runtime.block_on(send(&client, messages))).count_total;
    // Besides: buffers that grow once more.
    assert_at_most(3, 50, counted, "client and driver");
    drop(client);
    runtime.block_on(driver).unwrap();
}

async fn send(client: &Client, messages: Vec<Message>) {
    let mut acks: VecDeque<Ack> = VecDeque::with_capacity(WINDOW);
    for message in messages {
        if acks.len() == WINDOW
            && let Some(ack) = acks.pop_front()
        {
            ack.await.unwrap();
        }
        acks.push_back(client.publish(message).await.unwrap());
    }
    for ack in acks {
        ack.await.unwrap();
    }
}
