//! The client on all layers of this crate, over links in memory and a paused clock.
#![cfg(feature = "tokio")]
#![allow(clippy::disallowed_methods, reason = "tests read the paused clock")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by panicking")]

mod support;

use std::collections::BTreeSet;

use iot_session::layers::{DrainRate, OfflineQueue, Standard};
use iot_session::stage::{Notice, Quarantine};
use iot_session::{Config, Delivery, Ended, OpError, QoS, TryPublishError, Version};
use mqtt_codec::packet::{Ack, ConnAck, SubAck};
use mqtt_codec::{Packet, ReasonCode};
use support::link::{Links, start_with, subscribed};
use support::stack::{
    answer, back, message, millis, offline, online, publishes, silent, start, subscribing, takes,
};
use support::{id, options, publish, secs};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};

#[tokio::test(start_paused = true)]
async fn messages_of_an_outage_keep_their_outcomes_over_a_second_one_in_the_middle_of_the_drain() {
    let links = Links::default();
    let (client, server) = online(&links).await;
    offline(&client, server).await;
    let mut acks = publishes(&client, 0..6).await;
    let mut server = back(&links, true).await;
    for n in 0..3 {
        assert_eq!(takes(&mut server).await, n.to_string());
    }
    offline(&client, server).await;
    acks.push(client.publish(message(6)).await.unwrap());
    let mut server = back(&links, true).await;
    let start = Instant::now();
    for n in 3..7_u32 {
        assert_eq!(takes(&mut server).await, n.to_string());
        assert_eq!(start.elapsed(), millis(500) * (n - 3), "{n}");
    }
    for ack in acks {
        assert_eq!(ack.await.unwrap(), Delivery::Acked(ReasonCode::Success));
    }
    silent(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn streams_and_messages_in_flight_outlive_the_servers_session() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let mut messages = subscribed(&client, &mut server, "in").await;
    let in_flight = client.publish(message("in flight")).await.unwrap();
    assert!(matches!(server.recv_or_pong().await, Some(Packet::Publish(_))));
    offline(&client, server).await;
    let queued = client.publish(message("queued")).await.unwrap();
    let mut server = back(&links, false).await;
    answer(&mut server, "in", ReasonCode::GrantedQoS1).await;
    assert_eq!([takes(&mut server).await, takes(&mut server).await], ["in flight", "queued"]);
    assert!(in_flight.await.is_ok() && queued.await.is_ok());
    server.send(publish("in", "x")).await;
    assert_eq!(messages.next().await.unwrap().payload(), b"x");
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_the_server_no_longer_allows_ends_its_stream_with_the_reason_and_no_other() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let mut notices = client.notices();
    let mut forbidden = subscribed(&client, &mut server, "a").await;
    offline(&client, server).await;
    let kept = subscribing(&client, "b");
    yield_now().await;
    let mut server = back(&links, false).await;
    let Some(Packet::Subscribe(subscribe)) = server.recv_or_pong().await else { panic!() };
    let codes = subscribe.filters().map(|(filter, _)| match filter.as_str() {
        "a" => ReasonCode::NotAuthorized,
        _ => ReasonCode::GrantedQoS1,
    });
    server.send(Packet::SubAck(SubAck::new(subscribe.packet_id, codes))).await;
    assert!(forbidden.next().await.is_none());
    let why = Quarantine::Refused(ReasonCode::NotAuthorized);
    assert_eq!(forbidden.ended(), Some(Ended::Quarantined(why)));
    let filter = forbidden.filter().clone();
    assert!(matches!(notices.next().await, Some(Notice::Offline { .. })));
    assert_eq!(notices.next().await, Some(Notice::Quarantined { filter, why }));
    let kept = kept.await.unwrap().unwrap();
    assert_eq!(kept.ended(), None);
    client.online().await.unwrap();
    drop(forbidden);
    silent(&mut server).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_dropped_offline_is_unsubscribed_in_a_kept_session_and_forgotten_in_a_new_one() {
    for session_present in [true, false] {
        let links = Links::default();
        let (client, mut server) = online(&links).await;
        let messages = subscribed(&client, &mut server, "in").await;
        offline(&client, server).await;
        drop(messages);
        let mut server = back(&links, session_present).await;
        if session_present {
            let Some(Packet::Unsubscribe(packet)) = server.recv_or_pong().await else { panic!() };
            server.send(Packet::UnsubAck(SubAck::new(packet.packet_id, [ReasonCode::Success]))).await;
        }
        silent(&mut server).await;
    }
}

#[tokio::test(start_paused = true)]
async fn invariant_9_a_subscribe_dropped_at_any_point_leaves_nothing_behind() {
    // Before the connection, before CONNACK, before SUBACK.
    for polls in 0..3 {
        let links = Links::default();
        let (client, _task) = start(&links);
        let mut subscribe = Some(Box::pin(client.subscribe("in", QoS::AtLeastOnce)));
        let mut give_up = async |now: bool| {
            if let Some(pending) = &mut subscribe {
                assert!(timeout(millis(1), pending).await.is_err());
            }
            if now {
                subscribe = None;
            }
            yield_now().await;
        };
        give_up(polls == 0).await;
        client.connect_lazily().await.unwrap();
        let mut server = links.add(1 << 16);
        assert!(matches!(server.recv().await, Some(Packet::Connect(_))));
        give_up(polls == 1).await;
        server.send(ConnAck::new(false, ReasonCode::Success)).await;
        if polls == 2 {
            let Some(Packet::Subscribe(packet)) = server.recv_or_pong().await else { panic!() };
            give_up(true).await;
            server.send(Packet::SubAck(SubAck::new(packet.packet_id, [ReasonCode::GrantedQoS1]))).await;
            let Some(Packet::Unsubscribe(packet)) = server.recv_or_pong().await else { panic!() };
            server.send(Packet::UnsubAck(SubAck::new(packet.packet_id, [ReasonCode::Success]))).await;
        }
        client.online().await.unwrap();
        silent(&mut server).await;
        server.send(publish("in", "x")).await;
        yield_now().await;
        offline(&client, server).await;
        let mut server = back(&links, false).await;
        client.online().await.unwrap();
        silent(&mut server).await;
        assert_eq!((client.stats().unrouted, client.stats().subscriptions), (1, 0), "no route, no filter");
    }
}

#[tokio::test(start_paused = true)]
async fn try_publish_gives_back_what_the_queue_has_no_room_for_while_it_drains() {
    let links = Links::default();
    let queue = OfflineQueue::bounded(2).drain_rate(DrainRate::per_second(1.0));
    let layers = Standard { queue, ..Standard::default() };
    let config = Config { commands: 1, ..Config::default() };
    let (client, _task) = start_with(options(Version::V5), layers, &links, config);
    for n in 0..3 {
        drop(client.publish(message(n)).await.unwrap());
    }
    yield_now().await;
    let mut server = links.add(1 << 16);
    server.accept_from(&client, false).await;
    assert_eq!(takes(&mut server).await, "0");
    let mut given_back = None;
    for n in 10..20 {
        match client.try_publish(message(n)) {
            Ok(ack) => drop(ack),
            Err(TryPublishError::Full(message)) => {
                given_back = Some(message);
                break;
            }
            Err(TryPublishError::Closed(_)) => panic!(),
        }
        yield_now().await;
    }
    assert_eq!(given_back.unwrap().payload(), b"12", "one in the queue, one in the channel");
}

#[tokio::test(start_paused = true)]
async fn invariant_9_of_100_publishers_cancelled_at_random_exactly_those_that_were_taken_are_sent_once() {
    let links = Links::default();
    let config = Config { commands: 1, ..Config::default() };
    let options = options(Version::V5).session_expiry(secs(600)).window(2);
    let (client, _task) = start_with(options, Standard::default(), &links, config);
    let mut server = links.add(1 << 16);
    server.accept_from(&client, false).await;
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut publishers = JoinSet::new();
    for n in 0..100_u32 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (client, patience) = (client.clone(), millis(random % 1000));
        publishers.spawn(async move {
            let ack = timeout(patience, client.publish(message(n))).await.ok()?.unwrap();
            // Half of them do not wait for the outcome.
            if random.is_multiple_of(2) {
                ack.await.unwrap();
            }
            Some(n)
        });
    }
    let slow = tokio::spawn(async move {
        let mut seen = Vec::new();
        while let Ok(packet) = timeout(secs(60), server.recv_or_pong()).await {
            let Some(Packet::Publish(publish)) = packet else { panic!("{packet:?}") };
            seen.push(std::str::from_utf8(publish.payload()).unwrap().parse::<u32>().unwrap());
            sleep(millis(10)).await;
            server.send(Packet::PubAck(Ack::new(publish.packet_id().unwrap()))).await;
        }
        seen
    });
    let taken: BTreeSet<_> = publishers.join_all().await.into_iter().flatten().collect();
    let seen = slow.await.unwrap();
    assert!((20..100).contains(&taken.len()), "{}", taken.len());
    assert_eq!(seen.len(), taken.len(), "nothing twice");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), taken);
    assert_eq!((client.stats().queued, client.stats().in_flight), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_delays_neither_pings_nor_messages_nor_outcomes() {
    let links = Links::default();
    let (client, mut server) = online(&links).await;
    let grant = answer(&mut server, "slow", ReasonCode::GrantedQoS1);
    let handler = |_| sleep(secs(3600));
    let (slow, ()) = tokio::join!(client.on("slow", QoS::AtLeastOnce, handler), grant);
    let mut other = subscribed(&client, &mut server, "other").await;
    server.send(publish("slow", "x").at_least_once(id(1))).await;
    assert!(
        matches!(server.recv_or_pong().await, Some(Packet::PubAck(_))),
        "at once: its inbox has taken it"
    );
    silent(&mut server).await;
    assert!(client.status().borrow().is_connected(), "four keep-alives later");
    server.send(publish("other", "x")).await;
    other.next().await.unwrap();
    let ack = client.publish(message("1")).await.unwrap();
    takes(&mut server).await;
    assert!(ack.await.is_ok());
    drop(slow);
}

#[tokio::test(start_paused = true)]
async fn a_qos_0_message_between_the_death_of_a_link_and_its_detection_is_told_as_sent_and_lost() {
    let links = Links::default();
    let (client, server) = online(&links).await;
    // The network swallows everything from here on; nobody is told.
    let lost = client.publish(message("lost").qos(QoS::AtMostOnce)).await.unwrap();
    assert_eq!(lost.await.unwrap(), Delivery::Sent);
    let kept = client.publish(message("kept")).await.unwrap();
    let start = Instant::now();
    let mut next = links.add(1 << 16);
    next.accept(true).await;
    let noticed = start.elapsed();
    // One keep-alive of 30 s, half of one for the answer, the first delay.
    assert!(noticed <= secs(46), "{noticed:?}");
    assert_eq!(takes(&mut next).await, "kept", "what is acknowledged is sent again, the other one is not");
    // Its publisher's patience, the operation timeout, is shorter than the detection.
    assert!(matches!(kept.await, Err(OpError::TimedOut)));
    silent(&mut next).await;
    drop(server);
}
