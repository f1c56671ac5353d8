//! A program with an outbox that is killed at random moments, and started again with the same file.

use std::collections::BTreeSet;
use std::fs;
use std::future::poll_fn;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use iot_session::layers::Outbox;
use iot_session::storage::{Redb, WriteOptions, open};
use iot_session::{Client, Message, QoS, Version};
use mosquitto::{Failure, Mosquitto};
use tokio::process::Command;
use tokio::time::sleep;

use crate::clients::{How, becomes, plain, start};
use crate::random::Random;

const TOPIC: &str = "chaos/crash";

/// What the program is told that is to be killed.
#[derive(Debug, Clone, clap::Args)]
pub struct Victim {
    /// Where the broker listens.
    #[arg(long)]
    port: u16,
    /// The outbox.
    #[arg(long)]
    outbox: PathBuf,
    /// Where each number is written that is on disk, says the client.
    #[arg(long)]
    journal: PathBuf,
    /// The first number.
    #[arg(long)]
    from: u64,
    /// Publish nothing, and end once everything is acknowledged.
    #[arg(long)]
    drain: bool,
}

/// Publishes until it is killed.
///
/// # Errors
/// The outbox cannot be opened, a message not be stored.
pub async fn victim(options: Victim) -> Result<(), Failure> {
    let (found, disk) = open(Redb::open(&options.outbox)?, WriteOptions::default())?;
    let outbox = Some((Outbox::new(found).max_messages(1_000_000), disk));
    let (client, _) = start(plain(options.port), Version::V5, "victim", How::Careful, outbox)?;
    client.connect_lazily().await?;
    if options.drain {
        let is_empty = || {
            let stats = client.stats();
            client.status().borrow().is_connected() && stats.queued == 0 && stats.in_flight == 0
        };
        if !becomes(Duration::from_secs(60), is_empty).await {
            return Err(format!("does not drain: {:?}", client.stats()).into());
        }
        client.close(Duration::from_secs(10)).await?;
        return Ok(());
    }
    let journal = fs::OpenOptions::new().create(true).append(true).open(&options.journal)?;
    // Several at a time, so that one write of the disk serves many.
    let mut number = options.from;
    loop {
        in_order((number..number + GROUP).map(|number| store(&client, &journal, number)).collect()).await?;
        number += GROUP;
    }
}

/// So many numbers are on their way to the disk at once.
const GROUP: u64 = 8;

async fn store(client: &Client, mut journal: &fs::File, number: u64) -> Result<(), Failure> {
    client.publish_durably(Message::new(TOPIC, number.to_string())?).await.map(drop)?;
    // In one write: the program may be killed between two.
    journal.write_all(format!("{number}\n").as_bytes())?;
    Ok(())
}

/// Waits for all of them; they begin in their order.
async fn in_order<F: Future<Output = Result<(), Failure>>>(futures: Vec<F>) -> Result<(), Failure> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|context| {
        let mut outcome = Ok(());
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(result) => {
                if result.is_err() {
                    outcome = result;
                }
                false
            }
        });
        if futures.is_empty() || outcome.is_err() { Poll::Ready(outcome) } else { Poll::Pending }
    })
    .await
}

/// Kills the program this often, then has it drain, and looks at what arrived.
///
/// # Errors
/// A number that was on disk did not arrive, or the first arrivals are out of order.
pub async fn run(times: u64, seed: u64) -> Result<(), Failure> {
    let mut random = Random::new(seed);
    let broker = Mosquitto::start().await?;
    let files = tempfile::tempdir()?;
    let (outbox, journal) = (files.path().join("outbox"), files.path().join("journal"));
    let (watcher, _) = start(plain(broker.plain_port), Version::V5, "watcher", How::Careful, None)?;
    watcher.connect().await?;
    let mut messages = watcher.subscribe(TOPIC, QoS::AtLeastOnce).await?;
    let received: Arc<Mutex<Vec<u64>>> = Arc::default();
    let arrivals = Arc::clone(&received);
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            if let Some(number) =
                std::str::from_utf8(message.payload()).ok().and_then(|text| text.parse().ok())
            {
                arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(number);
            }
        }
    });
    for round in 0..times {
        let mut child = spawn(&broker, &outbox, &journal, round * 1_000_000, false)?;
        sleep(Duration::from_millis(100 + random.below(900))).await;
        // `kill` is kill -9.
        child.kill().await?;
    }
    let status = spawn(&broker, &outbox, &journal, 0, true)?.wait().await?;
    if !status.success() {
        return Err(format!("the last run ended with {status}").into());
    }
    let durable: Vec<u64> =
        fs::read_to_string(&journal)?.lines().map(str::parse).collect::<Result<_, _>>()?;
    let arrived = || received.lock().unwrap_or_else(PoisonError::into_inner).clone();
    becomes(Duration::from_secs(20), || {
        let arrived: BTreeSet<u64> = arrived().into_iter().collect();
        durable.iter().all(|number| arrived.contains(number))
    })
    .await;
    judge(&durable, &arrived(), times)
}

fn spawn(
    broker: &Mosquitto,
    outbox: &Path,
    journal: &Path,
    from: u64,
    drain: bool,
) -> Result<tokio::process::Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("victim").args(["--port", &broker.plain_port.to_string(), "--from", &from.to_string()]);
    command.arg("--outbox").arg(outbox).arg("--journal").arg(journal);
    if drain {
        command.arg("--drain");
    }
    Ok(command.stdin(Stdio::null()).kill_on_drop(true).spawn()?)
}

fn judge(durable: &[u64], received: &[u64], times: u64) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    let first: Vec<u64> = received.iter().copied().filter(|number| seen.insert(*number)).collect();
    let missing: Vec<u64> = durable.iter().copied().filter(|number| !seen.contains(number)).collect();
    println!(
        "killed {times} times: {} numbers on disk, {} arrived, {} of them again, {} missing",
        durable.len(),
        seen.len(),
        received.len() - seen.len(),
        missing.len()
    );
    if durable.is_empty() {
        return Err("the program stored nothing".into());
    }
    if !missing.is_empty() {
        return Err(format!("on disk, and did not arrive: {:?}", missing.get(..5).unwrap_or(&missing)).into());
    }
    if !first.is_sorted() {
        return Err("the first arrivals are out of order".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_a_reordered_number_are_noticed() {
        assert!(judge(&[1, 2, 3], &[1, 2, 2, 3, 4], 1).is_ok());
        assert!(judge(&[1, 2, 3], &[1, 3], 1).unwrap_err().to_string().contains("[2]"));
        assert!(judge(&[1, 2, 3], &[2, 1, 3], 1).unwrap_err().to_string().contains("out of order"));
        assert!(judge(&[], &[], 1).is_err());
    }
}
