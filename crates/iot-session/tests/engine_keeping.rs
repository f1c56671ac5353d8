//! A session that outlives the process: what is written before the server can know it, and what a restarted engine does with it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use bytes::Bytes;
use iot_session::proto::{ConnectOptions, Engine, SavedSession};
use iot_session::stage::{
    Event, Notice, Op, OpId, Owner, PublishOp, Receipt, Resend, StoreError, StoreErrorKind, StoreOp, Stored,
    SubscribeOp, UnsubscribeOp,
};
use iot_session::{OpError, QoS, Version};
use mqtt_codec::packet::{ConnAck, Publish, SubAck, SubscriptionOptions};
use mqtt_codec::{Packet, ReasonCode, TopicFilter, TopicName};
use support::{Rig, id, lasting, message, op_of, options, puback, pubcomp, pubrec, pubrel, secs};

const BOTH: [Version; 2] = [Version::V3_1_1, Version::V5];

/// An engine of which the disk has this.
fn resumed(options: ConnectOptions, disk: &SavedSession) -> Rig {
    let engine = Engine::new(options).keeping(disk.clone());
    let codec = engine.codec();
    Rig::around(Box::new(engine), codec)
}

fn fresh(options: ConnectOptions) -> Rig {
    resumed(options, &SavedSession::default())
}

/// The record that is to be written, if one is.
fn wish(rig: &mut Rig) -> Option<(u64, SavedSession)> {
    let mut wishes = std::mem::take(&mut rig.wishes);
    assert!(wishes.len() <= 1, "one at a time: {wishes:?}");
    wishes.pop().map(|wish| match wish {
        StoreOp::Keep { version, record } => (version, SavedSession::decode(&record).unwrap()),
        other => panic!("{other:?}"),
    })
}

/// Writes what is to be written, which is something. Gives the last record.
fn write(rig: &mut Rig) -> SavedSession {
    let mut last = None;
    while let Some((version, saved)) = wish(rig) {
        last = Some(saved);
        answer(rig, Stored::Kept { version });
    }
    last.unwrap()
}

fn answer(rig: &mut Rig, stored: Stored) {
    rig.machine.handle_stored(iot_session::Now::mono(rig.now), stored);
    rig.settle();
}

/// Connects and writes what is known then.
fn connect(rig: &mut Rig, session_present: bool) -> SavedSession {
    begin(rig, session_present);
    write(rig)
}

/// Connects; what is to be written before CONNECT is. Whether it asked for a clean start.
fn begin(rig: &mut Rig, session_present: bool) -> bool {
    rig.op(Op::CONNECT);
    rig.link_up();
    let mut sent = rig.sent();
    if sent.is_empty() {
        write(rig);
        sent = rig.sent();
    }
    let Some(Packet::Connect(connect)) = sent.pop() else { panic!("no CONNECT") };
    rig.receive(ConnAck::new(session_present, ReasonCode::Success));
    connect.clean_start()
}

/// A message that the outbox keeps under this number.
fn from_the_outbox(rig: &mut Rig, entry: u64, payload: &'static str) -> OpId {
    let id = OpId::new(Owner::OUTBOX, entry);
    let op = op_of(message("a", payload, QoS::ExactlyOnce));
    let op = Op::Publish(PublishOp { resend: Resend::UntilAnswered, ..op });
    rig.machine.handle_op(iot_session::Now::mono(rig.now), id, op);
    rig.settle();
    id
}

fn full() -> StoreError {
    StoreError::new(StoreErrorKind::Full, "the disk is full")
}

#[test]
fn a_qos_2_message_goes_out_once_its_identifier_is_on_disk_and_is_released_once_that_is() {
    for version in BOTH {
        let mut rig = fresh(lasting(version));
        connect(&mut rig, false);
        let op = from_the_outbox(&mut rig, 7, "x");
        assert!(rig.sent().is_empty(), "not before it is written");
        assert_eq!(write(&mut rig).in_flight(), (1, 0));
        assert_eq!(rig.sent_names(), ["PUBLISH 1"]);
        rig.receive(pubrec(1));
        assert!(rig.sent().is_empty(), "not before it is written that PUBREC came");
        write(&mut rig);
        assert_eq!(rig.sent_names(), ["PUBREL 1"]);
        rig.receive(pubcomp(1));
        assert!(matches!(rig.done(op), Ok(Receipt::Acked(_))));
        assert_eq!(write(&mut rig).in_flight(), (0, 0));
    }
}

