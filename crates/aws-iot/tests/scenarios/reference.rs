//! The integration tests of the AWS IoT Device SDK for Python, one test for each script: at exact instants, and with the
//! outages made by the world, not by reaching into the client.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_iot::crates::iot_session::layers::{Backoff, DropPolicy, OfflineQueue, Reconnect, Standard};
use aws_iot::crates::iot_session::proto::ConnectOptions;
use aws_iot::crates::iot_session::stage::{Op, Receipt};
use aws_iot::crates::iot_session::{Dropped, Nanos, OpError, QoS};
use aws_iot::crates::mqtt_codec::Packet;

use crate::world::{BOTH, World, secs};

/// testMQTTConnection: 1,000 publishes whose outcome nobody waits for and 100 that are waited for, at 20 per second.
#[test]
fn everything_that_one_client_publishes_reaches_the_other() {
    for version in BOTH {
        let mut world = World::new();
        let (publisher, subscriber) =
            (world.client(version, "publisher"), world.client(version, "subscriber"));
        world.connect(publisher);
        world.connect(subscriber);
        world.subscribe(subscriber, "plain/+");
        let mut wanted = BTreeSet::new();
        for n in 0..1_100 {
            let topic = if n < 1_000 { "plain/async" } else { "plain/sync" };
            let op = world.publish(publisher, topic, n, QoS::AtLeastOnce);
            assert!(world.acked(publisher, op));
            wanted.insert(n.to_string());
            world.pass(Duration::from_millis(50));
        }
        let received: BTreeSet<String> = world.received(subscriber).into_iter().map(str::to_owned).collect();
        assert_eq!(received, wanted);
        assert_eq!(world.received(subscriber).len(), 1_100);
    }
}

/// testAutoReconnectResubscribe: 10 messages, the link down for 3 s, 10 more after 20 s.
#[test]
fn a_subscriber_gets_what_is_published_after_an_outage_without_subscribing_again() {
    for version in BOTH {
        let mut world = World::new();
        let (publisher, subscriber) =
            (world.client(version, "publisher"), world.client(version, "subscriber"));
        world.connect(publisher);
        world.connect(subscriber);
        world.subscribe(subscriber, "a/b");
        for n in 0..10 {
            world.publish(publisher, "a/b", n, QoS::AtLeastOnce);
        }
        world.network(subscriber, false);
        world.pass(secs(3));
        world.network(subscriber, true);
        world.pass(secs(20));
        for n in 10..20 {
            world.publish(publisher, "a/b", n, QoS::AtLeastOnce);
        }
        let wanted: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        assert_eq!(world.received(subscriber), wanted);
    }
}

/// testProgressiveBackoff: base 1 s, at most 16 s, stable after 60 s; seven failures after these periods of connection.
#[test]
fn the_delays_double_to_their_maximum_and_start_over_after_a_stable_connection() {
    for version in BOTH {
        let mut world = World::new();
        let backoff = Reconnect::new(Backoff::new(secs(1), secs(16), secs(60)));
        let layers = Standard { reconnect: backoff, ..Standard::default() };
        let device = world.client_with(ConnectOptions::new(version, "device").unwrap(), layers);
        let subscriber = world.client(version, "subscriber");
        world.connect(device);
        world.connect(subscriber);
        world.subscribe(subscriber, "a");
        let periods = [3, 4, 6, 10, 18, 34, 66];
        let delays = [1, 2, 4, 8, 16, 16, 1];
        for (period, delay) in periods.into_iter().zip(delays) {
            for n in 0..3 {
                world.publish(device, "a", format!("{period}:{n}"), QoS::AtLeastOnce);
            }
            world.pass(secs(period));
            let lost = world.now;
            world.cut(device);
            world.pass(secs(delay) - Duration::from_nanos(1));
            assert_eq!(world.connections(device).last().map(|at| *at < lost), Some(true), "{period} s");
            world.pass(Duration::from_nanos(1));
            assert_eq!(world.connections(device).last(), Some(&lost.after(secs(delay))), "{period} s");
        }
        assert_eq!(world.received(subscriber).len(), 3 * periods.len());
    }
}

