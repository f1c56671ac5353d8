//! Four clients, two proxies, one broker, and everything that can happen between them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iot_session::{Client, Message, QoS, Version};
use mosquitto::{Failure, Mosquitto};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::account::{Account, Outage};
use crate::clients::{How, KEEP_ALIVE, MAX_DELAY, becomes, mutual_tls, plain, start};
use crate::proxy::{Fault, Proxy};
use crate::random::Random;

/// From one number of a stream to the next.
const PACE: Duration = Duration::from_millis(5);

type Shared = Arc<Mutex<Account>>;

fn lock(account: &Mutex<Account>) -> MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "real sockets go by the real clock")]
/// The real clock.
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

struct Stream {
    name: &'static str,
    client: Client,
    account: Shared,
    publisher: JoinHandle<()>,
}

/// Breaks things for this long, then heals and looks at the accounts. Prints what was done.
///
/// # Errors
/// Something is lost, doubled, out of order or stuck; or Mosquitto does not start.
pub async fn run(length: Duration, seed: u64) -> Result<(), Failure> {
    let mut random = Random::new(seed);
    let mut broker = Mosquitto::start().await?;
    let proxies = [Proxy::start(broker.plain_port).await?, Proxy::start(broker.tls_port).await?];
    let [plain_proxy, tls_proxy] = &proxies;
    let (stop, stopped) = watch::channel(false);
    let mut streams = Vec::new();
    for (name, connector, version) in [
        ("TCP, 3.1.1", plain(plain_proxy.port), Version::V3_1_1),
        ("TCP, 5", plain(plain_proxy.port), Version::V5),
        ("mutual TLS, 3.1.1", mutual_tls(tls_proxy.port, &broker), Version::V3_1_1),
        ("mutual TLS, 5", mutual_tls(tls_proxy.port, &broker), Version::V5),
    ] {
        let id = format!("chaos-{}", streams.len());
        let (client, _) = start(connector, version, &id, How::Careful, None)?;
        client.connect().await?;
        let account = Shared::default();
        subscribe(&client, &id, &account).await?;
        let publisher = tokio::spawn(publish(client.clone(), id, Arc::clone(&account), stopped.clone()));
        streams.push(Stream { name, client, account, publisher });
    }
    let mut done: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut outages = Vec::new();
    let end = now() + length;
    while now() < end {
        let what = fault(&mut random, &proxies, &mut broker, &mut outages).await?;
        *done.entry(what).or_default() += 1;
        sleep(Duration::from_millis(100 + random.below(1200))).await;
    }
    proxies.iter().for_each(|proxy| proxy.set(Fault::None));
    let _ = stop.send(true);
    // Whatever is dead is noticed, and the longest delay is waited for.
    let promise = KEEP_ALIVE * 2 + MAX_DELAY + Duration::from_secs(6);
    let mut faults = Vec::new();
    for stream in &streams {
        if !becomes(promise, || stream.client.status().borrow().is_connected()).await {
            faults.push(format!(
                "{}: not online {} s after the network healed",
                stream.name,
                promise.as_secs()
            ));
        }
    }
    for Stream { account, publisher, .. } in &streams {
        // What it was about to publish is out by then.
        becomes(Duration::from_secs(30), || publisher.is_finished()).await;
        becomes(Duration::from_secs(60), || {
            let account = lock(account);
            account.open() == 0 && account.missing().is_empty()
        })
        .await;
    }
    let connections: u64 = proxies.iter().map(|proxy| proxy.taken.load(Ordering::Relaxed)).sum();
    report(&streams, &done, &outages, &mut faults);
    println!("connections through the proxies: {connections}");
    for stream in streams {
        let _ = stream.client.close(Duration::from_secs(5)).await;
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn report(
    streams: &[Stream],
    done: &BTreeMap<&'static str, u64>,
    outages: &[Outage],
    faults: &mut Vec<String>,
) {
    println!(
        "\n| client | reconnects | published | acknowledged | told otherwise | arrived | again | lost by the broker | QoS 0 sent / arrived |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for Stream { name, client, account, .. } in streams {
        match lock(account).close(outages) {
            Ok(sums) => println!(
                "| {name} | {} | {} | {} | {} | {} | {} | {} | {} / {} |",
                client.stats().reconnects(),
                sums.published,
                sums.acked,
                sums.told,
                sums.arrived,
                sums.again,
                sums.lost_by_broker,
                sums.at_most_once.0,
                sums.at_most_once.1
            ),
            Err(found) => {
                println!("| {name} | **{} faults** |", found.len());
                faults.extend(found.into_iter().take(5).map(|fault| format!("{name}: {fault}")));
                faults.push(format!("{name}: {:?}", client.stats()));
            }
        }
    }
    let list: Vec<String> = done.iter().map(|(what, times)| format!("{what} {times}")).collect();
    println!("\nfaults: {}", list.join(", "));
}

/// One thing goes wrong, for a while, and is right again.
async fn fault(
    random: &mut Random,
    proxies: &[Proxy; 2],
    broker: &mut Mosquitto,
    outages: &mut Vec<Outage>,
) -> Result<&'static str, Failure> {
    let while_it_lasts = Duration::from_millis(match random.below(4) {
        0 => 5,
        1 => random.below(300),
        2 => random.below(2000),
        // Longer than a dead link is believed in.
        _ => 1000 + random.below(5000),
    });
    let (what, fault) = match random.below(14) {
        0 | 1 => ("cut", Fault::Cut),
        2 | 3 => ("reset", Fault::Reset),
        4 => ("black hole to the broker", Fault::BlackHole { up: true, down: false }),
        5 => ("black hole to the client", Fault::BlackHole { up: false, down: true }),
        6 => ("black hole both ways", Fault::BlackHole { up: true, down: true }),
        7 => ("truncation", Fault::Truncate(usize::try_from(random.below(40))?)),
        8 => ("garbage", Fault::Garbage),
        9 => ("byte by byte", Fault::Trickle),
        10 => ("refused connections", Fault::Refuse),
        11 | 12 => {
            let from = now();
            broker.pause(true).await?;
            sleep(while_it_lasts).await;
            broker.pause(false).await?;
            outages.push(Outage { from, to: now(), killed: false });
            return Ok("broker stopped and continued");
        }
        _ => {
            let from = now();
            broker.kill().await?;
            sleep(while_it_lasts).await;
            broker.restart().await?;
            outages.push(Outage { from, to: now(), killed: true });
            return Ok("broker killed");
        }
    };
    for proxy in proxies.iter().filter(|_| !random.one_in(3)) {
        proxy.set(fault);
    }
    sleep(while_it_lasts).await;
    proxies.iter().for_each(|proxy| proxy.set(Fault::None));
    Ok(what)
}

async fn subscribe(client: &Client, id: &str, account: &Shared) -> Result<(), Failure> {
    for (suffix, qos) in [("1", QoS::AtLeastOnce), ("0", QoS::AtMostOnce)] {
        let mut messages = client.subscribe(format!("chaos/{id}/{suffix}"), qos).await?;
        let account = Arc::clone(account);
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let number =
                    std::str::from_utf8(message.payload()).ok().and_then(|text| text.trim().parse().ok());
                let Some(number) = number else { continue };
                match qos {
                    QoS::AtMostOnce => lock(&account).received_at_most_once(number),
                    _ => lock(&account).received(number),
                }
            }
        });
    }
    Ok(())
}

async fn publish(client: Client, id: String, account: Shared, stopped: watch::Receiver<bool>) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut turn = 0_u64;
    while !*stopped.borrow() {
        pace.tick().await;
        turn += 1;
        let at_most_once = turn.is_multiple_of(10);
        let (suffix, qos, number) = match at_most_once {
            true => ("0", QoS::AtMostOnce, lock(&account).publish_at_most_once()),
            false => ("1", QoS::AtLeastOnce, lock(&account).publish()),
        };
        // Some fill several TCP segments.
        let width = if turn.is_multiple_of(50) { 5000 } else { 20 };
        let Ok(message) = Message::new(format!("chaos/{id}/{suffix}"), format!("{number:>width$}")) else {
            return;
        };
        let Ok(ack) = client.publish(message.qos(qos)).await else { return };
        if at_most_once {
            continue;
        }
        let account = Arc::clone(&account);
        tokio::spawn(async move {
            let outcome = ack.await;
            let mut account = lock(&account);
            match outcome {
                Ok(_) => account.acked(number, now()),
                Err(error) => account.told(number, error.to_string()),
            }
        });
    }
}