#[test]
fn messages_of_other_qualities_do_not_wait_for_the_disk() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "x");
    rig.op(message("a", "y", QoS::AtLeastOnce));
    rig.op(message("a", "z", QoS::AtMostOnce));
    assert_eq!(rig.sent_names(), ["PUBLISH 2", "PUBLISH 0"]);
    write(&mut rig);
    assert_eq!(rig.sent_names(), ["PUBLISH 1"]);
    rig.receive(puback(2));
    assert!(wish(&mut rig).is_none(), "QoS 1 changes nothing that must be known");
}

#[test]
fn the_record_has_the_qos_2_messages_only() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    rig.op(message("a", "y", QoS::AtLeastOnce));
    assert_eq!(rig.sent_names(), ["PUBLISH 1"]);
    from_the_outbox(&mut rig, 7, "x");
    assert_eq!(write(&mut rig).in_flight(), (1, 0));
}

#[test]
fn what_comes_while_the_disk_writes_is_in_the_next_record_together() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "x");
    let (version, first) = wish(&mut rig).unwrap();
    assert_eq!(first.in_flight(), (1, 0));
    from_the_outbox(&mut rig, 8, "y");
    from_the_outbox(&mut rig, 9, "z");
    assert!(wish(&mut rig).is_none());
    answer(&mut rig, Stored::Kept { version });
    assert_eq!(rig.sent_names(), ["PUBLISH 1"]);
    assert_eq!(write(&mut rig).in_flight(), (3, 0));
    assert_eq!(rig.sent_names(), ["PUBLISH 2", "PUBLISH 3"]);
}

#[test]
fn a_restarted_engine_sends_what_was_published_again_under_its_identifier() {
    for version in BOTH {
        let mut rig = fresh(lasting(version));
        connect(&mut rig, false);
        from_the_outbox(&mut rig, 7, "x");
        let disk = write(&mut rig);
        assert_eq!(disk.client_id(), Some("device"));

        let mut rig = resumed(lasting(version), &disk);
        assert!(!begin(&mut rig, true), "the session is to go on");
        assert!(rig.sent().is_empty(), "its content comes from the outbox");
        // Another message takes another identifier.
        from_the_outbox(&mut rig, 8, "y");
        let op = from_the_outbox(&mut rig, 7, "x");
        write(&mut rig);
        assert_eq!(rig.sent_names(), ["PUBLISH 2", "PUBLISH 1 again"]);
        rig.receive(pubrec(1));
        write(&mut rig);
        rig.receive(pubcomp(1));
        assert!(matches!(rig.done(op), Ok(Receipt::Acked(_))));
    }
}

#[test]
fn a_restarted_engine_releases_what_was_taken_over_and_publishes_it_no_more() {
    for version in BOTH {
        let mut rig = fresh(lasting(version));
        connect(&mut rig, false);
        from_the_outbox(&mut rig, 7, "before");
        from_the_outbox(&mut rig, 8, "after");
        write(&mut rig);
        rig.receive(pubrec(1));
        rig.receive(pubrec(2));
        let disk = write(&mut rig);

        let mut rig = resumed(lasting(version), &disk);
        begin(&mut rig, true);
        write(&mut rig);
        assert_eq!(rig.sent_names(), ["PUBREL 1", "PUBREL 2"]);
        // One is issued before it is completed, one after.
        let early = from_the_outbox(&mut rig, 7, "before");
        rig.receive(pubcomp(1));
        assert!(matches!(rig.done(early), Ok(Receipt::Acked(_))));
        rig.receive(pubcomp(2));
        write(&mut rig);
        let late = from_the_outbox(&mut rig, 8, "after");
        assert!(matches!(rig.done(late), Ok(Receipt::Acked(_))));
        assert!(rig.sent().is_empty());
        assert_eq!(write(&mut rig).in_flight(), (0, 0));
        // The identifiers are free.
        from_the_outbox(&mut rig, 9, "next");
        write(&mut rig);
        assert!(matches!(rig.sent_names()[0].as_str(), "PUBLISH 1" | "PUBLISH 2"));
    }
}

