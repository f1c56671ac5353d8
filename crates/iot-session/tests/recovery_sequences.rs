//! Random sequences of publishes, cuts, answers and passages of time, against the whole stack without subscriptions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use iot_session::layers::{DrainRate, DropPolicy, OfflineQueue, Pacing};
use iot_session::stage::{Op, PublishOp};
use iot_session::{Message, QoS, Version};
use proptest::prelude::*;
use support::world::{World, patient};
use support::{lasting, options, secs};

#[derive(Debug, Clone)]
enum Step {
    Publish { qos: QoS, queue: bool, ttl: Option<u16>, size: usize },
    Accept { keep_session: bool },
    Read,
    Answer(usize),
    Cut,
    Connect,
    Disconnect,
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let qos =
        prop_oneof![1 => Just(QoS::AtMostOnce), 3 => Just(QoS::AtLeastOnce), 1 => Just(QoS::ExactlyOnce)];
    let publish = (qos, prop::bool::weighted(0.9), prop::option::weighted(0.2, 1..5000u16), 0..40usize);
    prop_oneof![
        8 => publish.prop_map(|(qos, queue, ttl, size)| Step::Publish { qos, queue, ttl, size }),
        4 => any::<bool>().prop_map(|keep_session| Step::Accept { keep_session }),
        4 => Just(Step::Read),
        3 => (1..4usize).prop_map(Step::Answer),
        2 => Just(Step::Cut),
        1 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
        4 => (0..3000u16).prop_map(Step::Pass),
    ]
}

const WINDOW: u16 = 3;
const QUEUE: usize = 4;
const BYTES: usize = 100;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_every_message_ends_once_within_bounds_and_in_order(
        steps in prop::collection::vec(step(), 1..80),
        drop_oldest in any::<bool>(),
        connected in any::<bool>(),
        lasts in any::<bool>(),
        v5 in any::<bool>(),
        paced in any::<bool>(),
        unlimited in any::<bool>(),
    ) {
        let version = if v5 { Version::V5 } else { Version::V3_1_1 };
        let options = patient(if lasts { lasting(version) } else { options(version) }).window(WINDOW);
        let policy = if drop_oldest { DropPolicy::DropOldest } else { DropPolicy::DropNewest };
        let rate = if unlimited { DrainRate::unlimited() } else { DrainRate::default() };
        let queue = OfflineQueue::bounded(QUEUE).max_bytes(BYTES).when_full(policy).drain_rate(rate);
        let pacing = if paced { Pacing::off().publishes_per_second(3).bytes_per_second(80) } else { Pacing::off() };
        let mut world = World::new(options, queue, pacing);
        let mut impatient = 0;
        if connected {
            world.op(Op::CONNECT);
            world.accept(true);
        }
        for step in steps {
            match step {
                Step::Publish { qos, queue, ttl, size } => {
                    if world.rig.machine.ready() {
                        let payload = format!("{}{}", world.ops.len(), "-".repeat(size));
                        let op = Message::new("topic", payload).unwrap().qos(qos).queue(queue).into_op();
                        impatient += usize::from(!queue);
                        world.publish(PublishOp { ttl: ttl.and_then(|ttl| NonZeroU32::new(ttl.into())), ..op });
                    }
                }
                Step::Accept { keep_session } => world.accept(keep_session),
                Step::Read => world.read(),
                Step::Answer(messages) => world.answer(messages),
                Step::Cut => world.cut(),
                Step::Connect => world.op(Op::CONNECT),
                Step::Disconnect => world.op(Op::Disconnect),
                Step::Pass(millis) => world.pass(Duration::from_millis(millis.into())),
            }
            // The queue's own bound, what the layers inside had when they gave it back, and what passes both.
            let inside = usize::from(WINDOW) + 1 + impatient;
            let gauges = world.rig.machine.gauges();
            prop_assert!(gauges.queued <= QUEUE + inside, "{gauges:?}");
            prop_assert!(gauges.queued_bytes <= BYTES + inside * 50, "{gauges:?}");
            prop_assert!(gauges.in_flight <= usize::from(WINDOW));
        }
        world.op(Op::CONNECT);
        world.serve(secs(3600));
        world.check();
        prop_assert_eq!(world.rig.machine.gauges().queued, 0);
        prop_assert!(world.rig.machine.ready());
    }
}
