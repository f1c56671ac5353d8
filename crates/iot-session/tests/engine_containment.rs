//! A message for which the server ends the connection is found and given up, the others are not, on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::time::Duration;

use iot_session::layers::Reconnect;
use iot_session::proto::ConnectOptions;
use iot_session::stage::{Event, Notice, Op, OpId, Receipt, SubscribeOp};
use iot_session::{LinkError, Now, OpError, QoS, TopicFilter, Version};
use mqtt_codec::packet::{ConnAck, Disconnect, Publish, SubAck, SubscriptionOptions};
use mqtt_codec::{Packet, PacketId, Properties, Property, ReasonCode};
use support::{Rig, id, lasting, message, options, puback, secs};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];
const MILLI: Duration = Duration::from_millis(1);

/// A server that ends the connection 5 ms after it read a forbidden topic, and acknowledges others after 10 ms: never
/// in time for those that came with a forbidden one.
struct Strict {
    rig: Rig,
    /// What it was sent on each connection.
    connections: Vec<Vec<Publish>>,
    says_why: bool,
}

impl Strict {
    fn new(options: ConnectOptions, says_why: bool) -> Self {
        let mut rig = Rig::new(options.keep_alive(Duration::ZERO));
        rig.connect();
        Self { rig, connections: vec![Vec::new()], says_why }
    }

    /// Serves one connection until nothing comes any more, or it ends it. Whether it lives.
    fn serve(&mut self) -> bool {
        loop {
            let packets = self.rig.sent();
            if packets.is_empty() {
                return true;
            }
            let mut good = Vec::new();
            for packet in packets {
                let Packet::Publish(publish) = packet else { panic!("{packet:?}") };
                self.connections.last_mut().unwrap().push(publish.clone());
                if publish.topic() == "forbidden" {
                    self.rig.advance(5 * MILLI);
                    self.end();
                    return false;
                }
                good.extend(publish.packet_id());
            }
            self.rig.advance(10 * MILLI);
            for id in good {
                self.rig.receive(puback(id.value()));
            }
        }
    }

    fn end(&mut self) {
        if self.says_why {
            self.rig.receive(Disconnect::new(ReasonCode::NotAuthorized));
        } else {
            self.rig.server_closes();
        }
    }

    /// The client comes back as soon as it likes, the session is there.
    fn next_connection(&mut self) {
        self.connections.push(Vec::new());
        self.rig.reconnect(true);
    }

    /// Until a connection lives.
    fn serve_all(&mut self) {
        while !self.serve() {
            self.next_connection();
        }
    }

    fn topics(&self, connection: usize) -> Vec<&str> {
        self.connections[connection].iter().map(Publish::topic).collect()
    }
}

fn poisoned_notices(rig: &Rig) -> Vec<&str> {
    let notices = rig.events.iter().filter_map(|event| match event {
        Event::Notice(Notice::Poisoned { topic }) => Some(topic.as_str()),
        _ => None,
    });
    notices.collect()
}

/// Twenty messages, the eighth of them forbidden; the name of that one, and its identifier.
fn twenty(server: &mut Strict) -> (Vec<OpId>, OpId, PacketId) {
    let ops = (0..20).map(|n| {
        let topic = if n == 7 { "forbidden" } else { "allowed" };
        server.rig.op(message(topic, "x", QoS::AtLeastOnce))
    });
    let mut ops: Vec<_> = ops.collect();
    let culprit = ops.remove(7);
    (ops, culprit, id(8))
}

fn only_the_culprit_is_poisoned(version: Version, says_why: bool) {
    let mut server = Strict::new(lasting(version).operation_timeout(secs(60)), says_why);
    let (others, culprit, culprits_id) = twenty(&mut server);
    server.serve_all();
    let Err(OpError::Poisoned { topic, strikes }) = server.rig.done(culprit) else { panic!() };
    assert_eq!((topic.as_str(), strikes), ("forbidden", 3));
    assert_eq!(poisoned_notices(&server.rig), ["forbidden"]);
    for op in others {
        assert_eq!(server.rig.done(op).unwrap(), Receipt::Acked(ReasonCode::Success));
    }
    // Twice among all that were in flight, then one after the other until its turn came, then without it.
    assert_eq!(server.connections.len(), 4);
    assert_eq!(server.topics(0), server.topics(1));
    assert_eq!(server.topics(0).len(), 8, "what it read before it had enough");
    assert_eq!(server.topics(2), [&["allowed"; 7][..], &["forbidden"]].concat());
    assert_eq!(server.topics(3), ["allowed"; 12]);
    // The connection lives on, everything is free again.
    assert!(server.rig.machine.ready());
    assert_eq!(server.rig.machine.gauges().in_flight, 0);
    let mut ids = Vec::new();
    for _ in 0..20 {
        server.rig.op(message("allowed", "x", QoS::AtLeastOnce));
    }
    for packet in server.rig.sent() {
        let Packet::Publish(publish) = packet else { panic!() };
        ids.extend(publish.packet_id());
    }
    assert!(ids.contains(&culprits_id) && ids.len() == 20, "{ids:?}");
}