#[test]
fn that_a_message_was_completed_or_lost_is_remembered_until_it_is_issued_again() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "completed");
    from_the_outbox(&mut rig, 8, "lost");
    write(&mut rig);
    rig.receive(pubrec(1));
    let disk = write(&mut rig);
    // A run that completes the one, and is killed before the outbox issues it.
    let mut rig = resumed(lasting(Version::V5), &disk);
    begin(&mut rig, true);
    write(&mut rig);
    rig.receive(pubcomp(1));
    let disk = write(&mut rig);
    // A run that learns that the session is lost, and is killed as well.
    let mut rig = resumed(lasting(Version::V5), &disk);
    let disk = connect(&mut rig, false);
    let mut rig = resumed(lasting(Version::V5), &disk);
    begin(&mut rig, true);
    let (completed, lost) = (from_the_outbox(&mut rig, 7, "completed"), from_the_outbox(&mut rig, 8, "lost"));
    assert!(matches!(rig.done(completed), Ok(Receipt::Acked(_))));
    assert!(matches!(rig.done(lost), Err(OpError::Interrupted)), "it might arrive twice");
    assert_eq!(rig.sent_names(), Vec::<String>::new()[..]);
    assert_eq!(write(&mut rig).in_flight(), (0, 0));
}

#[test]
fn a_session_that_is_lost_or_another_clients_tells_its_messages_as_interrupted() {
    for version in BOTH {
        let mut rig = fresh(lasting(version));
        connect(&mut rig, false);
        from_the_outbox(&mut rig, 7, "x");
        let published = write(&mut rig);
        rig.receive(pubrec(1));
        let taken_over = write(&mut rig);

        let mut rig = resumed(lasting(version), &published);
        begin(&mut rig, false);
        let op = from_the_outbox(&mut rig, 7, "x");
        assert!(matches!(rig.done(op), Err(OpError::Interrupted)));

        let other = match version {
            Version::V3_1_1 => ConnectOptions::new(version, "other").unwrap().clean_start(false),
            Version::V5 => ConnectOptions::new(version, "other").unwrap().session_expiry(secs(600)),
        };
        for disk in [published, taken_over] {
            let mut rig = resumed(other.clone(), &disk);
            rig.op(Op::CONNECT);
            rig.link_up();
            assert!(matches!(rig.sent()[..], [Packet::Connect(_)]), "none of its identifiers is in use here");
            rig.receive(ConnAck::new(false, ReasonCode::Success));
            let op = from_the_outbox(&mut rig, 7, "x");
            assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
            assert_eq!(write(&mut rig).client_id(), Some("other"));
        }
    }
}

#[test]
fn what_an_earlier_run_sent_stays_known_when_the_link_is_lost_before_it_is_issued() {
    for version in BOTH {
        let mut rig = resumed(lasting(version), &in_use());
        begin(&mut rig, true);
        rig.link_down();
        begin(&mut rig, true);
        from_the_outbox(&mut rig, 7, "x");
        write(&mut rig);
        assert_eq!(rig.sent_names(), ["PUBLISH 1 again"]);
    }
}

#[test]
fn with_identifiers_in_use_connect_waits_until_it_is_on_disk_that_the_session_is_in_doubt() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "x");
    let disk = write(&mut rig);

    let mut rig = resumed(lasting(Version::V5), &disk);
    rig.op(Op::CONNECT);
    rig.link_up();
    assert!(rig.sent().is_empty());
    let disk = write(&mut rig);
    assert!(matches!(rig.sent().as_slice(), [Packet::Connect(_)]));
    // It is killed before CONNACK: that CONNECT may have begun a new session, which the next one finds.
    let mut rig = resumed(lasting(Version::V5), &disk);
    begin(&mut rig, true);
    assert!(!rig.connections()[0].session_certain);
    let op = from_the_outbox(&mut rig, 7, "x");
    assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
    // Its identifier stays taken, in case that the session is the old one.
    from_the_outbox(&mut rig, 8, "y");
    let disk = write(&mut rig);
    assert_eq!(rig.sent_names(), ["PUBLISH 2"]);
    assert_eq!(disk.in_flight(), (2, 0));
    // And it is in doubt no more.
    let mut rig = resumed(lasting(Version::V5), &disk);
    begin(&mut rig, true);
    assert!(rig.connections()[0].session_certain);
}

