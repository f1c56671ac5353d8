//! The outbox on a virtual clock, around a stage and above a disk that do what the test says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests say what they expect by panicking"
)]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use iot_session::layers::{DrainRate, DropPolicy, Found};
use iot_session::stage::{
    EntryId, Event, Notice, Op, OpId, Owner, PublishOp, Receipt, Resend, StoreErrorKind, StoreOp, Stored,
};
use iot_session::{Dropped, Message, Nanos, Now, OpError, QoS, UnixMillis, Version};
use mqtt_codec::packet::ConnAck;
use mqtt_codec::{Property, ReasonCode};
use support::disk::{Desk, broken, found};
use support::script::{one, text};
use support::secs;

fn fast(outbox: iot_session::layers::Outbox) -> iot_session::layers::Outbox {
    outbox.drain_rate(DrainRate::unlimited())
}

fn handed_on(desk: &mut Desk) -> Vec<(OpId, String)> {
    desk.taken().into_iter().map(|(_, id, op)| (id, text(&op))).collect()
}

fn publish_with(desk: &mut Desk, op: PublishOp) -> OpId {
    let id = desk.op(Op::Publish(op));
    desk.work();
    id
}

fn dropped(desk: &Desk, op: OpId) -> Option<Dropped> {
    match desk.end(op)?.1 {
        OpError::Dropped(why) => Some(why),
        other => panic!("{other:?}"),
    }
}

// --- write-ahead ---

#[test]
fn with_a_connection_too_a_message_is_handed_on_only_once_it_is_written() {
    let mut desk = Desk::new(fast);
    desk.connect();
    let op = desk.bench_publish("1");
    assert!(desk.taken().is_empty(), "not before it is written");
    assert!(!desk.is_stored(op));
    desk.work();
    assert!(desk.is_stored(op));
    let handed_on = desk.taken();
    assert_eq!(handed_on.len(), 1);
    let (_, id, message) = &handed_on[0];
    assert_eq!((id.owner(), message.resend), (Owner::OUTBOX, Resend::UntilAnswered));
    assert_eq!(desk.on_disk(), 1, "it stays until it is acknowledged");
    desk.acknowledge([*id]);
    assert!(desk.is_acked(op));
    assert_eq!(desk.on_disk(), 0);
}

#[test]
fn what_is_written_but_may_be_lost_with_the_power_is_sent_and_not_told_as_stored() {
    let mut desk = Desk::new(fast);
    desk.connect();
    let op = desk.bench_publish("1");
    desk.say(Stored::Appended { through: EntryId(1), durable: false });
    assert_eq!(handed_on(&mut desk).len(), 1);
    assert!(!desk.is_stored(op));
    desk.say(Stored::Appended { through: EntryId(1), durable: true });
    assert!(desk.is_stored(op));
}

#[test]
fn a_message_that_cannot_be_written_is_not_sent_and_its_publisher_is_told_why() {
    let mut desk = Desk::new(fast);
    desk.connect();
    let (bad, good) = (desk.bench_publish("bad"), desk.bench_publish("good"));
    desk.take_wishes();
    desk.say(Stored::NotAppended(EntryId(1), broken(StoreErrorKind::Full)));
    desk.say(Stored::Appended { through: EntryId(2), durable: true });
    let Some((_, OpError::Store(error))) = desk.end(bad) else { panic!("not told") };
    assert_eq!(error.kind(), StoreErrorKind::Full);
    assert!(!desk.is_stored(bad) && desk.is_stored(good));
    assert_eq!(handed_on(&mut desk).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), ["good"]);
    assert_eq!(desk.gauges().queued, 0);
}

#[test]
fn messages_keep_their_order_although_later_ones_are_ready_sooner() {
    let mut desk = Desk::new(fast);
    desk.answers = false;
    desk.connect();
    desk.answers = false;
    desk.bench_publish("1");
    // Passes nothing: it may not overtake the first.
    desk.op(Op::Publish(PublishOp { qos: QoS::AtMostOnce, ..one("2") }));
    desk.bench_publish("3");
    assert!(desk.taken().is_empty());
    desk.work();
    assert_eq!(desk.drain(), ["1", "2", "3"]);
}

