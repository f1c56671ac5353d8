//! What a durable outbox writes: bytes and synchronisations for each message, and messages per second on this disk.
//!
//! `cargo bench -p benches --bench outbox`; with `-- --test` a short run. A message is appended, and removed with the next commit
//! after its acknowledgement, as the outbox does it. Bytes are those handed to the file, counted by the kernel (Linux); what a
//! flash memory makes of them is its own.
#![allow(clippy::print_stdout, reason = "a bench for people")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::time::Instant;

use iot_session::stage::EntryId;
use iot_session::storage::{Change, Redb, Storage};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let is_test = std::env::args().any(|argument| argument == "--test");
    println!(
        "| payload, bytes | messages in a commit | written per message, bytes | ratio | syncs per message | messages per second |"
    );
    println!("|---|---|---|---|---|---|");
    for payload in [64, 1024, 16 * 1024] {
        for group in [1, 10, 100] {
            let messages = if is_test { 2 * group } else { (100 * group).min(3000) };
            row(payload, group, messages)?;
        }
    }
    Ok(())
}

fn row(payload: usize, group: u64, messages: u64) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut store = Redb::open(directory.path().join("outbox"))?;
    // The first ones make the file grow.
    commits(&mut store, payload, group, 1, 5)?;
    let (before, begun) = (written()?, Instant::now());
    let rounds = messages / group;
    commits(&mut store, payload, group, 1 + 5 * group, rounds)?;
    let (seconds, bytes) = (begun.elapsed().as_secs_f64(), written()? - before);
    let count = rounds * group;
    let each = bytes as f64 / count as f64;
    println!(
        "| {payload} | {group} | {each:.0} | {:.1} | {:.2} | {:.0} |",
        each / payload as f64,
        rounds as f64 / count as f64,
        count as f64 / seconds
    );
    if each < payload as f64 {
        return Err("less was written than there was to write: the counter is wrong".into());
    }
    Ok(())
}

fn commits(store: &mut Redb, payload: usize, group: u64, first: u64, rounds: u64) -> Result<(), Failure> {
    let mut changes = Vec::new();
    for round in 0..rounds {
        let from = first + round * group;
        changes.clear();
        changes.extend((from..from + group).map(|id| Change::Put(EntryId(id), vec![0x55; payload].into())));
        changes.extend((from.saturating_sub(group)..from).map(|id| Change::Delete(EntryId(id))));
        store.commit(&changes, true)?;
    }
    Ok(())
}

/// Bytes that this process has handed to files, so far.
fn written() -> Result<u64, Failure> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).ok_or("no wchar in /proc/self/io")?;
    Ok(line.trim().parse()?)
}