#[test]
fn without_identifiers_in_use_connect_does_not_wait() {
    let mut rig = fresh(lasting(Version::V5));
    rig.op(Op::CONNECT);
    rig.link_up();
    assert!(matches!(rig.sent().as_slice(), [Packet::Connect(_)]));
    assert!(wish(&mut rig).is_none());
}

fn from_server(n: u16) -> Packet {
    Packet::Publish(
        Publish::new(TopicName::try_from("to").unwrap(), Bytes::from_static(b"x")).exactly_once(id(n)),
    )
}

#[test]
fn a_message_that_was_taken_is_not_delivered_again_by_the_next_run() {
    for version in BOTH {
        let mut rig = fresh(lasting(version));
        connect(&mut rig, false);
        rig.receive(from_server(5));
        assert_eq!(rig.accept_messages().len(), 1);
        assert!(rig.sent().is_empty(), "PUBREC waits until it is on disk");
        let disk = write(&mut rig);
        assert_eq!(rig.sent_names(), ["PUBREC 5"]);
        assert_eq!(disk.in_flight(), (0, 1));

        // PUBREC was lost: the message comes again.
        let mut rig = resumed(lasting(version), &disk);
        begin(&mut rig, true);
        write(&mut rig);
        rig.receive(from_server(5));
        assert!(rig.accept_messages().is_empty());
        assert_eq!(rig.sent_names(), ["PUBREC 5"]);
        rig.receive(pubrel(5));
        assert!(rig.sent().is_empty(), "PUBCOMP frees the identifier: not before that is on disk");
        let disk = write(&mut rig);
        assert_eq!(rig.sent_names(), ["PUBCOMP 5"]);
        // The next message under it is another one.
        let mut rig = resumed(lasting(version), &disk);
        begin(&mut rig, true);
        rig.receive(from_server(5));
        assert_eq!(rig.accept_messages().len(), 1);
    }
}

#[test]
fn a_message_that_was_delivered_and_not_taken_is_delivered_again_by_the_next_run() {
    let mut rig = fresh(lasting(Version::V5));
    let disk = connect(&mut rig, false);
    rig.receive(from_server(5));
    assert!(wish(&mut rig).is_none());
    let mut rig = resumed(lasting(Version::V5), &disk);
    begin(&mut rig, true);
    rig.receive(from_server(5));
    assert_eq!(rig.accept_messages().len(), 1);
}

#[test]
fn what_is_held_for_a_connection_goes_with_it() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "x");
    rig.link_down();
    assert_eq!(write(&mut rig).in_flight(), (1, 0));
    assert!(rig.sent().is_empty());
    begin(&mut rig, true);
    assert_eq!(rig.sent_names(), Vec::<String>::new()[..], "its record is written again first");
    write(&mut rig);
    assert_eq!(rig.sent_names(), ["PUBLISH 1 again"]);
}

#[test]
fn a_disk_that_is_full_is_told_once_and_tried_every_second_while_all_else_goes_on() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "x");
    for _ in 0..3 {
        let (version, _) = wish(&mut rig).unwrap();
        answer(&mut rig, Stored::NotKept { version, error: full() });
        assert!(wish(&mut rig).is_none(), "not at once");
        rig.advance(secs(1));
    }
    let told = rig.events.iter().filter(|event| matches!(event, Event::Notice(Notice::Storage { .. })));
    assert_eq!(told.count(), 1);
    rig.op(message("a", "y", QoS::AtLeastOnce));
    assert_eq!(rig.sent_names(), ["PUBLISH 2"]);
    write(&mut rig);
    assert_eq!(rig.sent_names(), ["PUBLISH 1"]);
}

#[test]
fn without_a_disk_any_more_what_is_known_in_memory_goes_on() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    let op = from_the_outbox(&mut rig, 7, "x");
    wish(&mut rig).unwrap();
    answer(&mut rig, Stored::Closed(full()));
    assert_eq!(rig.sent_names(), ["PUBLISH 1"]);
    rig.receive(pubrec(1));
    assert_eq!(rig.sent_names(), ["PUBREL 1"]);
    rig.receive(pubcomp(1));
    assert!(matches!(rig.done(op), Ok(Receipt::Acked(_))));
    assert!(wish(&mut rig).is_none());
}