// --- restart ---

#[test]
fn after_a_restart_everything_unacknowledged_goes_out_in_order_at_the_rate_before_anything_new() {
    let mut desk = Desk::new(|outbox| outbox);
    for n in 1..=5 {
        desk.publish(&n.to_string());
    }
    desk.connect();
    let first = desk.taken();
    assert_eq!(first.len(), 1, "two per second, the first at once");
    desk.acknowledge([first[0].1]);

    let mut desk = desk.restart(|outbox| outbox);
    let new = desk.publish("new");
    desk.connect();
    desk.advance(secs(10));
    let sent: Vec<(u64, String)> = desk.timed();
    // The last one was published before there was a connection: it is part of the drain.
    let expected: Vec<(u64, String)> = [(0, "2"), (500, "3"), (1000, "4"), (1500, "5"), (2000, "new")]
        .map(|(at, text)| (at, text.to_owned()))
        .into();
    assert_eq!(sent, expected);
    assert!(!desk.is_acked(new));
    let later = desk.publish("later");
    let sent = desk.taken();
    assert_eq!(sent.len(), 1);
    desk.acknowledge([sent[0].1]);
    assert!(desk.is_acked(later));
}

#[test]
fn what_was_sent_and_not_acknowledged_before_a_crash_is_sent_once_more() {
    let mut desk = Desk::new(fast);
    desk.connect();
    for n in 1..=3 {
        desk.publish(&n.to_string());
    }
    let sent = desk.taken();
    desk.acknowledge([sent[1].1]);
    let mut desk = desk.restart(fast);
    desk.connect();
    assert_eq!(desk.drain(), ["1", "3"]);
    assert_eq!(desk.on_disk(), 0);
}

#[test]
fn numbers_go_on_where_an_earlier_run_left_off() {
    let mut desk = Desk::new(fast);
    desk.publish("1");
    desk.publish("2");
    let mut desk = desk.restart(fast);
    desk.publish("3");
    assert_eq!(desk.disk.keys().copied().collect::<Vec<_>>(), [EntryId(1), EntryId(2), EntryId(3)]);
}