#[test]
fn of_twenty_messages_in_flight_only_the_forbidden_one_is_poisoned_when_the_server_just_closes() {
    for version in BOTH {
        only_the_culprit_is_poisoned(version, false);
    }
}

#[test]
fn of_twenty_messages_in_flight_only_the_forbidden_one_is_poisoned_when_the_server_disconnects() {
    only_the_culprit_is_poisoned(Version::V5, true);
}

#[test]
fn a_suspect_is_alone_on_the_link() {
    let mut server = Strict::new(lasting(Version::V3_1_1).operation_timeout(secs(60)), false);
    for topic in ["first", "forbidden", "last"] {
        server.rig.op(message(topic, "x", QoS::AtLeastOnce));
    }
    for _ in 0..2 {
        assert!(!server.serve());
        server.next_connection();
    }
    assert!(matches!(&server.rig.sent()[..], [Packet::Publish(p)] if p.topic() == "first" && p.dup()));
    assert!(!server.rig.machine.ready(), "nothing may join it");
    let busy = server.rig.op(message("new", "x", QoS::AtLeastOnce));
    assert!(matches!(server.rig.done(busy), Err(OpError::Busy)));
    let busy = server.rig.op(message("new", "x", QoS::AtMostOnce));
    assert!(matches!(server.rig.done(busy), Err(OpError::Busy)));
    server.rig.receive(puback(1));
    assert!(matches!(&server.rig.sent()[..], [Packet::Publish(p)] if p.topic() == "forbidden"));
    assert!(!server.rig.machine.ready());
}

#[test]
fn what_stands_behind_a_suspect_waits_for_it() {
    let mut rig = Rig::new(lasting(Version::V3_1_1).operation_timeout(secs(60)));
    rig.connect();
    for payload in ["1", "2"] {
        rig.op(message("a", payload, QoS::AtLeastOnce));
        rig.server_closes();
        rig.reconnect(true);
        rig.sent_names();
    }
    rig.cut(true);
    // The first was struck twice, the second once.
    assert_eq!(rig.sent_names(), ["PUBLISH 1 again"]);
    rig.receive(puback(1));
    assert_eq!(rig.sent_names(), ["PUBLISH 2 again"]);
    assert!(rig.machine.ready());
}

#[test]
fn a_message_issued_with_strikes_waits_until_it_is_alone_and_is_no_duplicate() {
    let mut rig = Rig::bare(options(Version::V3_1_1));
    rig.connect();
    rig.op(message("a", "1", QoS::AtLeastOnce));
    let mut suspect = support::op_of(message("a", "2", QoS::AtLeastOnce));
    suspect.strikes = 2;
    let suspect = rig.op(Op::Publish(suspect));
    assert_eq!(rig.sent().len(), 1);
    assert!(!rig.machine.ready() && rig.is_pending(suspect));
    rig.advance(secs(1));
    rig.receive(puback(1));
    let sent = rig.sent();
    assert!(matches!(&sent[..], [Packet::Publish(p)] if p.payload() == b"2" && !p.dup()), "{sent:?}");
    assert!(!rig.machine.ready(), "it is alone");
    // Its time runs from now on.
    rig.advance(secs(5) - MILLI);
    assert!(rig.is_pending(suspect));
    rig.server_closes();
    assert!(matches!(rig.done(suspect), Err(OpError::Poisoned { strikes: 3, .. })));
}

#[test]
fn a_clean_session_gives_up_a_message_as_well() {
    for version in BOTH {
        let mut rig = Rig::bare(options(version));
        rig.connect();
        let mut last = support::op_of(message("forbidden", "x", QoS::AtLeastOnce));
        last.strikes = 2;
        let op = rig.op(Op::Publish(last));
        rig.advance(5 * MILLI);
        rig.server_closes();
        assert!(matches!(rig.done(op), Err(OpError::Poisoned { strikes: 3, .. })));
        assert_eq!(poisoned_notices(&rig), ["forbidden"]);
    }
}

/// One strike is missing, something else is sent, too, and the server ends the connection.
fn struck_beside(with: Op, before: bool) -> bool {
    let mut rig = Rig::bare(options(Version::V3_1_1));
    rig.connect();
    let mut suspect = support::op_of(message("a", "x", QoS::AtLeastOnce));
    suspect.strikes = 2;
    let op = if before {
        rig.op(with);
        rig.op(Op::Publish(suspect))
    } else {
        let op = rig.op(Op::Publish(suspect));
        rig.op(with);
        op
    };
    rig.advance(5 * MILLI);
    rig.server_closes();
    matches!(rig.done(op), Err(OpError::Poisoned { .. }))
}

