//! Publishing: rates, round trips, the first of all.

use std::time::Duration;

use super::{ACKNOWLEDGED, say};
use crate::allocations;
use crate::clients::{Client, Error, Inbox, TOPIC, Target};
use crate::figures::Figures;
use crate::system::{Moment, now};
use crate::workload::Job;

/// QoS 0. One message of QoS 1 at the end tells that the broker has all of them.
pub async fn unacknowledged<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let mut client = C::connect(target, &Inbox::default()).await?;
    let warm_up = job.count / 10;
    for number in 0..warm_up {
        client.send(number).await?;
    }
    client.publish(warm_up..warm_up + 1).await?;
    let (first, end) = (warm_up + 1, warm_up + 1 + job.count);
    let start = Moment::now();
    for number in first..end {
        client.send(number).await?;
    }
    let (submitted, _) = start.elapsed();
    client.publish(end..end + 1).await?;
    let mut figures = Figures::default();
    figures.pace(job.count + 1, start.elapsed());
    figures.set("submitted", job.count as f64 / submitted.as_secs_f64());
    client.disconnect().await?;
    figures.set(Figures::SENT, (end + 1) as f64);
    Ok(figures)
}

/// QoS 1, as fast as the window allows. Allocations are counted after the clock is stopped.
pub async fn window<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let mut client = C::connect(target, &Inbox::default()).await?;
    let part = job.count / 10;
    client.publish(0..part).await?;
    let end = part + job.count;
    let start = Moment::now();
    client.publish(part..end).await?;
    let mut figures = Figures::default();
    figures.pace(job.count, start.elapsed());
    allocations::start();
    client.publish(end..end + part).await?;
    let (allocations, bytes) = allocations::stop();
    figures.set("allocations", allocations / part as f64);
    figures.set("bytes", bytes / part as f64);
    client.disconnect().await?;
    figures.set(Figures::SENT, (end + part) as f64);
    Ok(figures)
}

/// To a subscription of one's own: over when it is acknowledged, and back.
pub async fn round_trips<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let inbox = Inbox::default();
    let mut client = C::connect(target, &inbox).await?;
    client.subscribe(TOPIC).await?;
    let (mut trips, mut next) = (Vec::new(), 0);
    // A client that stalls makes few of them.
    for (count, time) in [(job.count / 10, job.time / 10), (job.count, job.time)] {
        trips.clear();
        let begin = now();
        while trips.len() as u64 != count && now() - begin < time {
            let sent = now();
            client.publish(next..next + 1).await?;
            next += 1;
            inbox.reach(next).await?;
            trips.push(now() - sent);
        }
    }
    let mut figures = Figures::default();
    figures.trips(trips);
    client.disconnect().await?;
    inbox.report().0.check(usize::try_from(next)?)?;
    figures.set(Figures::SENT, next as f64);
    Ok(figures)
}

/// QoS 0, a pause, QoS 1, and how long the latter takes.
pub async fn paused_writes<C: Client>(job: &Job, target: &Target) -> Result<Figures, Error> {
    let mut client = C::connect(target, &Inbox::default()).await?;
    let (mut trips, mut next) = (Vec::new(), 0);
    let begin = Moment::now();
    for _ in 0..job.count {
        client.send(next).await?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let sent = now();
        client.publish(next + 1..next + 2).await?;
        trips.push(now() - sent);
        next += 2;
        if begin.elapsed().0 > job.time {
            break;
        }
    }
    client.disconnect().await?;
    let mut figures = Figures::default();
    figures.trips(trips);
    figures.set(Figures::SENT, next as f64);
    Ok(figures)
}

/// Connects and publishes one message. The bench has looked at the clock before it started this process.
pub async fn start<C: Client>(target: &Target) -> Result<Figures, Error> {
    let mut client = C::connect(target, &Inbox::default()).await?;
    client.publish(0..1).await?;
    say(ACKNOWLEDGED);
    client.disconnect().await?;
    let mut figures = Figures::default();
    figures.set(Figures::SENT, 1.0);
    Ok(figures)
}