#[test]
fn a_refused_qos_2_message_leaves_the_record() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    let op = from_the_outbox(&mut rig, 7, "x");
    write(&mut rig);
    rig.sent();
    rig.receive(Packet::PubRec(mqtt_codec::packet::Ack::with_reason(id(1), ReasonCode::NotAuthorized)));
    assert!(matches!(rig.done(op), Err(OpError::Refused { .. })));
    assert_eq!(write(&mut rig).in_flight(), (0, 0));
}

#[test]
fn a_disconnect_ends_no_message_that_the_outbox_keeps() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    let (published, released) = (from_the_outbox(&mut rig, 7, "x"), from_the_outbox(&mut rig, 8, "y"));
    write(&mut rig);
    rig.receive(pubrec(2));
    write(&mut rig);
    rig.op(Op::Disconnect);
    assert!(rig.is_pending(published) && rig.is_pending(released));
    rig.sent();
    begin(&mut rig, true);
    write(&mut rig);
    assert_eq!(rig.sent_names(), ["PUBREL 2", "PUBLISH 1 again"]);
}

fn filters(names: &[&str]) -> Vec<TopicFilter> {
    names.iter().map(|name| TopicFilter::try_from(*name).unwrap()).collect()
}

#[test]
fn the_record_says_what_the_server_has_granted() {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    let wanted = filters(&["b", "a", "refused"]);
    let wanted =
        wanted.into_iter().map(|filter| (filter, SubscriptionOptions::at(QoS::AtLeastOnce))).collect();
    rig.op(Op::Subscribe(SubscribeOp { filters: wanted }));
    assert!(wish(&mut rig).is_none(), "nothing is granted yet");
    let codes = [ReasonCode::GrantedQoS1, ReasonCode::GrantedQoS1, ReasonCode::NotAuthorized];
    rig.receive(Packet::SubAck(SubAck::new(id(1), codes)));
    let disk = write(&mut rig);
    assert_eq!(disk.filters(), filters(&["a", "b"]));

    let mut rig = resumed(lasting(Version::V5), &disk);
    begin(&mut rig, true);
    rig.op(Op::Unsubscribe(UnsubscribeOp { filters: filters(&["a"]) }));
    rig.receive(Packet::UnsubAck(SubAck::new(id(1), [ReasonCode::Success])));
    let disk = write(&mut rig);
    assert_eq!(disk.filters(), filters(&["b"]));
    // With the session they are lost.
    let mut rig = resumed(lasting(Version::V5), &disk);
    assert!(connect(&mut rig, false).filters().is_empty());
}

#[test]
fn a_generated_client_identifier_and_the_end_of_clean_starts_survive_a_restart() {
    let anonymous = ConnectOptions::new(Version::V5, "").unwrap().session_expiry(secs(600));
    let mut rig = fresh(anonymous.clone());
    rig.op(Op::CONNECT);
    rig.link_up();
    let Packet::Connect(first) = rig.sent().remove(0) else { panic!("no CONNECT") };
    assert!(first.clean_start() && first.client_id().is_empty());
    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties =
        mqtt_codec::Properties::new().with(mqtt_codec::Property::AssignedClientIdentifier("auto-1")).unwrap();
    rig.receive(connack);
    let disk = write(&mut rig);

    let mut rig = resumed(anonymous, &disk);
    rig.op(Op::CONNECT);
    rig.link_up();
    let Packet::Connect(second) = rig.sent().remove(0) else { panic!("no CONNECT") };
    assert_eq!((second.clean_start(), second.client_id()), (false, "auto-1"));
}

