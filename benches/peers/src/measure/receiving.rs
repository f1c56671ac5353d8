//! Receiving what the broker makes.

use super::{READY, say};
use crate::brokers::made_topic;
use crate::clients::{Client, Error, Inbox, Target};
use crate::figures::Figures;
use crate::system::{self, Moment};
use crate::workload::{Job, Workload};

/// Subscribes, and counts what comes.
pub async fn receive<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let filters = job.case.workload.filters();
    let inbox = match job.case.workload {
        Workload::Subscriptions => Inbox::routing((0..filters).map(|at| made_topic(at, filters))),
        _ => Inbox::default(),
    };
    let mut client = C::connect(target, &inbox).await?;
    let mut figures = Figures::default();
    let start = Moment::now();
    for at in 0..filters {
        client.subscribe(&made_topic(at, filters)).await?;
    }
    figures.set("subscribing", start.elapsed().0.as_secs_f64() * 1e3);
    let total = job.total();
    let first = (total - job.count).max(1);
    inbox.remember(first, total);
    say(READY);
    // What was lost never comes; how much it was is in the report.
    let limit = if job.case.workload == Workload::Flood { job.time } else { job.time * 8 };
    let _ = tokio::time::timeout(limit, inbox.reach(total)).await;
    let (report, moments) = inbox.report();
    report.check(usize::try_from(total)?)?;
    let [Some(start), Some(end)] = moments else { return Err("nobody looked at the clock".into()) };
    figures.pace(total - first, start.until(end));
    client.disconnect().await?;
    Ok(figures)
}

/// Publishes, receives, and says how much memory it took at most.
pub async fn small_memory<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let inbox = Inbox::default();
    let mut client = C::connect(target, &inbox).await?;
    client.publish(0..job.count).await?;
    client.subscribe(&made_topic(0, 1)).await?;
    say(READY);
    inbox.reach(job.total()).await?;
    inbox.report().0.check(usize::try_from(job.total())?)?;
    client.disconnect().await?;
    let mut figures = Figures::default();
    figures.set("peak", system::memory().ok_or("the system does not tell how much memory is used")?.1);
    figures.set(Figures::SENT, job.count as f64);
    Ok(figures)
}