#[test]
fn the_publisher_of_an_earlier_run_is_told_by_a_notice_what_became_of_the_message() {
    let mut desk = Desk::new(fast);
    for n in 1..=3 {
        desk.publish(&n.to_string());
    }
    let mut desk = desk.restart(fast);
    desk.connect();
    let sent = desk.taken();
    desk.acknowledge([sent[0].1]);
    assert!(desk.notices().iter().all(|(_, notice)| !matches!(notice, Notice::Undelivered { .. })));
    let refused = OpError::Refused { reason: ReasonCode::NotAuthorized, message: None };
    desk.inner_event(Event::Done(sent[1].1, Err(refused.clone())));
    desk.work();
    let undelivered: Vec<_> = desk
        .notices()
        .into_iter()
        .filter_map(|(_, notice)| match notice {
            Notice::Undelivered { topic, why } => Some((topic.unwrap().as_str().to_owned(), why.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(undelivered, [("topic".to_owned(), refused.to_string())]);
    assert_eq!(desk.on_disk(), 1, "it left the disk, too");
    assert!(!desk.events.iter().any(|(_, event)| matches!(event, Event::Done(..) | Event::Stored(_))));
}

#[test]
fn a_damaged_entry_is_removed_and_told_and_nothing_else_is_lost() {
    let mut desk = Desk::new(fast);
    for n in 1..=3 {
        desk.publish(&n.to_string());
    }
    let record = desk.disk[&EntryId(2)].clone();
    for cut in 0..record.len() {
        let mut disk = desk.disk.clone();
        disk.insert(EntryId(2), record.slice(..cut));
        let mut desk = Desk::on(disk, fast);
        desk.connect();
        assert_eq!(desk.drain(), ["1", "3"], "cut at {cut}");
        assert_eq!(desk.on_disk(), 0);
        let told = desk.notices().into_iter().filter(|(_, n)| matches!(n, Notice::Undelivered { .. }));
        assert_eq!(told.count(), 1);
    }
}

#[test]
fn an_entry_with_anything_in_it_that_no_version_writes_is_removed_and_told() {
    type Damage = fn(&mut Vec<u8>);
    let mut desk = Desk::new(fast);
    desk.publish("1");
    let record = desk.disk[&EntryId(1)].to_vec();
    let damages: [(&str, Damage); 5] = [
        ("a form that never was", |record| record[0] = 0),
        ("an unknown flag", |record| record[1] = 0x80),
        ("something behind the PUBLISH", |record| record.push(0)),
        ("another packet", |record| {
            record.truncate(14);
            record.extend(b"\xc0\x00");
        }),
        ("a malformed PUBLISH", |record| record[14] = 0x36),
    ];
    for (name, damage) in damages {
        let mut damaged = record.clone();
        damage(&mut damaged);
        let mut disk = desk.disk.clone();
        disk.insert(EntryId(1), damaged.into());
        let mut desk = Desk::on(disk, fast);
        desk.connect();
        assert_eq!((desk.drain().len(), desk.on_disk()), (0, 0), "{name}");
        let told = desk.notices().into_iter().filter(|(_, n)| matches!(n, Notice::Undelivered { .. }));
        assert_eq!(told.count(), 1, "{name}");
    }
}

#[test]
fn what_was_found_is_counted_and_entries_out_of_order_are_an_error() {
    let mut desk = Desk::new(fast);
    desk.publish("1");
    let record = desk.disk[&EntryId(1)].clone();
    let mut found = Found::default();
    found.add(EntryId(3), &record).unwrap();
    found.add(EntryId(5), &record.slice(..3)).unwrap();
    for not_next in [0, 3, 5] {
        let error = found.add(EntryId(not_next), &record).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupted);
        assert!(error.to_string().contains(&format!("entry {not_next} out of order")), "{error}");
    }
    assert_eq!((found.messages(), found.damaged()), (1, 1));
    assert!(found.bytes() > 0);
}

#[test]
fn an_entry_of_a_newer_form_is_an_error_and_stays() {
    let mut desk = Desk::new(fast);
    desk.publish("1");
    let mut record = desk.disk[&EntryId(1)].to_vec();
    record[0] = 2;
    let error = Found::default().add(EntryId(1), &record.into()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Newer);
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn topic_payload_properties_and_flags_survive() {
    let message = Message::new("a/b", vec![0, 159, 255]).unwrap().retain(true);
    let message = message.property(Property::ContentType("application/cbor")).unwrap();
    let message = message.property(Property::UserProperty("key", "value")).unwrap();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        for resend in [true, false] {
            let op = message.clone().qos(qos).resend(resend).into_op();
            let mut desk = Desk::new(fast);
            publish_with(&mut desk, op.clone());
            let mut desk = desk.restart(fast);
            desk.connect();
            let (_, _, got) = desk.taken().remove(0);
            assert_eq!(got.publish, op.publish, "{qos:?}");
            assert_eq!(got.qos, qos);
            let lasts = qos == QoS::AtLeastOnce && resend;
            let expected = match (lasts, resend) {
                (true, _) => Resend::UntilAnswered,
                (false, true) => Resend::OtherSession,
                (false, false) => Resend::Never,
            };
            assert_eq!(got.resend, expected);
            assert_eq!(desk.on_disk(), usize::from(lasts), "{qos:?} {resend}");
        }
    }
}

// --- what may not be doubled ---

#[test]
fn a_qos_0_message_leaves_the_disk_for_good_before_it_is_handed_on() {
    let mut desk = Desk::new(fast);
    for n in 1..=3 {
        publish_with(&mut desk, PublishOp { qos: QoS::AtMostOnce, ..one(&n.to_string()) });
    }
    assert_eq!(desk.on_disk(), 3);
    desk.bench_connect();
    assert!(desk.taken().is_empty(), "still on disk");
    assert_eq!(
        desk.take_wishes(),
        [StoreOp::Take(EntryId(1)), StoreOp::Take(EntryId(2)), StoreOp::Take(EntryId(3))],
        "one write serves them all"
    );
    desk.say(Stored::Taken(EntryId(1)));
    assert_eq!(handed_on(&mut desk).into_iter().map(|(_, text)| text).collect::<Vec<_>>(), ["1"]);
}

#[test]
fn at_a_drain_rate_one_qos_0_message_at_a_time_leaves_the_disk() {
    let mut desk = Desk::new(|outbox| outbox);
    for n in 1..=3 {
        publish_with(&mut desk, PublishOp { qos: QoS::AtMostOnce, ..one(&n.to_string()) });
    }
    desk.connect();
    assert_eq!(desk.on_disk(), 2);
    desk.advance(Duration::from_millis(499));
    assert_eq!(desk.on_disk(), 2);
    desk.advance(Duration::from_millis(1));
    assert_eq!((desk.on_disk(), desk.payloads()), (1, vec!["1".to_owned(), "2".to_owned()]));
}

#[test]
fn what_cannot_be_taken_off_the_disk_is_not_sent_before_it_can() {
    let mut desk = Desk::new(fast);
    let op = publish_with(&mut desk, PublishOp { qos: QoS::AtMostOnce, ..one("1") });
    desk.bench_connect();
    desk.take_wishes();
    desk.say(Stored::NotTaken(EntryId(1), broken(StoreErrorKind::Io)));
    assert!(desk.end(op).is_none() && desk.take_wishes().is_empty());
    assert!(matches!(desk.notices().last(), Some((0, Notice::Storage { .. }))));
    desk.advance(Duration::from_millis(999));
    assert!(desk.taken().is_empty());
    desk.advance(Duration::from_millis(1));
    assert_eq!((desk.payloads(), desk.on_disk()), (vec!["1".to_owned()], 0));
}

#[test]
fn what_ends_while_it_is_being_taken_leaves_the_disk_all_the_same() {
    let mut desk = Desk::new(fast);
    let op = PublishOp { qos: QoS::AtMostOnce, ttl: NonZeroU32::new(1000), ..one("1") };
    let op = publish_with(&mut desk, op);
    desk.bench_connect();
    desk.take_wishes();
    desk.bench_advance(secs(1));
    assert_eq!(dropped(&desk, op), Some(Dropped::Expired));
    assert!(desk.take_wishes().is_empty());
    desk.say(Stored::NotTaken(EntryId(1), broken(StoreErrorKind::Full)));
    assert_eq!(desk.take_wishes(), [StoreOp::Remove(EntryId(1))]);
}

#[test]
fn with_a_connection_and_nothing_waiting_a_qos_0_message_passes_without_the_disk() {
    let mut desk = Desk::new(fast);
    desk.connect();
    for qos in [QoS::AtMostOnce, QoS::ExactlyOnce] {
        let op = desk.op(Op::Publish(PublishOp { qos, ..one("x") }));
        assert!(desk.take_wishes().is_empty());
        assert_eq!(handed_on(&mut desk), [(op, "x".to_owned())]);
    }
}

#[test]
fn what_may_not_be_queued_never_touches_the_disk() {
    let mut desk = Desk::new(fast);
    let op = desk.op(Op::Publish(PublishOp { queue: false, ..one("x") }));
    assert!(desk.take_wishes().is_empty());
    assert_eq!(handed_on(&mut desk), [(op, "x".to_owned())], "the stage inside says that it is offline");
}

// --- bounds ---

#[test]
fn of_7_messages_an_outbox_of_5_keeps_the_first_5_or_the_last_5_on_disk_as_well() {
    for (policy, kept, told) in [
        (DropPolicy::DropNewest, ["1", "2", "3", "4", "5"], [(5, Dropped::Newest), (6, Dropped::Newest)]),
        (DropPolicy::DropOldest, ["3", "4", "5", "6", "7"], [(0, Dropped::Oldest), (1, Dropped::Oldest)]),
    ] {
        let mut desk = Desk::new(|outbox| fast(outbox).max_messages(5).when_full(policy));
        let ops: Vec<OpId> = (1..=7).map(|n| desk.publish(&n.to_string())).collect();
        for (n, op) in ops.iter().enumerate() {
            let expected = told.iter().find(|(which, _)| *which == n).map(|(_, why)| *why);
            assert_eq!(dropped(&desk, *op), expected, "{policy:?}, message {}", n + 1);
        }
        assert_eq!(desk.on_disk(), 5);
        let mut desk = desk.restart(fast);
        desk.connect();
        assert_eq!(desk.drain(), kept);
    }
}

#[test]
fn the_outbox_is_bounded_in_bytes_and_takes_nothing_that_is_larger_than_all_of_it() {
    let mut desk = Desk::new(|outbox| fast(outbox).max_bytes(20));
    let large = desk.publish(&"x".repeat(16));
    assert_eq!(dropped(&desk, large), Some(Dropped::TooLarge));
    let fits = desk.publish(&"x".repeat(15));
    assert_eq!(dropped(&desk, fits), None);
    let too_much = desk.publish("");
    assert_eq!(dropped(&desk, too_much), Some(Dropped::Newest));
    assert_eq!(desk.on_disk(), 1);
}

#[test]
fn what_is_in_flight_counts_and_is_never_dropped_for_something_new() {
    let mut desk = Desk::new(|outbox| fast(outbox).max_messages(2).when_full(DropPolicy::DropOldest));
    desk.connect();
    let (a, b) = (desk.publish("a"), desk.publish("b"));
    assert_eq!(desk.taken().len(), 2);
    assert!(!desk.ready(), "publishers wait");
    let c = desk.publish("c");
    assert_eq!(dropped(&desk, c), Some(Dropped::Newest));
    assert!(desk.end(a).is_none() && desk.end(b).is_none());
}

#[test]
fn a_disk_that_does_not_keep_up_makes_publishers_wait_offline_too() {
    let mut desk = Desk::new(fast);
    desk.answers = false;
    let mut taken = 0;
    while desk.ready() {
        desk.publish(&"x".repeat(1000));
        taken += 1;
        assert!(taken <= 1024);
    }
    assert!(taken > 1000, "{taken}");
    desk.work();
    assert!(desk.ready());
}

#[test]
fn contents_beyond_the_window_are_read_back_in_order() {
    let mut desk = Desk::new(fast);
    let count = 1_000;
    for n in 0..count {
        desk.publish(&format!("{n:05}"));
    }
    desk.connect();
    let payloads = desk.drain();
    let expected: Vec<String> = (0..count).map(|n| format!("{n:05}")).collect();
    assert_eq!(payloads, expected);
    let loads = desk.done.iter().filter(|op| matches!(op, StoreOp::Load { .. })).count();
    assert!((10..=20).contains(&loads), "{loads} reads");
    assert_eq!(desk.on_disk(), 0);
}

// --- time ---

#[test]
fn the_time_to_live_ends_at_its_instant_and_the_entry_leaves_the_disk() {
    let mut desk = Desk::new(fast);
    let op = publish_with(&mut desk, PublishOp { ttl: NonZeroU32::new(1500), ..one("1") });
    desk.advance(Duration::from_millis(1499));
    assert!(desk.end(op).is_none());
    desk.advance(Duration::from_millis(1));
    assert_eq!(dropped(&desk, op), Some(Dropped::Expired));
    assert_eq!(desk.on_disk(), 0);
}

#[test]
fn across_a_restart_the_time_to_live_goes_by_the_calendar() {
    let at = |seconds: u64| Some(UnixMillis(1_800_000_000_000 + seconds * 1000));
    for (later, goes_out) in [(at(3), true), (at(10), false), (at(0), true), (None, true)] {
        let mut desk = Desk::new(fast);
        desk.wall = at(0);
        publish_with(&mut desk, PublishOp { ttl: NonZeroU32::new(10_000), ..one("1") });
        let mut desk = desk.restart(fast);
        desk.wall = later;
        desk.connect();
        let sent = desk.taken();
        assert_eq!(!sent.is_empty(), goes_out, "{later:?}");
        if goes_out {
            let left = later.map_or(10_000, |later| 10_000 - (later.0 - 1_800_000_000_000) as u32);
            assert_eq!(sent[0].2.ttl, NonZeroU32::new(left));
        } else {
            assert_eq!(desk.on_disk(), 0);
        }
    }
}

#[test]
fn a_clock_that_was_set_back_lets_the_time_begin_anew_and_no_longer() {
    let mut desk = Desk::new(fast);
    desk.wall = Some(UnixMillis(1_800_000_000_000));
    publish_with(&mut desk, PublishOp { ttl: NonZeroU32::new(10_000), ..one("1") });
    let mut desk = desk.restart(fast);
    desk.wall = Some(UnixMillis(1_000_000_000_000));
    desk.advance(Duration::from_millis(10_000));
    assert_eq!(desk.on_disk(), 0);
    assert!(desk.notices().iter().any(|(at, n)| *at == 10_000 && matches!(n, Notice::Undelivered { .. })));
}

// --- the connection comes and goes ---

#[test]
fn nothing_is_handed_on_without_a_connection_and_a_cut_in_a_drain_begins_another_one() {
    let mut desk = Desk::new(|outbox| outbox);
    for n in 1..=4 {
        desk.publish(&n.to_string());
    }
    assert!(desk.taken().is_empty());
    desk.connect();
    desk.advance(Duration::from_millis(600));
    assert_eq!(desk.payloads(), ["1", "2"]);
    desk.disconnect();
    desk.advance(secs(100));
    assert!(desk.taken().is_empty());
    desk.connect();
    desk.advance(secs(100));
    assert_eq!(desk.payloads(), ["3", "4"]);
}

#[test]
fn what_ends_below_as_offline_goes_out_again_from_the_disk() {
    for error in [OpError::Offline, OpError::Busy, OpError::Interrupted] {
        let mut desk = Desk::new(fast);
        desk.connect();
        let op = desk.publish("1");
        let (_, id, _) = desk.taken().remove(0);
        desk.inner_event(Event::Done(id, Err(error)));
        desk.work();
        assert!(desk.end(op).is_none() && desk.on_disk() == 1);
        desk.disconnect();
        desk.connect();
        assert_eq!(desk.drain(), ["1"]);
        assert!(desk.is_acked(op));
    }
}

#[test]
fn refusals_end_the_message_and_its_entry() {
    let refused = OpError::Refused { reason: ReasonCode::NotAuthorized, message: None };
    let poisoned = OpError::Poisoned { topic: mqtt_codec::Text::try_from("topic").unwrap(), strikes: 3 };
    for error in [refused, poisoned, OpError::Unsupported("no"), OpError::Dropped(Dropped::Expired)] {
        let mut desk = Desk::new(fast);
        desk.connect();
        let op = desk.publish("1");
        let (_, id, _) = desk.taken().remove(0);
        desk.inner_event(Event::Done(id, Err(error.clone())));
        desk.work();
        assert_eq!(desk.end(op).unwrap().1.to_string(), error.to_string());
        assert_eq!(desk.on_disk(), 0);
    }
}

#[test]
fn a_message_that_comes_back_keeps_its_place() {
    let mut desk = Desk::new(fast);
    desk.connect();
    let ops = ["1", "2", "3"].map(|n| desk.publish(n));
    let sent = desk.taken();
    for (_, id, op) in sent {
        desk.inner_event(Event::Returned(id, Box::new(op)));
    }
    desk.disconnect();
    desk.connect();
    assert_eq!(desk.drain(), ["1", "2", "3"]);
    assert!(ops.iter().all(|op| desk.is_acked(*op)));
}

// --- the store fails ---

#[test]
fn when_the_store_is_gone_what_is_in_memory_goes_out_and_everything_else_is_told() {
    let mut desk = Desk::new(fast);
    let kept = desk.publish("kept");
    let lost = desk.bench_publish("lost");
    desk.take_wishes();
    desk.say(Stored::Closed(broken(StoreErrorKind::Io)));
    assert!(matches!(desk.end(lost), Some((_, OpError::Store(_)))));
    let late = desk.bench_publish("late");
    assert!(matches!(desk.end(late), Some((_, OpError::Store(_)))));
    assert!(desk.notices().iter().any(|(_, notice)| matches!(notice, Notice::Storage { .. })));
    desk.connect();
    assert_eq!(desk.drain(), ["kept"]);
    assert!(desk.is_acked(kept));
    assert!(desk.take_wishes().is_empty(), "nothing is asked of it any more");
}

#[test]
fn what_cannot_be_read_is_tried_again_after_a_second() {
    let mut desk = Desk::new(fast);
    desk.publish("1");
    let mut desk = desk.restart(fast);
    desk.bench_connect();
    assert!(matches!(desk.take_wishes().as_slice(), [StoreOp::Load { .. }]));
    desk.say(Stored::NotLoaded(broken(StoreErrorKind::Io)));
    assert!(desk.take_wishes().is_empty());
    desk.advance(Duration::from_millis(999));
    assert!(desk.taken().is_empty());
    desk.advance(Duration::from_millis(1));
    assert_eq!(desk.drain(), ["1"]);
}

#[test]
fn an_entry_that_is_damaged_while_the_program_runs_is_removed_told_and_holds_nothing_up() {
    let mut desk = Desk::new(fast);
    for n in 1..=3 {
        desk.publish(&n.to_string());
    }
    let mut desk = desk.restart(fast);
    desk.disk.insert(EntryId(1), b"no entry"[..].into());
    desk.connect();
    assert_eq!(desk.drain(), ["2", "3"]);
    assert_eq!(desk.on_disk(), 0);
    let told: Vec<_> = desk
        .notices()
        .into_iter()
        .filter_map(|(_, notice)| match notice {
            Notice::Undelivered { why, .. } => Some(why),
            _ => None,
        })
        .collect();
    assert!(matches!(&told[..], [why] if why.contains("entry 1 of the outbox is damaged")), "{told:?}");
}

#[test]
fn an_entry_that_is_gone_from_the_store_holds_nothing_up() {
    let mut desk = Desk::new(fast);
    for n in 1..=3 {
        desk.publish(&n.to_string());
    }
    let mut desk = desk.restart(fast);
    desk.disk.remove(&EntryId(1));
    desk.connect();
    assert_eq!(desk.drain(), ["2", "3"]);
    let told = desk.notices().into_iter().filter(|(_, n)| matches!(n, Notice::Undelivered { .. }));
    assert_eq!(told.count(), 1);
}

#[test]
fn removals_that_fail_are_a_notice() {
    let mut desk = Desk::new(fast);
    desk.say(Stored::NotRemoved(broken(StoreErrorKind::Full)));
    assert!(matches!(desk.notices().as_slice(), [(0, Notice::Storage { .. })]));
}

#[test]
fn every_publisher_hears_once_that_it_is_stored_and_once_how_it_ended() {
    let mut desk = Desk::new(fast);
    desk.connect();
    let ops: Vec<OpId> = (0..300).map(|n| desk.publish(&n.to_string())).collect();
    desk.drain();
    for op in ops {
        let stored = |event: &Event| matches!(event, Event::Stored(id) if *id == op);
        assert_eq!(desk.events.iter().filter(|(_, event)| stored(event)).count(), 1);
        let done = |event: &Event| matches!(event, Event::Done(id, Ok(Receipt::Acked(_))) if *id == op);
        assert_eq!(desk.events.iter().filter(|(_, event)| done(event)).count(), 1);
    }
}

// --- with a session that is kept ---

fn exactly_once(outbox: iot_session::layers::Outbox) -> iot_session::layers::Outbox {
    fast(outbox).exactly_once(true)
}

fn twice(payload: &str) -> PublishOp {
    PublishOp { qos: QoS::ExactlyOnce, ..one(payload) }
}

#[test]
fn where_the_session_is_kept_a_qos_2_message_stays_on_disk_until_it_is_completed() {
    let mut desk = Desk::new(exactly_once);
    desk.connect();
    let op = desk.op(Op::Publish(twice("1")));
    assert!(desk.taken().is_empty(), "not before it is written");
    desk.work();
    assert!(desk.is_stored(op));
    let (_, id, message) = desk.taken().remove(0);
    assert_eq!((id.owner(), message.resend), (Owner::OUTBOX, Resend::UntilAnswered));
    assert_eq!(desk.on_disk(), 1);
    desk.acknowledge([id]);
    assert!(desk.is_acked(op));
    assert_eq!(desk.on_disk(), 0);
}

#[test]
fn a_qos_2_message_of_which_nobody_knows_whether_it_arrived_is_told_and_not_issued_again() {
    let mut desk = Desk::new(exactly_once);
    desk.connect();
    let op = publish_with(&mut desk, twice("1"));
    let (_, id, _) = desk.taken().remove(0);
    desk.inner_event(Event::Done(id, Err(OpError::Interrupted)));
    desk.work();
    assert!(matches!(desk.end(op), Some((_, OpError::Interrupted))));
    assert_eq!((desk.taken().len(), desk.on_disk()), (0, 0));
    // What never went out does.
    let op = publish_with(&mut desk, twice("2"));
    let (_, id, _) = desk.taken().remove(0);
    desk.inner_event(Event::Done(id, Err(OpError::Offline)));
    desk.work();
    assert!(desk.end(op).is_none());
    desk.connect();
    assert_eq!(desk.drain(), ["2"]);
}

/// A record of a session in which entry 1 went out under an identifier.
fn one_was_sent() -> Bytes {
    use iot_session::Stage;
    use iot_session::proto::{ConnectOptions, Engine, SavedSession};
    use iot_session::stage::{Input, Link, LinkUp, Output};
    let options = ConnectOptions::new(Version::V3_1_1, "device").unwrap().clean_start(false);
    let mut engine = Engine::new(options).keeping(SavedSession::default());
    let now = Now::mono(Nanos::ZERO);
    engine.handle(now, Input::Op(OpId::new(Owner::APPLICATION, 1), Op::CONNECT));
    engine.handle(now, Input::Link(Link::Up(LinkUp::default())));
    engine.handle(now, Input::Packet(ConnAck::new(false, ReasonCode::Success).into()));
    engine.handle(now, Input::Op(OpId::new(Owner::OUTBOX, 1), Op::Publish(twice("1"))));
    let outputs = std::iter::from_fn(|| engine.poll(now));
    let records = outputs.filter_map(|output| match output {
        Output::Store(StoreOp::Keep { record, .. }) => Some(record),
        _ => None,
    });
    records.last().unwrap()
}

#[test]
fn what_an_earlier_run_sent_at_qos_2_neither_expires_nor_is_dropped() {
    let mut desk = Desk::new(exactly_once);
    let short = PublishOp { ttl: NonZeroU32::new(1_000), ..twice("1") };
    publish_with(&mut desk, short.clone());
    publish_with(&mut desk, short);
    desk.disk.insert(EntryId::SESSION, one_was_sent());
    let full = |outbox| exactly_once(outbox).max_messages(2).when_full(DropPolicy::DropOldest);
    let mut desk = desk.restart(full);
    desk.advance(secs(2));
    assert_eq!(desk.on_disk(), 2, "the record, and the one that was sent");
    publish_with(&mut desk, twice("3"));
    publish_with(&mut desk, twice("4"));
    desk.connect();
    assert_eq!(desk.drain(), ["1", "4"]);
}

#[test]
fn a_damaged_record_of_the_session_is_told_and_costs_no_message() {
    let mut desk = Desk::new(exactly_once);
    publish_with(&mut desk, twice("1"));
    desk.disk.insert(EntryId::SESSION, Bytes::from_static(b"\x01nonsense"));
    assert_eq!(found(&desk.disk).damaged(), 1);
    assert_eq!(found(&desk.disk).messages(), 1);
    let mut desk = desk.restart(exactly_once);
    desk.connect();
    let told = desk.notices();
    assert!(matches!(&told[0].1, Notice::Storage { error } if error.kind() == StoreErrorKind::Corrupted));
    assert_eq!(desk.drain(), ["1"]);
}

#[test]
fn a_record_of_the_session_of_a_newer_form_is_an_error() {
    let mut found = Found::default();
    let error = found.add(EntryId::SESSION, &Bytes::from_static(&[2])).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Newer);
}

#[test]
fn a_number_that_the_record_of_the_session_has_is_given_to_no_new_message() {
    // Entry 1 was sent and has ended; the record that knows of its end was not written.
    let mut disk = std::collections::BTreeMap::new();
    disk.insert(EntryId::SESSION, one_was_sent());
    assert_eq!(found(&disk).session().in_flight(), (1, 0), "its identifier stays taken");
    let mut desk = Desk::on(disk, exactly_once);
    publish_with(&mut desk, twice("new"));
    assert!(desk.disk.contains_key(&EntryId(2)) && !desk.disk.contains_key(&EntryId(1)));
}
