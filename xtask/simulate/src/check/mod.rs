//! What must hold, whatever happens. Each checker says in its doc what it allows, and why.

mod outgoing;
mod received;

use iot_session::Stats;

use crate::net::Exchange;
use crate::plan::Settings;
use crate::world::World;

/// The instants of dials, in milliseconds: those of one process are at least the connect interval apart.
pub(crate) fn dials(instants: &[u64], crashed: bool) -> Option<String> {
    let close =
        instants.windows(2).find(|pair| matches!(pair, [a, b] if b - a < crate::device::CONNECT_INTERVAL));
    // Another process knows nothing of the last dial of the one before.
    close.filter(|_| !crashed).map(|pair| format!("two dials within the connect interval: at {pair:?} ms"))
}

/// Everything that can be told at the end.
pub(crate) fn all(world: &mut World, unreleased: usize) {
    let mut faults = Vec::new();
    {
        let broker = world.broker.lock();
        let book = world.ledger.lock();
        faults.extend(broker.faults.iter().map(|fault| format!("the client broke the protocol: {fault}")));
        let crashed = world.report.steps.contains_key("crash");
        faults.extend(dials(&Exchange::lock(&world.exchange).dials, crashed));
        outgoing::ends(&book, &mut faults);
        outgoing::at_least_once(world, &book, &broker.seen, &mut faults);
        outgoing::what_was_not_sent(world, &book, &broker.seen, &mut faults);
        outgoing::at_most_once(world, &book, &broker.seen, &mut faults);
        faults.extend(outgoing::released(&book, unreleased));
        outgoing::order(&book, &broker.seen, &mut faults);
        received::once(&book, &mut faults);
        received::order(&book, &mut faults);
        world.report.published = book.published.len() as u64;
        let arrived: std::collections::BTreeSet<u64> = broker.seen.iter().map(|seen| seen.number).collect();
        world.report.arrived = arrived.len() as u64;
        world.report.received = book.received.len() as u64;
        world.report.connections = broker.connections;
        world.report.trace = broker.trace;
    }
    world.report.faults.extend(faults);
}

/// Before the first connection exactly the queue's bound holds. After it the queue, what came back from a lost session, and what waits for its turn at the link are bounded; so is what is in
/// flight. The window is the smaller one of both sides.
pub(crate) fn bounds(settings: &Settings, stats: Stats) -> Option<String> {
    let window = u64::from(settings.window);
    // Pacing holds what is handed to it at once: no more than the client's channel.
    let waiting = settings.queue as u64 + if stats.connections == 0 { 0 } else { 2 * window + 128 };
    if stats.queued > waiting {
        return Some(format!("{} messages wait, {waiting} is the bound", stats.queued));
    }
    (stats.in_flight > window)
        .then(|| format!("{} messages are in flight, the window is {window}", stats.in_flight))
}