#[test]
fn a_session_that_ends_with_its_connection_is_begun_anew_and_its_messages_are_told() {
    let mut rig = fresh(options(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "x");
    let disk = write(&mut rig);
    let mut rig = resumed(options(Version::V5), &disk);
    assert!(begin(&mut rig, false), "clean");
    let op = from_the_outbox(&mut rig, 7, "x");
    assert!(matches!(rig.done(op), Err(OpError::Interrupted)));
}

#[test]
fn at_a_disconnect_what_has_changed_is_written_whatever_is_under_way() {
    let mut rig = fresh(lasting(Version::V5));
    rig.op(Op::CONNECT);
    rig.accept(false);
    let (slow, _) = wish(&mut rig).unwrap();
    let wanted = filters(&["a"]).remove(0);
    let wanted = vec![(wanted, SubscriptionOptions::at(QoS::AtLeastOnce))];
    rig.op(Op::Subscribe(SubscribeOp { filters: wanted }));
    rig.receive(Packet::SubAck(SubAck::new(id(1), [ReasonCode::GrantedQoS1])));
    assert!(wish(&mut rig).is_none());
    rig.op(Op::Disconnect);
    let (last, disk) = wish(&mut rig).unwrap();
    assert_eq!(disk.filters(), filters(&["a"]));
    answer(&mut rig, Stored::Kept { version: slow });
    assert!(wish(&mut rig).is_none(), "the last is under way");
    answer(&mut rig, Stored::Kept { version: last });
    assert!(wish(&mut rig).is_none());
}

#[test]
fn where_nothing_is_kept_the_next_run_takes_an_identifier_that_the_server_may_know() {
    let run = || {
        let mut rig = Rig::new(lasting(Version::V5));
        rig.connect();
        rig.op(message("a", "x", QoS::ExactlyOnce));
        let sent = rig.sent_names();
        assert!(rig.wishes.is_empty());
        sent
    };
    // So QoS 2 is not guaranteed then, which is what the table of guarantees says.
    assert_eq!(run(), run());
    assert_eq!(run(), ["PUBLISH 1"]);
}

/// A record with an identifier in use.
fn in_use() -> SavedSession {
    let mut rig = fresh(lasting(Version::V5));
    connect(&mut rig, false);
    from_the_outbox(&mut rig, 7, "x");
    write(&mut rig)
}

#[test]
fn a_disk_that_fails_or_is_slow_keeps_nobody_offline() {
    let mut rig = resumed(lasting(Version::V5), &in_use());
    rig.op(Op::CONNECT);
    rig.link_up();
    let (version, _) = wish(&mut rig).unwrap();
    assert!(rig.sent().is_empty());
    answer(&mut rig, Stored::NotKept { version, error: full() });
    assert!(matches!(rig.sent().as_slice(), [Packet::Connect(_)]));
    rig.receive(ConnAck::new(true, ReasonCode::Success));
    assert_eq!(rig.connections().len(), 1);

    let mut rig = resumed(lasting(Version::V5), &in_use());
    rig.op(Op::CONNECT);
    rig.link_up();
    wish(&mut rig).unwrap();
    assert_eq!(rig.advance(std::time::Duration::from_millis(999)), 0);
    assert!(rig.sent().is_empty());
    rig.advance(std::time::Duration::from_millis(1));
    assert!(matches!(rig.sent().as_slice(), [Packet::Connect(_)]));
}

#[test]
fn a_server_that_answers_before_it_is_asked_ends_the_connection() {
    let mut rig = resumed(lasting(Version::V5), &in_use());
    rig.op(Op::CONNECT);
    rig.link_up();
    rig.receive(ConnAck::new(true, ReasonCode::Success));
    assert!(matches!(rig.why(), iot_session::ConnectionError::Protocol("CONNACK before CONNECT")));
    write(&mut rig);
    assert!(rig.sent().is_empty());
}

#[test]
fn a_late_answer_to_an_earlier_record_sets_no_timer() {
    let mut rig = fresh(lasting(Version::V5));
    rig.op(Op::CONNECT);
    rig.accept(false);
    let (early, _) = wish(&mut rig).unwrap();
    from_the_outbox(&mut rig, 7, "x");
    rig.op(Op::Disconnect);
    let (late, _) = wish(&mut rig).unwrap();
    answer(&mut rig, Stored::NotKept { version: early, error: full() });
    assert_eq!(rig.advance(secs(3600)), 0);
    answer(&mut rig, Stored::Kept { version: late });
    assert_eq!(rig.advance(secs(3600)), 0);
    assert!(wish(&mut rig).is_none());
}
