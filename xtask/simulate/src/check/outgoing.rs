//! Messages of the application.

use std::collections::BTreeMap;

use mqtt_codec::QoS;

use crate::broker::Seen;
use crate::ledger::{Book, End, Published};
use crate::world::World;

fn count(seen: &[Seen]) -> BTreeMap<u64, u64> {
    let mut count = BTreeMap::new();
    for seen in seen {
        *count.entry(seen.number).or_default() += 1;
    }
    count
}

/// Every publish ends, and once. One of a process that was killed ends with it.
pub(super) fn ends(book: &Book, faults: &mut Vec<String>) {
    let last = book.published.values().map(|published| published.run).max().unwrap_or(0);
    for (number, published) in &book.published {
        match published.ends.len() {
            1 => {}
            0 if published.run < last => {}
            times => faults.push(format!("publish {number} to {} ended {times} times", published.topic)),
        }
    }
}

/// What the client says is acknowledged has arrived; what it says is on disk arrives, or its end is told: to its publisher, or
/// by a notice if that process is gone.
pub(super) fn at_least_once(world: &World, book: &Book, seen: &[Seen], faults: &mut Vec<String>) {
    let count = count(seen);
    let mut lost = Vec::new();
    for (number, published) in &book.published {
        if count.contains_key(number) || published.qos == QoS::AtMostOnce {
            continue;
        }
        match published.ends.first() {
            Some(End::Acked) => faults.push(format!("publish {number} was acknowledged and did not arrive")),
            None | Some(End::Closed) if published.stored => lost.push(*number),
            _ => {}
        }
    }
    if lost.len() as u64 > book.undelivered {
        faults.push(format!(
            "{} messages were on disk and did not arrive, {} were told as given up: {lost:?}",
            lost.len(),
            book.undelivered
        ));
    }
    // Without a crash and a failing disk, nothing that was taken may simply vanish.
    let crashed = world.report.steps.contains_key("crash");
    for (number, published) in &book.published {
        if !crashed && published.taken && published.ends.is_empty() {
            faults.push(format!("nobody was told what became of publish {number}"));
        }
    }
}

/// What was not sent, says the error, has not arrived. Where a process with an outbox is killed, what it had dropped may still be
/// on the disk and go out in the next run, since removals wait for company; and so may what could not be written, says the
/// disk: not counted there.
pub(super) fn what_was_not_sent(world: &World, book: &Book, seen: &[Seen], faults: &mut Vec<String>) {
    let count = count(seen);
    let killed = world.report.steps.contains_key("crash");
    for (number, published) in &book.published {
        let unsent = match published.ends.first() {
            Some(End::Cancelled) => true,
            Some(End::NotSent(_) | End::NotStored) => !(world.settings.outbox && killed),
            _ => false,
        };
        if unsent && count.contains_key(number) {
            faults.push(format!("publish {number} ended as {:?} and arrived all the same", published.ends));
        }
    }
}

/// A QoS 0 message is not doubled by us, and a QoS 2 message arrives once: the broker knows its identifier while it has the
/// session, and where it lost it the message ends instead of being sent again. Only where the disk could not take it that a CONNECT
/// goes out, the broker lost the session, and the process was killed before CONNACK: nobody knows then that the session is another one.
pub(super) fn at_most_once(world: &World, book: &Book, seen: &[Seen], faults: &mut Vec<String>) {
    for (number, times) in count(seen) {
        let Some(published) = book.published.get(&number) else {
            faults.push(format!("{number} arrived, which nobody published"));
            continue;
        };
        let is_fault = match published.qos {
            QoS::AtMostOnce => times > 1,
            QoS::AtLeastOnce => false,
            QoS::ExactlyOnce => times > 1 && !world.killed_with_a_full_disk,
        };
        if is_fault {
            faults.push(format!("publish {number} at {:?} arrived {times} times", published.qos));
        }
    }
}

/// A QoS 2 message is released to the end. One that was given up keeps its identifier, so that the server takes no other message
/// for it; of an earlier run that is told by a notice. So it is with one that may not wait, and so is not on disk, when its process
/// is killed.
pub(super) fn released(book: &Book, unreleased: usize) -> Option<String> {
    let given_up = book.published.values().filter(|published| {
        let ended = match published.ends.first() {
            Some(End::Unknown(_)) => true,
            None | Some(End::Closed) => published.overtakes,
            _ => false,
        };
        published.qos == QoS::ExactlyOnce && ended
    });
    let given_up = given_up.count().saturating_add(usize::try_from(book.undelivered).unwrap_or(usize::MAX));
    (unreleased > given_up)
        .then(|| format!("{unreleased} QoS 2 messages are taken and not released, {given_up} were given up"))
}

/// First deliveries to a topic are in the order of publishing. Messages that may not wait go past those that do, and have
/// topics of their own, among which they are in order. What had been told as dropped, and comes out of the disk after a crash,
/// has no place any more.
pub(super) fn order(book: &Book, seen: &[Seen], faults: &mut Vec<String>) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut known = std::collections::BTreeSet::new();
    for seen in seen {
        if !known.insert(seen.number) {
            continue;
        }
        let Some(Published { topic, ends, .. }) = book.published.get(&seen.number) else { continue };
        let told = match ends.first() {
            Some(End::NotSent(_) | End::NotStored) => true,
            // By a notice, which does not say which message it was.
            None | Some(End::Closed) => book.undelivered > 0,
            _ => false,
        };
        if told {
            continue;
        }
        let last = last.entry(topic).or_default();
        if seen.number < *last {
            faults
                .push(format!("publish {} to {topic} arrived after {last} for the first time", seen.number));
        }
        *last = (*last).max(seen.number);
    }
}
