//! Many connections doing anything in any order: nothing panics, nothing grows, nobody is spoken to after the end.

use super::*;

/// Numerical Recipes' generator: seeded, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap()]
    }

    fn packet_id(&mut self) -> PacketId {
        packet_id(u16::try_from(self.below(20) + 1).unwrap())
    }

    fn qos(&mut self) -> QoS {
        // QoS 2 ends connections, so it is rare.
        match self.below(40) {
            0 => QoS::ExactlyOnce,
            n if n % 2 == 0 => QoS::AtLeastOnce,
            _ => QoS::AtMostOnce,
        }
    }

    fn connect(&mut self) -> ConnectBuilder {
        let version = BOTH[usize::try_from(self.below(2)).unwrap()];
        let mut connect = hello(version, self.of(&["a", "b", "c", "d"]));
        connect.clean_start = self.below(3) == 0;
        connect.keep_alive = u16::try_from(self.below(60)).unwrap();
        if self.below(2) == 0 {
            connect.will = Some(Will { retain: self.below(2) == 0, ..will("w/1") });
        }
        if version.is_v5() {
            connect.properties =
                with(Property::SessionExpiryInterval(u32::try_from(self.below(30)).unwrap()))
                    .with(Property::ReceiveMaximum(u16::try_from(self.below(4) + 1).unwrap()))
                    .unwrap();
            if let Some(will) = &mut connect.will {
                will.properties = with(Property::WillDelayInterval(u32::try_from(self.below(20)).unwrap()));
            }
        }
        connect
    }

    fn packet(&mut self, version: Version) -> Packet {
        let topics = ["a/b", "a/c", "w/1", "d"];
        let filters = ["#", "a/+", "a/b", "$share/g/a/#", "$share/h/a/b", "w/#"];
        match self.below(20) {
            0..=9 => {
                let publish = message(self.of(&topics), self.of(&["", "x", "yy"]));
                let mut publish = publish.with_retain(self.below(4) == 0);
                if version.is_v5() && self.below(2) == 0 {
                    let seconds = u32::try_from(self.below(30)).unwrap();
                    publish =
                        publish.with_properties(&with(Property::MessageExpiryInterval(seconds))).unwrap();
                }
                match self.qos() {
                    QoS::AtMostOnce => publish.into(),
                    QoS::AtLeastOnce => publish.at_least_once(self.packet_id()).into(),
                    QoS::ExactlyOnce => publish.exactly_once(self.packet_id()).into(),
                }
            }
            10..=13 => Packet::PubAck(Ack::new(self.packet_id())),
            14..=16 => {
                let filter = TopicFilter::try_from(self.of(&filters)).unwrap();
                Subscribe::new(self.packet_id(), [(&filter, at(self.qos()))]).into()
            }
            17 => {
                let filter = TopicFilter::try_from(self.of(&filters)).unwrap();
                Unsubscribe::new(self.packet_id(), [&filter]).into()
            }
            18 => Packet::PingReq,
            _ if self.below(4) == 0 => Disconnect::default().into(),
            _ => Packet::PubRel(Ack::new(self.packet_id())),
        }
    }
}

#[test]
fn whatever_clients_do_the_broker_stays_within_its_bounds() {
    for seed in 0..30 {
        let behaviour = Behaviour {
            max_queued: 10,
            max_queued_bytes: 2_000,
            max_retained: 2,
            max_sessions: 3,
            ..Behaviour::default()
        };
        let mut random = Random(seed);
        let mut world = World::with(behaviour.clone());
        let mut next = 0;
        for _ in 0..2_000 {
            let target = world.open.iter().copied().nth(usize::try_from(random.below(4)).unwrap());
            match (random.below(30), target) {
                (0..=1, _) | (_, None) => {
                    next += 1;
                    world.open(next);
                    world.send(next, random.connect().build().unwrap());
                }
                (2, Some(id)) => world.lose(id),
                (3, Some(_)) => world.pass(Duration::from_millis(random.below(20_000))),
                (4, Some(id)) => {
                    world.broker.malformed(world.now, ConnectionId(id), DecodeError::Truncated);
                    world.drain();
                }
                (5, Some(_)) => world.broker.hold_acks(random.below(2) == 0),
                (_, Some(id)) => {
                    let version = world.broker.up(ConnectionId(id)).map_or(Version::V3_1_1, |up| up.version);
                    world.send(id, random.packet(version));
                }
            }
            world.drain();
            check(&world, &behaviour);
            world.sent.clear();
        }
        // Everybody leaves; in time nothing is left but retained messages.
        for id in world.open.clone() {
            world.lose(id);
        }
        world.pass(secs(4_000));
        assert_eq!((world.broker.session_count(), world.broker.groups.len()), (0, 0));
        assert_eq!(world.broker.deadline(), None);
    }
}

fn check(world: &World, limits: &Behaviour) {
    let broker = &world.broker;
    assert!(broker.session_count() <= limits.max_sessions);
    assert!(broker.retained.iter(Duration::ZERO).count() <= limits.max_retained);
    assert_eq!(broker.connections.len(), world.open.len());
    for session in broker.sessions.values() {
        let (in_flight, queued, bytes) = session.backlog();
        assert!(in_flight <= usize::from(limits.max_in_flight));
        assert!(queued <= limits.max_queued && bytes <= limits.max_queued_bytes);
        assert!(session.connection.is_none_or(|id| broker.up(id).is_some()));
    }
    for group in broker.groups.values() {
        assert!(!group.is_empty());
    }
}