/// testConfigurablePublishMessageQueueing: a queue of 10; 3 messages online, 15 offline, 3 online, with either policy.
#[test]
fn of_fifteen_messages_made_offline_ten_arrive_the_oldest_or_the_newest() {
    for (policy, kept) in [(DropPolicy::DropNewest, 3..13), (DropPolicy::DropOldest, 8..18)] {
        let mut world = World::new();
        let layers = Standard { queue: OfflineQueue::bounded(10).when_full(policy), ..Standard::default() };
        let device = world.client_with(ConnectOptions::new(BOTH[0], "device").unwrap(), layers);
        let subscriber = world.client(BOTH[0], "subscriber");
        world.connect(device);
        world.connect(subscriber);
        world.subscribe(subscriber, "a");
        for n in 0..3 {
            world.publish(device, "a", n, QoS::AtMostOnce);
        }
        world.network(device, false);
        let mut offline = Vec::new();
        for n in 3..18 {
            offline.push(world.publish(device, "a", n, QoS::AtMostOnce));
            world.pass(secs(1));
        }
        world.network(device, true);
        world.pass(secs(60));
        for n in 18..21 {
            world.publish(device, "a", n, QoS::AtMostOnce);
        }
        let wanted: Vec<String> = (0..3).chain(kept.clone()).chain(18..21).map(|n| n.to_string()).collect();
        assert_eq!(world.received(subscriber), wanted, "{policy:?}");
        for (n, op) in (3..18).zip(offline) {
            let end = world.done(device, op).unwrap();
            match (kept.contains(&n), policy) {
                (true, _) => assert!(matches!(end, Ok(Receipt::Sent)), "{n}: {end:?}"),
                (_, DropPolicy::DropOldest) => {
                    assert!(matches!(end, Err(OpError::Dropped(Dropped::Oldest))), "{n}: {end:?}");
                }
                _ => assert!(matches!(end, Err(OpError::Dropped(Dropped::Newest))), "{n}: {end:?}"),
            }
        }
    }
}

/// testOfflineQueueingForSubscribeUnsubscribe: A subscribed; in an outage of 5 s B is subscribed and A unsubscribed.
#[test]
fn subscriptions_changed_offline_take_effect_at_the_next_connection() {
    for version in BOTH {
        let mut world = World::new();
        let (device, publisher) = (world.client(version, "device"), world.client(version, "publisher"));
        world.connect(device);
        world.connect(publisher);
        world.subscribe(device, "A");
        let three = |world: &mut World, round: &str| {
            for topic in ["A", "B"] {
                for n in 0..3 {
                    world.publish(publisher, topic, format!("{round} {topic}{n}"), QoS::AtLeastOnce);
                }
            }
        };
        three(&mut world, "before");
        world.network(device, false);
        let (b, a) = (world.subscribe(device, "B"), world.unsubscribe(device, "A"));
        world.pass(secs(5));
        assert!(world.done(device, b).is_none());
        world.network(device, true);
        world.pass(secs(10));
        assert!(matches!(world.done(device, b), Some(Ok(Receipt::Subscribed(_)))));
        assert!(matches!(world.done(device, a), Some(Ok(Receipt::Unsubscribed(_)))));
        three(&mut world, "after");
        let wanted = ["before A0", "before A1", "before A2", "after B0", "after B1", "after B2"];
        assert_eq!(world.received(device), wanted, "{version}");
    }
}

/// testClientReusability: connect, 3 publishes, disconnect, three times with the same client.
#[test]
fn a_client_can_be_used_again_after_a_disconnect() {
    for version in BOTH {
        let mut world = World::new();
        let (device, subscriber) = (world.client(version, "device"), world.client(version, "subscriber"));
        world.connect(subscriber);
        world.subscribe(subscriber, "a");
        for round in 0..3 {
            world.connect(device);
            for n in 0..3 {
                world.publish(device, "a", round * 3 + n, QoS::AtLeastOnce);
            }
            let left = world.op(device, Op::Disconnect);
            assert!(matches!(world.done(device, left), Some(Ok(Receipt::Disconnected))));
            world.pass(secs(100));
            assert_eq!(world.connections(device).len(), round + 1, "it stays away");
        }
        let wanted: Vec<String> = (0..9).map(|n| n.to_string()).collect();
        assert_eq!(world.received(subscriber), wanted);
    }
}

/// testAsyncAPIGeneralNotificationCallbacks: keep-alive 1 s; how often each thing is told.
#[test]
fn everything_is_told_exactly_once() {
    for version in BOTH {
        let mut world = World::new();
        let options = ConnectOptions::new(version, "device").unwrap().keep_alive(secs(1));
        let device = world.client_with(options, Standard::default());
        let online = world.op(device, Op::CONNECT);
        let subscribed = world.subscribe(device, "a");
        let published: Vec<_> = (0..3).map(|n| world.publish(device, "a", n, QoS::AtLeastOnce)).collect();
        world.pass(secs(60));
        let unsubscribed = world.unsubscribe(device, "a");
        let left = world.op(device, Op::Disconnect);
        world.pass(secs(60));
        assert!(matches!(world.done(device, online), Some(Ok(Receipt::Connected(_)))));
        assert!(matches!(world.done(device, subscribed), Some(Ok(Receipt::Subscribed(_)))));
        assert!(published.into_iter().all(|op| world.acked(device, op)));
        assert!(matches!(world.done(device, unsubscribed), Some(Ok(Receipt::Unsubscribed(_)))));
        assert!(matches!(world.done(device, left), Some(Ok(Receipt::Disconnected))));
        assert_eq!(world.received(device), ["0", "1", "2"]);
        assert_eq!((world.connections(device).len(), world.disconnections(device).len()), (1, 1));
        assert!(world.sent(device, |packet| matches!(packet, Packet::PingReq)) > 0);
        assert_eq!(world.dials(device), [Nanos::ZERO]);
    }
}
