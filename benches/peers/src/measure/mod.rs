//! What a client's process does, and what it measures of itself.

mod connections;
mod publishing;
mod receiving;

use std::io::{BufRead, Write};

use crate::clients::{Client, Error, Target};
use crate::figures::Figures;
use crate::system;
use crate::workload::{Job, Workload};

/// Says to the bench that it is its turn: to make messages, or to restart the broker.
pub const READY: &str = "ready";
/// Says to the bench that the first message is acknowledged.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// Runs a job in this process.
pub fn run<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    if job.case.workload == Workload::SmallMemory {
        system::limit_memory(Workload::MEMORY)?;
    }
    let mut builder = if job.threads {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()?.block_on(async {
        match job.case.workload {
            Workload::Qos0 => publishing::unacknowledged::<C>(job, target).await,
            Workload::Qos1 | Workload::Large => publishing::window::<C>(job, target).await,
            Workload::RoundTrip => publishing::round_trips::<C>(job, target).await,
            Workload::PausedWrites => publishing::paused_writes::<C>(job, target).await,
            Workload::Start => publishing::start::<C>(target).await,
            Workload::Receive | Workload::Subscriptions | Workload::Flood => {
                receiving::receive::<C>(job, target).await
            }
            Workload::SmallMemory => receiving::small_memory::<C>(job, target).await,
            Workload::Connect => connections::connect::<C>(job, target).await,
            Workload::Idle => connections::idle::<C>(job, target).await,
            Workload::Fleet => connections::fleet::<C>(job, target).await,
            Workload::WakeUps => connections::wake_ups::<C>(job, target).await,
        }
    })
}

/// Says something to the bench.
fn say(word: &str) {
    println!("{word}");
    // Nobody is there to hear it any more: then the bench is over anyway.
    let _ = std::io::stdout().flush();
}

/// Waits for the bench to say something.
async fn told() -> Result<(), Error> {
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next());
    line.await?.ok_or("the bench is gone")??;
    Ok(())
}