#[test]
fn nothing_gets_its_last_strike_while_something_unacknowledged_may_be_the_reason() {
    assert!(!struck_beside(message("forbidden", "x", QoS::AtMostOnce), true));
    let subscribe = || {
        let filter = TopicFilter::try_from("forbidden").unwrap();
        let filters = vec![(filter, SubscriptionOptions::at(QoS::AtLeastOnce))];
        Op::Subscribe(SubscribeOp { filters })
    };
    assert!(!struck_beside(subscribe(), true) && !struck_beside(subscribe(), false));
    assert!(struck_beside(message("refused here", "x", QoS::AtMostOnce), false));
}

/// Ends connections in one way, with a message in flight, many times.
fn survives(version: Version, end: impl Fn(&mut Rig)) {
    let reconnect = Reconnect::default();
    let mut rig = Rig::with_reconnect(lasting(version).operation_timeout(secs(6000)), reconnect);
    rig.connect();
    rig.op(message("a", "x", QoS::AtLeastOnce));
    for _ in 0..5 {
        let dials = rig.dials.len();
        end(&mut rig);
        while rig.dials.len() == dials {
            rig.op(Op::CONNECT);
            rig.advance(secs(1));
        }
        rig.sent();
        rig.accept(true);
        assert!(matches!(&rig.sent()[..], [Packet::Publish(p)] if p.dup()), "it is sent again");
        assert!(rig.machine.ready(), "it need not go alone");
    }
    assert!(poisoned_notices(&rig).is_empty());
}

#[test]
fn a_dead_link_is_no_strike() {
    for version in BOTH {
        survives(version, |rig| {
            rig.advance(secs(45));
            assert_eq!(rig.disconnects().len(), 1, "the keep-alive saw it");
        });
    }
}

#[test]
fn an_end_of_our_own_is_no_strike() {
    for version in BOTH {
        survives(version, |rig| {
            rig.op(Op::Disconnect);
        });
        survives(version, |rig| rig.link_down_by(LinkError::new("the network is gone", true)));
    }
}

#[test]
fn a_server_with_reasons_of_its_own_gives_no_strike() {
    for reason in [ReasonCode::ServerShuttingDown, ReasonCode::SessionTakenOver] {
        survives(Version::V5, |rig| rig.receive(Disconnect::new(reason)));
    }
}

#[test]
fn an_end_long_after_the_message_is_no_strike() {
    let mut rig = Rig::new(lasting(Version::V3_1_1).operation_timeout(secs(2)).keep_alive(Duration::ZERO));
    rig.connect();
    rig.op(message("a", "x", QoS::AtLeastOnce));
    for _ in 0..5 {
        rig.advance(secs(2) + MILLI);
        rig.server_closes();
        rig.reconnect(true);
        assert_eq!(rig.sent().len(), 1);
    }
    assert!(poisoned_notices(&rig).is_empty());
}

#[test]
fn a_message_that_nobody_waits_for_any_more_is_given_up_as_well() {
    let mut server = Strict::new(lasting(Version::V3_1_1).operation_timeout(50 * MILLI), false);
    let op = server.rig.op(message("forbidden", "x", QoS::AtLeastOnce));
    server.serve_all();
    assert!(matches!(server.rig.done(op), Err(OpError::TimedOut)));
    assert_eq!(poisoned_notices(&server.rig), ["forbidden"]);
    assert_eq!(server.connections.len(), 4);
}

#[test]
fn containment_can_be_turned_off() {
    let mut server =
        Strict::new(lasting(Version::V3_1_1).containment(None).operation_timeout(secs(6000)), false);
    let op = server.rig.op(message("forbidden", "x", QoS::AtLeastOnce));
    for _ in 0..10 {
        assert!(!server.serve());
        server.next_connection();
    }
    assert!(server.rig.is_pending(op));
    assert!(poisoned_notices(&server.rig).is_empty());
}

#[test]
fn with_a_limit_of_one_messages_go_one_at_a_time() {
    let mut server = Strict::new(lasting(Version::V3_1_1).containment(Some(1)), false);
    let op = server.rig.op(message("forbidden", "x", QoS::AtLeastOnce));
    assert!(!server.rig.machine.ready());
    assert!(!server.serve());
    assert!(matches!(server.rig.done(op), Err(OpError::Poisoned { strikes: 1, .. })));
}

#[test]
fn what_was_sent_longer_ago_than_that_is_not_blamed() {
    for (waited, blamed) in [(secs(5) - MILLI, true), (secs(5), false)] {
        let mut rig = Rig::bare(lasting(Version::V3_1_1).containment(Some(1)).keep_alive(Duration::ZERO));
        rig.connect();
        rig.op(message("forbidden", "x", QoS::AtLeastOnce));
        rig.advance(waited);
        rig.server_closes();
        assert_eq!(poisoned_notices(&rig).len(), usize::from(blamed), "{waited:?}");
    }
}

