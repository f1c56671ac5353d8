//! Connecting, and connections that do nothing.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{READY, say, told};
use crate::clients::{Client, Error, Inbox, Target};
use crate::figures::Figures;
use crate::system::{self, Moment};
use crate::workload::Job;

/// How many connect at once.
const AT_ONCE: u64 = 50;
/// What follows a connection at once is over after this.
const SETTLED: Duration = Duration::from_millis(300);

/// One after another.
pub async fn connect<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let (mut trips, mut all_cpu) = (Vec::new(), Duration::ZERO);
    for number in 0..job.total() {
        let start = Moment::now();
        let client = C::connect(target, &Inbox::default()).await?;
        let (elapsed, cpu) = start.elapsed();
        if number >= job.count / 10 {
            trips.push(elapsed);
            all_cpu += cpu;
        }
        client.disconnect().await?;
    }
    let mut figures = Figures::default();
    figures.set("cpu", all_cpu.as_secs_f64() * 1e6 / trips.len().max(1) as f64);
    figures.trips(trips);
    Ok(figures)
}

/// Many at once, and their memory.
pub async fn idle<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let clients = many::<C>(job.count, target, &mut figures).await?;
    Ok(leave(clients, figures))
}

/// Many, their keep-alives, and a broker that restarts.
pub async fn fleet<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let clients = many::<C>(job.count, target, &mut figures).await?;
    let start = Moment::now();
    tokio::time::sleep(job.time).await;
    let (elapsed, cpu) = start.elapsed();
    figures.set("quiet", cpu.as_secs_f64() / elapsed.as_secs_f64() * 100.0);
    say(READY);
    let start = Moment::now();
    told().await?;
    figures.set("storm_cpu", start.elapsed().1.as_secs_f64());
    Ok(leave(clients, figures))
}

/// How often the process wakes for one connection.
pub async fn wake_ups<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let client = C::connect(target, &Inbox::default()).await?;
    tokio::time::sleep(SETTLED).await;
    let unknown = "the system does not tell how often a process waits";
    let before = system::waits().ok_or(unknown)?;
    let start = Moment::now();
    tokio::time::sleep(job.time).await;
    let ((elapsed, cpu), waits) = (start.elapsed(), system::waits().ok_or(unknown)? - before);
    client.disconnect().await?;
    let mut figures = Figures::default();
    // One was the end of the time.
    figures.set("wake_ups", (waits - 1.0).max(0.0) / elapsed.as_secs_f64());
    figures.set("cpu", cpu.as_secs_f64() * 1e6 / elapsed.as_secs_f64());
    Ok(figures)
}

/// Connects so many, and measures their memory and how long it took.
async fn many<C: Client>(count: u64, target: &Target, figures: &mut Figures) -> Result<Vec<C>, Error> {
    let unknown = "the system does not tell how much memory is used";
    let inbox = Inbox::default();
    // Whatever is set up once is there before it is looked at.
    let first = C::connect(&named(target, 0), &inbox).await?;
    tokio::time::sleep(SETTLED).await;
    let before = system::memory().ok_or(unknown)?.0;
    let start = Moment::now();
    let mut clients = Vec::with_capacity(usize::try_from(count)?);
    clients.push(first);
    let mut connecting = JoinSet::new();
    for number in 1..count {
        if connecting.len() as u64 >= AT_ONCE
            && let Some(client) = connecting.join_next().await
        {
            clients.push(client??);
        }
        let (target, inbox) = (named(target, number), inbox.clone());
        connecting.spawn(async move { C::connect(&target, &inbox).await });
    }
    while let Some(client) = connecting.join_next().await {
        clients.push(client??);
    }
    let (elapsed, cpu) = start.elapsed();
    tokio::time::sleep(SETTLED).await;
    let connections = (count - 1).max(1) as f64;
    figures.set("memory", (system::memory().ok_or(unknown)?.0 - before) / connections);
    figures.set("connecting", elapsed.as_secs_f64());
    figures.set("connecting_cpu", cpu.as_secs_f64() * 1e3 / connections);
    Ok(clients)
}

fn named(target: &Target, number: u64) -> Target {
    Target { client_id: format!("{}-{number}", target.client_id), ..target.clone() }
}

/// The end of the process ends them; a thousand farewells are not what is measured.
fn leave<C>(clients: Vec<C>, figures: Figures) -> Figures {
    std::mem::forget(clients);
    figures
}
