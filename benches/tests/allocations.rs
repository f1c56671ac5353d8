//! How often the session allocates for a message. What the application makes, topic and payload, is made beforehand.
//!
//! A binary of its own, because the counting allocator serves all of a binary.

#[path = "../benches/support/mod.rs"]
mod support;

use allocation_counter::measure;
use support::rig::Rig;
use support::{VERSIONS, default_stack, message};

/// For each message.
const ALLOWED: u64 = 2;
const MESSAGES: u64 = 1000;

#[test]
fn a_message_and_its_acknowledgement_allocate_at_most_twice() {
    for (name, version) in VERSIONS {
        let mut rig = Rig::connected(default_stack(version, 100));
        let op = message().into_op();
        let mut cycle = || rig.publish_and_acknowledge(op.clone());
        (0..MESSAGES).for_each(|_| cycle());
        let counted = measure(|| (0..MESSAGES).for_each(|_| cycle())).count_total;
        println!("{name}: {counted} allocations for {MESSAGES} messages");
        assert!(counted <= ALLOWED * MESSAGES, "{name}: {counted} for {MESSAGES} messages");
    }
}