#[test]
fn a_suspect_without_room_in_the_window_wakes_nobody() {
    let mut rig = Rig::bare(lasting(Version::V5).keep_alive(Duration::ZERO));
    rig.connect();
    rig.op(message("a", "1", QoS::AtLeastOnce));
    let mut suspect = support::op_of(message("a", "2", QoS::AtLeastOnce));
    suspect.strikes = 2;
    rig.op(Op::Publish(suspect));
    rig.link_down();
    rig.op(Op::CONNECT);
    let mut connack = ConnAck::new(true, ReasonCode::Success);
    connack.properties = Properties::new().with(Property::ReceiveMaximum(1)).unwrap();
    rig.accept_with(connack);
    assert_eq!(rig.sent_names(), ["PUBLISH 1 again"]);
    assert_eq!(rig.advance(secs(60)), 1, "the first one's time is up");
    rig.receive(puback(1));
    assert_eq!(rig.sent_names(), ["PUBLISH 2"]);
}

#[test]
fn a_suspect_that_is_never_answered_holds_up_the_others_for_the_operation_timeout() {
    let mut rig = Rig::bare(options(Version::V3_1_1).keep_alive(Duration::ZERO));
    rig.connect();
    for payload in ["1", "2"] {
        let mut suspect = support::op_of(message("a", payload, QoS::AtLeastOnce));
        suspect.strikes = 2;
        let op = rig.op(Op::Publish(suspect));
        assert_eq!(rig.sent().len(), 1);
        assert!(!rig.machine.ready());
        rig.advance(secs(5) - MILLI);
        rig.machine.handle_timeout(Now::mono(rig.now));
        assert!(!rig.machine.ready(), "nor when it is woken up for something else");
        rig.advance(MILLI);
        assert!(rig.machine.ready());
        assert!(matches!(rig.done(op), Err(OpError::TimedOut)));
        assert_eq!(rig.machine.poll_timeout(), None);
    }
    // One that waits to be alone goes once those before it are no company any more.
    rig.op(message("a", "3", QoS::AtLeastOnce));
    rig.advance(secs(1));
    let mut suspect = support::op_of(message("a", "4", QoS::AtLeastOnce));
    suspect.strikes = 2;
    rig.op(Op::Publish(suspect));
    assert_eq!(rig.sent().len(), 1);
    rig.advance(secs(4) - MILLI);
    assert!(rig.sent().is_empty());
    rig.advance(MILLI);
    assert!(matches!(&rig.sent()[..], [Packet::Publish(p)] if p.payload() == b"4"));
}

#[test]
fn a_suspect_behind_a_message_of_an_earlier_connection_goes_once_that_is_no_company_any_more() {
    let options = lasting(Version::V3_1_1).keep_alive(Duration::ZERO).operation_timeout(secs(5));
    let mut rig = Rig::bare(options);
    rig.connect();
    let first = rig.op(message("a", "1", QoS::AtLeastOnce));
    rig.advance(secs(3));
    rig.link_down();
    rig.op(Op::CONNECT);
    rig.accept(true);
    assert_eq!(rig.sent_names(), ["PUBLISH 1 again"]);
    let mut suspect = support::op_of(message("a", "2", QoS::AtLeastOnce));
    suspect.strikes = 2;
    rig.op(Op::Publish(suspect));
    // The first one's time is up before its second sending is long enough ago.
    rig.advance(secs(5) - MILLI);
    assert!(matches!(rig.done(first), Err(OpError::TimedOut)));
    assert!(rig.sent().is_empty());
    rig.advance(MILLI);
    assert!(matches!(&rig.sent()[..], [Packet::Publish(p)] if p.payload() == b"2"));
    rig.receive(puback(1));
    assert!(!rig.machine.ready(), "it is alone until it is answered itself");
    rig.receive(puback(2));
    assert!(rig.machine.ready());
}

#[test]
fn an_answer_to_a_request_lets_nothing_join_a_suspect() {
    let mut rig = Rig::bare(options(Version::V5));
    rig.connect();
    let mut suspect = support::op_of(message("a", "x", QoS::AtLeastOnce));
    suspect.strikes = 2;
    rig.op(Op::Publish(suspect));
    let filters = vec![(TopicFilter::try_from("f").unwrap(), SubscriptionOptions::at(QoS::AtLeastOnce))];
    rig.op(Op::Subscribe(SubscribeOp { filters }));
    assert_eq!(rig.sent().len(), 2);
    rig.receive(Packet::SubAck(SubAck::new(id(2), [ReasonCode::GrantedQoS1])));
    assert!(!rig.machine.ready());
    rig.receive(puback(1));
    assert!(rig.machine.ready());
}
